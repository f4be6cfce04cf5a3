//! What checks came to: a table for people, JSON and JUnit for machines.

mod formats;

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Columns of the table; more is wrapped.
const WIDTH: usize = 112;

/// A check and what it came to: a row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The section of the specification that asks for it, if one does.
    pub section: Option<&'static str>,
    /// What was checked, in a few words that are shown beside the outcome.
    pub check: String,
    /// What it came to.
    pub outcome: Outcome,
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds; with what was seen, if that says more.
    Pass(String),
    /// It doesn't hold; with what was seen, and what to do next.
    Fail(Fault),
    /// It isn't as it should be, and fails nobody: with what was seen, and what it means.
    Warn(Fault),
    /// It wasn't checked, and why.
    Skip(String),
}

/// Why a check failed, for somebody who has never seen the code. Neither text holds a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What was seen in place of what is right, such as the reply that came.
    pub seen: String,
    /// What to do next.
    pub next: String,
}

impl Fault {
    /// Of what was seen, and what to do next.
    pub fn new(seen: impl Into<String>, next: impl Into<String>) -> Fault {
        Fault { seen: seen.into(), next: next.into() }
    }
}

impl Outcome {
    fn kind(&self) -> usize {
        match self {
            Outcome::Pass(_) => 0,
            Outcome::Fail(_) => 1,
            Outcome::Skip(_) => 2,
            Outcome::Warn(_) => 3,
        }
    }
}

impl From<Result<String, Fault>> for Outcome {
    fn from(result: Result<String, Fault>) -> Outcome {
        match result {
            Ok(note) => Outcome::Pass(note),
            Err(fault) => Outcome::Fail(fault),
        }
    }
}

/// All checks of a run, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// One row for each check, in the order in which they are shown.
    pub rows: Vec<Row>,
}

impl Report {
    /// True if nothing failed.
    pub fn is_healthy(&self) -> bool {
        !self.rows.iter().any(|row| matches!(row.outcome, Outcome::Fail(_)))
    }

    /// How many passed, failed, were skipped, and passed with a warning.
    pub fn counts(&self) -> [usize; 4] {
        let mut counts = [0; 4];
        for row in &self.rows {
            counts[row.outcome.kind()] += 1;
        }
        counts
    }

    /// The table, and a last line that counts. Sections are headings. `colour` is for terminals.
    pub fn table(&self, colour: bool) -> String {
        let first = self.rows.iter().map(|row| row.check.chars().count()).max().unwrap_or(0);
        let room = WIDTH.saturating_sub(first + 8).max(30);
        let mut table = String::new();
        let mut told: BTreeMap<&str, &str> = BTreeMap::new();
        let mut heading = None;
        for Row { section, check, outcome } in &self.rows {
            if let Some(section) = section.filter(|section| heading != Some(*section)) {
                let _ = writeln!(table, "{}{section}", if heading.is_some() { "\n" } else { "" });
                heading = Some(section);
            }
            let (word, code, lines) = match outcome {
                Outcome::Pass(note) => ("PASS", "32", wrap(note, room, "")),
                Outcome::Fail(Fault { seen, next }) | Outcome::Warn(Fault { seen, next }) => {
                    let mut lines = wrap(seen, room, "");
                    // One cause often fails many checks.
                    match told.get(next.as_str()) {
                        Some(first) => lines.extend(wrap(&format!("as for: {first}"), room, "-> ")),
                        None => lines.extend(wrap(next, room, "-> ")),
                    }
                    told.entry(next).or_insert(check);
                    match outcome {
                        Outcome::Warn(_) => ("WARN", "33", lines),
                        _ => ("FAIL", "31", lines),
                    }
                }
                Outcome::Skip(why) => ("SKIP", "33", wrap(why, room, "")),
            };
            let word = if colour { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() };
            let pad = first - check.chars().count();
            let mut lines = lines.iter();
            let line = format!("{word}  {check}{:pad$}  {}", "", lines.next().map_or("", String::as_str));
            let _ = writeln!(table, "{}", line.trim_end());
            for line in lines {
                let _ = writeln!(table, "{:1$}{line}", "", first + 8);
            }
        }
        let [passed, failed, skipped, warned] = self.counts();
        let warned = if warned > 0 { format!(", {warned} with a warning") } else { String::new() };
        let _ = writeln!(table, "\n{passed} passed, {failed} failed, {skipped} skipped{warned}");
        table
    }
}

/// Lines of at most `width` characters, the first of them after `lead` and the others indented as far. URLs are left
/// whole, since they must still work when they are copied.
fn wrap(text: &str, width: usize, lead: &str) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), lead.to_owned());
    let mut empty = true;
    let pieces = |word: &str| -> Vec<String> {
        let word: Vec<char> = word.chars().collect();
        word.chunks((width - lead.len()).max(1)).map(|piece| piece.iter().collect()).collect()
    };
    let words = text.split_whitespace();
    for word in words.flat_map(|word| if word.contains("://") { vec![word.to_owned()] } else { pieces(word) }) {
        if !empty && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut line, " ".repeat(lead.len())));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(&word);
        empty = false;
    }
    if !empty {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(check: &str, outcome: Outcome) -> Row {
        Row { section: None, check: check.to_owned(), outcome }
    }

    #[test]
    fn columns_are_aligned_and_long_texts_wrapped() {
        let seen =
            "a sentence of some length that doesn't fit beside the name of the check and so goes on below it, aligned";
        let fault = Fault::new(
            seen,
            "do this, and if that doesn't help do that, and look at https://example.com/a/very/long/address/that/stays/whole/so/that/it/can/be/copied",
        );
        let report = Report {
            rows: vec![
                row("short", Outcome::Pass(String::new())),
                row("a longer name of a check", Outcome::Fail(fault)),
                row("third", Outcome::Skip("not here".to_owned())),
            ],
        };
        let expected = "\
PASS  short
FAIL  a longer name of a check  a sentence of some length that doesn't fit beside the name of the check and so
                                goes on below it, aligned
                                -> do this, and if that doesn't help do that, and look at
                                   https://example.com/a/very/long/address/that/stays/whole/so/that/it/can/be/copied
SKIP  third                     not here

1 passed, 1 failed, 1 skipped
";
        assert_eq!(report.table(false), expected);
        assert!(!report.is_healthy());
        let coloured = report.table(true);
        assert!(coloured.starts_with("\x1b[32mPASS\x1b[0m  short\n"), "{coloured}");
    }

    #[test]
    fn sections_are_headings() {
        let of = |section, check: &str| Row { section: Some(section), ..row(check, Outcome::Pass(String::new())) };
        let report = Report { rows: vec![of("A", "one"), of("A", "two"), of("B", "three")] };
        assert_eq!(report.table(false), "A\nPASS  one\nPASS  two\n\nB\nPASS  three\n\n3 passed, 0 failed, 0 skipped\n");
    }

    #[test]
    fn json_without_spaces_is_broken() {
        assert_eq!(
            wrap(&format!("a {}", "x".repeat(25)), 13, "-> "),
            ["-> a", "   xxxxxxxxxx", "   xxxxxxxxxx", "   xxxxx"]
        );
        assert!(wrap("", 10, "").is_empty());
    }

    #[test]
    fn a_next_step_is_told_once() {
        let fault = || Outcome::Fail(Fault::new("HTTP 500", "look into the log"));
        let report = Report { rows: vec![row("one", fault()), row("two", fault())] };
        let expected =
            "FAIL  one  HTTP 500\n           -> look into the log\nFAIL  two  HTTP 500\n           -> as for: one\n";
        assert!(report.table(false).starts_with(expected), "{}", report.table(false));
    }

    #[test]
    fn skipping_is_no_failure() {
        let report = Report { rows: vec![row("x", Outcome::Skip(String::new()))] };
        assert!(report.is_healthy());
        assert!(report.table(false).ends_with("\n0 passed, 0 failed, 1 skipped\n"));
    }
}
