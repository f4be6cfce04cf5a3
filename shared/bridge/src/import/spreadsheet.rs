//! What spreadsheets do to data, and how it is kept from them, undone or refused: the one place that knows.

use std::borrow::Cow;

use crate::secrets::sha256_hex;

/// Signs with which a cell begins that a spreadsheet takes for a formula.
const FORMULAS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A spreadsheet shows more digits of a whole number as `1.23457E+11`, and saves what it shows.
const MOST_DIGITS: usize = 11;

/// A text as it stands in a cell of our lists: where a spreadsheet would make something else of it, `'` goes before it.
pub fn protected(text: &str) -> Cow<'_, str> {
    if needs_protection(text) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// The same, of a text that may come out of one of our lists, and then has its `'` already.
pub fn protected_once(text: &str) -> Cow<'_, str> {
    match text.strip_prefix('\'') {
        Some(rest) if needs_protection(rest) || is_whole(rest) => Cow::Borrowed(text),
        _ => protected(text),
    }
}

/// Whether a spreadsheet that reads this cell and saves it again may write another one: formulas, numbers whose zeros
/// or digits would go, and what it takes for a date, a time, a fraction, a percentage, a sum of money or a truth value.
fn needs_protection(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    if text.starts_with(FORMULAS) || text.trim() != text {
        return true;
    }
    if let Some(rest) = text.strip_prefix('\'') {
        // What is read without its sign has two.
        return needs_protection(rest) || is_whole(rest);
    }
    if is_whole(text) {
        return text.len() > MOST_DIGITS || (text.len() > 1 && first == '0');
    }
    let of_numbers = |c: char| c.is_ascii_digit() || ".,:/-% $'()\u{a3}\u{20ac}".contains(c);
    let signs_only = text.chars().any(|c| c.is_ascii_digit()) && text.chars().all(of_numbers);
    signs_only || is_scientific(text) || is_made_a_date(text) || is_truth_value(text) || error_cell(text)
}

fn is_whole(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_truth_value(text: &str) -> bool {
    ["true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// `1.23457E+11`: what a spreadsheet shows of a number that is too long for its column. Also `12E5`, which it reads so.
fn is_scientific(text: &str) -> bool {
    let Some((number, power)) = text.split_once(['E', 'e']) else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let power = power.strip_prefix(['+', '-']).unwrap_or(power);
    let number = number.strip_prefix('-').unwrap_or(number);
    let (whole, fraction) = number.split_once(['.', ',']).unwrap_or((number, "0"));
    digits(power) && power.len() <= 3 && digits(whole) && digits(fraction)
}

/// Months as spreadsheets shorten them, in English and in the languages of those who work with it.
const MONTHS: [&str; 31] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "ene", "abr", "ago", "dic",
    "fev", "avr", "mai", "aou", "jui", "mrz", "okt", "dez", "gen", "mag", "giu", "lug", "set", "ott", "out",
];

/// `2-Jan`, `Jan-02`, `2-Jan-26`, `02. Jan`: what a spreadsheet makes of `1-2` or `2/1`.
fn is_made_a_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['-', '/', '.', ' ', ',']).filter(|part| !part.is_empty()).collect();
    let is_month = |part: &&str| {
        let short: String = part.chars().take(3).collect::<String>().to_lowercase();
        part.chars().all(char::is_alphabetic) && MONTHS.contains(&plain(&short).as_str())
    };
    let is_number = |part: &&str| (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let months = parts.iter().filter(|part| is_month(part)).count();
    (2..=3).contains(&parts.len()) && months == 1 && parts.iter().all(|part| is_month(part) || is_number(part))
}

fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{e9}' | '\u{e8}' => 'e',
            '\u{fb}' => 'u',
            '\u{e4}' => 'a',
            c => c,
        })
        .collect()
}

/// `01/02/2026`, `1.2.26`, `2026-01-02`, with or without a time.
fn is_whole_date(text: &str) -> bool {
    let day = text.split([' ', 'T']).next().unwrap_or_default();
    let parts: Vec<&str> = day.split(['-', '/', '.']).collect();
    let is_number = |part: &&str| matches!(part.len(), 1 | 2 | 4) && part.bytes().all(|byte| byte.is_ascii_digit());
    let years = parts.iter().filter(|part| part.len() == 4).count();
    let has_year = |part: &&str| part.len() > 1;
    parts.len() == 3
        && parts.iter().all(is_number)
        && years <= 1
        && (parts.first().is_some_and(has_year) || parts.last().is_some_and(has_year))
}

/// What a spreadsheet writes where a formula failed, or a column is too narrow.
fn error_cell(text: &str) -> bool {
    const ERRORS: [&str; 12] = [
        "#REF!",
        "#N/A",
        "#NAME?",
        "#VALUE!",
        "#DIV/0!",
        "#NUM!",
        "#NULL!",
        "#SPILL!",
        "#CALC!",
        "#FIELD!",
        "#BLOCKED!",
        "#GETTING_DATA",
    ];
    ERRORS.iter().any(|error| text.eq_ignore_ascii_case(error))
        || (text.len() > 2 && text.bytes().all(|byte| byte == b'#'))
        || text.strip_prefix("Err:").is_some_and(|code| code.len() == 3 && code.parse::<u16>().is_ok())
}

/// A cell as it was meant, and whether whoever wrote it said that it is text: `="00123"` and `'00123` are the text
/// `00123`.
pub(super) fn unprotected(cell: &str) -> (Cow<'_, str>, bool) {
    if let Some(quoted) = cell.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"')) {
        return (Cow::Owned(quoted.replace("\"\"", "\"")), true);
    }
    match cell.strip_prefix('\'') {
        Some(rest) if needs_protection(rest) || is_whole(rest) => (Cow::Borrowed(rest), true),
        _ => (Cow::Borrowed(cell), false),
    }
}

/// How a text is kept from a spreadsheet, for the end of a fault.
const KEEP: &str = "look it up, and write it with a ' before it, or in a column that was formatted as text before";

/// Why a cell that nobody said to be text is none, whatever column it is in.
pub(super) fn fault(cell: &str) -> Option<String> {
    if error_cell(cell) {
        return Some(format!(
            "is {cell:?}, which a spreadsheet writes where a formula failed or a column is too narrow: mend the cell"
        ));
    }
    let long = is_scientific(cell) && cell.contains(['+', '.', ',']);
    long.then(|| {
        format!("is {cell:?}, which is what a spreadsheet leaves of a long number, whose digits are lost: {KEEP}")
    })
}

/// Why a cell that nobody said to be text is no order's number.
pub(super) fn number_fault(cell: &str) -> Option<String> {
    const TOTALS: [&str; 10] =
        ["total", "totals", "grand total", "subtotal", "sub total", "sum", "count", "summe", "gesamt", "total general"];
    let word = cell.trim_end_matches(':').trim().to_lowercase();
    if TOTALS.contains(&word.as_str()) {
        return Some(format!("is {cell:?}: a row of totals is no order, leave it out"));
    }
    if is_scientific(cell) {
        return Some(format!("is {cell:?}, which a spreadsheet makes of a long number, whose digits are lost: {KEEP}"));
    }
    if is_made_a_date(cell) || is_whole_date(cell) {
        return Some(format!("is {cell:?}, which a spreadsheet makes of a number such as 1-2: {KEEP}"));
    }
    if let Some(what) = other_than_typed(cell) {
        return Some(format!("is {cell:?}, which {what}: {KEEP}"));
    }
    let decimals = cell.split_once('.').filter(|(whole, fraction)| {
        !fraction.is_empty() && [whole, fraction].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    });
    decimals
        .filter(|(_, fraction)| fraction.bytes().all(|byte| byte == b'0'))
        .map(|(whole, _)| format!("is {cell:?}, which a spreadsheet makes of {whole}: {KEEP}"))
}

/// What else shows that a spreadsheet took an order's number for one of its own, or for a formula.
fn other_than_typed(cell: &str) -> Option<&'static str> {
    let groups: Vec<&str> = cell.split([',', '.', ' ', '\u{a0}', '\u{202f}', '\'']).collect();
    let grouped = groups.len() > 1
        && groups.iter().all(|group| is_whole(group))
        && groups.iter().skip(1).all(|group| group.len() == 3)
        && groups.first().is_some_and(|group| group.len() <= 3);
    let bracketed = cell.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).is_some_and(is_whole);
    if is_whole(cell) && cell.len() > 15 && cell.bytes().skip(15).all(|byte| byte == b'0') {
        Some("has lost its last digits: a spreadsheet keeps fifteen")
    } else if grouped || bracketed || cell.strip_suffix('%').is_some_and(is_whole) {
        Some("a spreadsheet made of a number, with signs of its own")
    } else if is_truth_value(cell) {
        Some("is a truth value and no number")
    } else if cell.starts_with('=') {
        Some("is a formula and no number")
    } else {
        None
    }
}

/// A ZIP code as it was before a spreadsheet read it as a number; `None` if nothing can be done. Those of the
/// north-east of the US and of its islands begin with zeros.
pub fn zip_with_zeros(zip: &str, state: &str, country: &str) -> Option<String> {
    const ZEROS: [(&str, usize); 10] =
        [("CT", 1), ("MA", 1), ("ME", 1), ("NH", 1), ("NJ", 1), ("RI", 1), ("VT", 1), ("AE", 1), ("PR", 2), ("VI", 2)];
    if !pruvan::work_order::is_in_us(state, country) || !zip.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (_, zeros) = ZEROS.iter().find(|(name, _)| name.eq_ignore_ascii_case(state.trim()))?;
    let lost = match zip.len() {
        length @ 3..=4 => 5 - length,
        length @ 7..=8 => 9 - length,
        _ => return None,
    };
    (lost <= *zeros).then(|| format!("{}{zip}", "0".repeat(lost)))
}

/// A word that our lists put beside each number, so that a row whose number a spreadsheet has changed is known again.
/// It begins with a letter that no spreadsheet takes for a part of a number.
pub fn number_check(number: &str) -> String {
    format!("n{}x", &sha256_hex(number.as_bytes())[..8])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_spreadsheet_would_change_is_protected_and_all_else_is_not() {
        for text in [
            "00123",
            "123456789012",
            "1-2",
            "1/2",
            "12:30",
            "10%",
            "$5",
            "1,000",
            "2-Jan",
            "Jan-02",
            "MAR-15",
            "1e5",
            "12E5",
            "=1+1",
            "+1 555",
            "-97.678",
            "@x",
            " x",
            "TRUE",
            "1.50",
            "2026-05-25",
            "5/25/2026",
            "#N/A",
            "'00123",
            "2. Mai",
            "3 d\u{e9}c.",
            "(555)",
            "1.23457E+11",
        ] {
            assert_eq!(protected(text), format!("'{text}"), "{text}");
        }
        for text in [
            "1001",
            "0",
            "78664",
            "12345678901",
            "110 East Main Street",
            "WO-17",
            "A1",
            "'Til noon",
            "2026-05-25 1200 +0",
            "Mow, edge",
            "",
            "march",
            "1st",
            "78664-12ab",
            "5 Oak",
            "truely",
            "x=1",
            "#12",
        ] {
            assert_eq!(protected(text), text, "{text}");
        }
    }

    #[test]
    fn cells_that_say_that_they_are_text_are_text() {
        for (cell, meant) in [
            ("=\"02134\"", ("02134", true)),
            ("=\"say \"\"hi\"\"\"", ("say \"hi\"", true)),
            ("'02134", ("02134", true)),
            ("''02134", ("'02134", true)),
            ("'Til noon", ("'Til noon", false)),
            ("02134", ("02134", false)),
            ("'8401", ("8401", true)),
        ] {
            let (text, said) = unprotected(cell);
            assert_eq!((text.as_ref(), said), meant, "{cell}");
        }
    }

    #[test]
    fn what_is_lost_is_refused_with_the_reason() {
        for cell in ["#REF!", "#N/A", "########", "Err:502", "1.23457E+11", "1,23457E+11"] {
            assert!(fault(cell).is_some(), "{cell}");
        }
        for cell in ["1001", "12E5", "#12", "##", "A-1", "#1 door", "Error"] {
            assert_eq!(fault(cell), None, "{cell}");
        }
        for cell in [
            "1.23457E+11",
            "12E5",
            "2-Jan",
            "Jan-02",
            "01/02/2026",
            "2026-01-02 00:00:00",
            "1001.0",
            "7,001",
            "7 002",
            "7.004",
            "(7005)",
            "7011%",
            "TRUE",
            "=1+1",
            "123456789012345000",
            "Total:",
            "Grand Total",
        ] {
            assert!(number_fault(cell).is_some(), "{cell}");
        }
        for cell in [
            "1001",
            "1001.5",
            "WO-1",
            "2026-0045",
            "1-2",
            "12.5",
            "1,2",
            "1234567890123456",
            "700 1",
            "totally",
            "A.0",
            "12-345-6789",
            "1.2.3",
        ] {
            assert_eq!(number_fault(cell), None, "{cell}");
        }
    }

    #[test]
    fn zeros_are_put_back_where_zip_codes_begin_with_them() {
        assert_eq!(zip_with_zeros("2134", "MA", "").as_deref(), Some("02134"));
        assert_eq!(zip_with_zeros("21341234", "ma", "USA").as_deref(), Some("021341234"));
        assert_eq!(zip_with_zeros("601", "PR", "").as_deref(), Some("00601"));
        for (zip, state, country) in
            [("2134", "TX", ""), ("213", "MA", ""), ("2134", "MA", "Morocco"), ("02134", "MA", ""), ("21a4", "MA", "")]
        {
            assert_eq!(zip_with_zeros(zip, state, country), None, "{zip} {state} {country}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(text in "[ -~\u{e9}]{0,12}|'{0,3}[0-9=+./-]{1,8}|[0-9]{1,14}") {
            let cell = protected(&text).into_owned();
            prop_assume!(!(cell.starts_with("=\"")));
            prop_assert_eq!(unprotected(&cell).0, text);
        }
    }
}
