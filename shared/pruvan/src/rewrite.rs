//! A text that is rewritten on its way to Pruvan, and remembers each place where it became another.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use serde::Serialize;

/// A place where a text became another one, with a word or two around it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alteration {
    /// What stood there.
    pub before: String,
    /// What stands there now; empty if it was left out.
    pub after: String,
}

/// A text in the making, out of another one that is read from its beginning to its end.
#[derive(Debug)]
pub struct Rewrite<'a> {
    from: &'a str,
    /// Bytes of `from` that have been dealt with.
    read: usize,
    /// Empty as long as nothing was changed.
    out: String,
    changed: bool,
    places: Vec<Place>,
}

/// Bytes of the old text, and of the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    from: Range<usize>,
    to: Range<usize>,
}

/// Characters that are shown around a place, on each side, at most.
const AROUND: usize = 24;

/// Characters of a place that are shown; of what is longer, the beginning and the end.
const MOST_SHOWN: usize = 400;

impl<'a> Rewrite<'a> {
    /// Begins to rewrite this text; nothing of it has been read yet.
    pub fn of(from: &'a str) -> Rewrite<'a> {
        Rewrite { from, read: 0, out: String::new(), changed: false, places: Vec::new() }
    }

    /// How many bytes of the old text have been dealt with.
    pub fn read(&self) -> usize {
        self.read
    }

    /// What has been written so far.
    pub fn written(&self) -> &str {
        if self.changed { &self.out } else { &self.from[..self.read] }
    }

    /// Copies what has not been read yet, up to the byte `end`.
    pub fn keep(&mut self, end: usize) {
        if self.changed {
            self.out.push_str(&self.from[self.read..end]);
        }
        self.read = end;
    }

    /// Writes `text` in place of what has not been read yet, up to the byte `end`; `told` if that is worth a word.
    pub fn put(&mut self, end: usize, text: &str, told: bool) {
        if self.from[self.read..end] == *text {
            return self.keep(end);
        }
        if !self.changed {
            self.out = self.from[..self.read].to_owned();
            self.changed = true;
        }
        let at = self.out.len();
        self.out.push_str(text);
        if told {
            self.places.push(Place { from: self.read..end, to: at..self.out.len() });
        }
        self.read = end;
    }

    /// The whole text, and the places where it became another. What has not been read yet is copied.
    pub fn done(mut self) -> (Cow<'a, str>, Vec<Alteration>) {
        self.keep(self.from.len());
        let alterations = self.alterations();
        (if self.changed { Cow::Owned(self.out) } else { Cow::Borrowed(self.from) }, alterations)
    }

    /// Each place with the words around it; those whose words meet are one.
    fn alterations(&self) -> Vec<Alteration> {
        let mut merged: Vec<Place> = Vec::new();
        for place in &self.places {
            let place = Place { from: words(self.from, &place.from), to: words(&self.out, &place.to) };
            match merged.last_mut() {
                Some(last) if place.from.start <= last.from.end || place.to.start <= last.to.end => {
                    last.from.end = last.from.end.max(place.from.end);
                    last.to.end = last.to.end.max(place.to.end);
                }
                _ => merged.push(place),
            }
        }
        let shown = |text: &str, span: &Range<usize>| shown(text.get(span.clone()).unwrap_or_default());
        let alteration =
            |place: &Place| Alteration { before: shown(self.from, &place.from), after: shown(&self.out, &place.to) };
        merged.iter().map(alteration).collect()
    }
}

/// The span, widened to the words that it stands in.
fn words(text: &str, span: &Range<usize>) -> Range<usize> {
    // A tag beside it is none of its words.
    let before = text[..span.start].char_indices().rev().take(AROUND);
    let before = before.take_while(|(_, c)| !c.is_whitespace() && !matches!(c, '>' | ';'));
    let after = text[span.end..].char_indices().take(AROUND);
    let after = after.take_while(|(_, c)| !c.is_whitespace() && !matches!(c, '<' | '&'));
    let start = before.last().map_or(span.start, |(at, _)| at);
    let end = after.last().map_or(span.end, |(at, c)| span.end + at + c.len_utf8());
    start..end
}

/// A text as it can be read: what nobody sees as its code point, and what is long without its middle.
fn shown(text: &str) -> String {
    let count = text.chars().count();
    let mut shown = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        if count > MOST_SHOWN && at == MOST_SHOWN / 2 {
            shown.push_str(" ... ");
        }
        if count > MOST_SHOWN && (MOST_SHOWN / 2..count - MOST_SHOWN / 2).contains(&at) {
            continue;
        }
        match is_seen(c) {
            _ if matches!(c, '\n' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}') => {
                shown.push_str("<line end>")
            }
            _ if c == '\t' => shown.push_str("<tab>"),
            true => shown.push(c),
            // Writing to a text can't fail.
            false => drop(write!(shown, "<U+{:04X}>", u32::from(c))),
        }
    }
    shown
}

/// Whether a reader sees the character, or the space that it leaves.
fn is_seen(c: char) -> bool {
    !c.is_control() && !is_format(c) && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{e000}'..='\u{f8ff}')
}

/// Characters that only say how others are shown: no width, joiners, directions, variations, soft hyphens.
pub(crate) fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn altered(before: &str, after: &str) -> Alteration {
        Alteration { before: before.to_owned(), after: after.to_owned() }
    }

    #[test]
    fn what_stays_is_borrowed_and_what_changes_is_shown_with_its_words() {
        let mut rewrite = Rewrite::of("12\u{bd} Oak St");
        assert_eq!(rewrite.written(), "");
        rewrite.keep(2);
        rewrite.put(4, " 1/2", true);
        assert_eq!(rewrite.written(), "12 1/2");
        assert_eq!(rewrite.done(), ("12 1/2 Oak St".into(), vec![altered("12\u{bd}", "12 1/2")]));
        assert!(matches!(Rewrite::of("12 Oak").done(), (Cow::Borrowed("12 Oak"), places) if places.is_empty()));
    }

    #[test]
    fn places_in_one_word_are_one_and_others_are_apart() {
        let mut rewrite = Rewrite::of("cr\u{e8}me br\u{fb}l\u{e9}e");
        for (at, text) in [(2, "e"), (9, "u"), (12, "e")] {
            rewrite.keep(at);
            rewrite.put(at + 2, text, true);
        }
        let places = vec![altered("cr\u{e8}me", "creme"), altered("br\u{fb}l\u{e9}e", "brulee")];
        assert_eq!(rewrite.done(), ("creme brulee".into(), places));
    }

    #[test]
    fn what_is_not_told_leaves_no_place() {
        let mut rewrite = Rewrite::of("a\r\nb");
        rewrite.keep(1);
        rewrite.put(3, "\n", false);
        assert_eq!(rewrite.done(), ("a\nb".into(), Vec::new()));
    }

    #[test]
    fn what_nobody_sees_is_shown_as_its_code_point_and_long_texts_without_their_middle() {
        assert_eq!(shown("4411\u{b}2\u{200b}"), "4411<line end>2<U+200B>");
        let long = format!("{}{}", "a".repeat(1000), "b".repeat(1000));
        let short = shown(&long);
        assert!(short.starts_with("aaa") && short.ends_with("bbb") && short.contains("a ... b"), "{short}");
        assert_eq!(short.len(), MOST_SHOWN + 5);
    }
}
