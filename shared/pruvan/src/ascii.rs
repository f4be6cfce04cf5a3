//! Every string sent to Pruvan is ASCII (*Testing*, *General*).

use std::borrow::Cow;

use serde_json::Value;

use crate::rewrite::{Alteration, Rewrite, is_format};

/// `text` in printable ASCII, tabs and line breaks kept: "Zoë – 5″" becomes `Zoe - 5''`.
///
/// Borrows when there is nothing to change, so that a comparison with the input tells whether something was lost.
pub fn ascii(text: &str) -> Cow<'_, str> {
    rewritten(text).0
}

/// The same, and each place where the text became another.
///
/// - Letters of other alphabets become ASCII ones, and digits of other scripts ASCII digits.
/// - A sign that becomes letters or digits stays apart from those beside it, so that no number becomes another: `12½`
///   is `12 1/2`, `90°F` is `90 deg F`, and `3²` is `3^2`.
/// - What ends a line elsewhere (U+000B, U+000C, U+0085, U+2028, U+2029) is a line break. Any other control character
///   is a space, but for those that Windows has letters and signs for.
/// - What has no ASCII form at all is a question mark.
pub fn rewritten(text: &str) -> (Cow<'_, str>, Vec<Alteration>) {
    let mut rewrite = Rewrite::of(text);
    // Of the character before: whether it was a sign that became a word, and whether it was raised.
    let (mut word, mut raised) = (false, false);
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        if is_fine(c) {
            if word && c.is_ascii_alphanumeric() {
                rewrite.put(at, " ", true);
            }
            rewrite.keep(end);
            (word, raised) = (false, false);
            continue;
        }
        let Some(form) = form(c) else {
            // Part of the character before, or of its looks.
            rewrite.put(end, "", true);
            continue;
        };
        let begins = form.starts_with(|c: char| c.is_ascii_alphanumeric());
        let meets = rewrite.written().ends_with(|c: char| c.is_ascii_alphanumeric());
        let is_raised = is_raised(c);
        let apart = match is_raised {
            true if meets && !raised => "^",
            false if meets && begins && (is_sign(c) || word) => " ",
            _ => "",
        };
        // A line end stays one.
        rewrite.put(end, &format!("{apart}{form}"), form != "\n");
        word = is_sign(c) && form.ends_with(|c: char| c.is_ascii_alphanumeric());
        raised = is_raised;
    }
    rewrite.done()
}

fn is_fine(c: char) -> bool {
    (' '..='~').contains(&c) || matches!(c, '\n' | '\r' | '\t')
}

/// What the C1 control characters U+0080 to U+009F are in Windows-1252: texts that were read as Latin-1 have them.
const WINDOWS: [&str; 32] = [
    "EUR",
    " ",
    "'",
    "f",
    "\"",
    "...",
    "+",
    "++",
    "^",
    " per mille",
    "S",
    "<",
    "OE",
    " ",
    "Z",
    " ",
    " ",
    "'",
    "'",
    "\"",
    "\"",
    "*",
    "-",
    "-",
    "~",
    "TM",
    "s",
    "'",
    "oe",
    " ",
    "z",
    "Y",
];

/// A character's form in ASCII; none if it is only a part of the one before.
fn form(c: char) -> Option<&'static str> {
    match c {
        '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some("\n"),
        '\u{80}'..='\u{9f}' => usize::try_from(u32::from(c) - 0x80).ok().and_then(|at| WINDOWS.get(at)).copied(),
        c if c.is_control() => Some(" "),
        // Quotation marks of other languages are no angle brackets: those would be read as HTML.
        '\u{ab}' | '\u{bb}' => Some("\""),
        '\u{2039}' | '\u{203a}' => Some("'"),
        '\u{d7}' => Some("x"),
        '\u{2260}' => Some("!="),
        '\u{2205}' => Some("(empty)"),
        '\u{2300}' => Some("dia."),
        '\u{a4}' => Some("?"),
        // Bullets and ticks of the fonts Symbol and Wingdings, as Word has them.
        '\u{f06e}' | '\u{f06f}' | '\u{f076}' | '\u{f0a7}' | '\u{f0a8}' | '\u{f0b7}' | '\u{f0d8}' | '\u{f0fc}' => {
            Some("*")
        }
        c if is_format(c) => None,
        c => match any_ascii::any_ascii_char(c) {
            "" if is_private(c) => Some("?"),
            "" => None,
            form => Some(form),
        },
    }
}

/// Characters that mean something in one font or program only.
pub(crate) fn is_private(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}' | '\u{f0000}'..='\u{10ffff}')
}

/// No letter and no digit of a number: a sign with a meaning of its own.
fn is_sign(c: char) -> bool {
    !is_digit(c) && (!c.is_alphabetic() || c.is_numeric() || is_raised(c) || matches!(c, '\u{aa}' | '\u{ba}'))
}

/// Superscripts that are digits or signs.
fn is_raised(c: char) -> bool {
    matches!(c, '\u{b2}' | '\u{b3}' | '\u{b9}' | '\u{2070}' | '\u{2074}'..='\u{207e}')
}

/// A decimal digit of another script, which goes on a number: by the zeros of the scripts in use.
fn is_digit(c: char) -> bool {
    const ZEROS: [u32; 26] = [
        0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20,
        0x1040, 0x17e0, 0x1810, 0xff10, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1fbf0,
    ];
    ZEROS.iter().any(|zero| (*zero..zero + 10).contains(&u32::from(c)))
}

/// Applies [`rewritten`] to every string and key inside `value`, and gives the places where that changed anything.
pub fn ascii_value(value: &mut Value) -> Vec<Alteration> {
    match value {
        Value::String(text) => {
            let (sent, places) = rewritten(text);
            if let Cow::Owned(sent) = sent {
                *text = sent;
            }
            places
        }
        Value::Array(items) => items.iter_mut().flat_map(ascii_value).collect(),
        Value::Object(map) => {
            let mut places: Vec<Alteration> = map.values_mut().flat_map(ascii_value).collect();
            if map.keys().any(|key| matches!(ascii(key), Cow::Owned(_))) {
                places.extend(map.keys().flat_map(|key| rewritten(key).1));
                *map = std::mem::take(map).into_iter().map(|(key, item)| (ascii(&key).into_owned(), item)).collect();
            }
            places
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn typography_and_accents_are_transliterated() {
        assert_eq!(ascii("Zoë – “5″”\u{a0}ok"), "Zoe - \"5''\" ok");
        assert_eq!(ascii("Sonnez \u{ab}Dupont\u{bb}, code \u{2039}b\u{203a}"), "Sonnez \"Dupont\", code 'b'");
    }

    #[test]
    fn nothing_glues_to_a_digit() {
        for (given, sent) in [
            ("12½ Oak St", "12 1/2 Oak St"),
            ("Unit 3²", "Unit 3^2"),
            ("½ mile, 5¾\u{2033}", "1/2 mile, 5 3/4''"),
            ("90°F", "90 deg F"),
            ("3×4", "3 x 4"),
            ("N 5º", "N 5 o"),
            ("Gate ①②, then ③", "Gate 1 2, then 3"),
            ("5€ or €5", "5 EUR or EUR 5"),
            ("10⁻³ m²", "10^-3 m^2"),
            ("Acme™2", "Acme TM 2"),
            ("room ٣٤, ward １２5", "room 34, ward 125"),
            ("H₂O 4₂", "H 2 O 4 2"),
            ("Ⅳ3", "IV 3"),
        ] {
            assert_eq!(ascii(given), sent, "{given}");
        }
    }

    #[test]
    fn what_separates_stays_a_space_or_a_line_end() {
        for (given, sent) in [
            ("Gate 4411\u{b}2 keys", "Gate 4411\n2 keys"),
            ("a\u{c}b\u{85}c\u{2028}d", "a\nb\nc\nd"),
            ("44\u{7}11\u{0}", "44 11 "),
            ("it\u{92}s 5\u{96}6, 10\u{80}", "it's 5-6, 10 EUR"),
            ("44\u{200b}11\u{feff}", "4411"),
            ("key \u{e0b7} back, \u{f0b7} one, 5\u{2260}6", "key ? back, * one, 5!=6"),
            ("line\none\ttab", "line\none\ttab"),
        ] {
            assert_eq!(ascii(given), sent, "{given:?}");
        }
    }

    #[test]
    fn each_place_is_told() {
        let (sent, places) = rewritten("Call Zo\u{eb} at 12\u{bd} Oak");
        assert_eq!(sent, "Call Zoe at 12 1/2 Oak");
        let told: Vec<(&str, &str)> = places.iter().map(|place| (&*place.before, &*place.after)).collect();
        assert_eq!(told, [("Zo\u{eb}", "Zoe"), ("12\u{bd}", "12 1/2")]);
    }

    #[test]
    fn nested_json_is_reached() {
        let mut value = json!({"é": ["ü", {"x": "ñ"}], "n": 1});
        assert_eq!(ascii_value(&mut value).len(), 3);
        assert_eq!(value, json!({"e": ["u", {"x": "n"}], "n": 1}));
        assert!(ascii_value(&mut value).is_empty());
    }

    proptest! {
        #[test]
        fn always_ascii_and_stable(text in any::<String>()) {
            let once = ascii(&text).into_owned();
            prop_assert!(once.is_ascii());
            prop_assert_eq!(ascii(&once), once.as_str());
        }

        /// Each run of ASCII letters and digits is found again, in its order, and no digit has got another neighbour.
        #[test]
        fn every_piece_is_found_again(text in "([A-Za-z0-9]{1,4}|[ -/]|[½²³¹¼№™°×€①⁻₂ºé\u{b}\u{85}\u{200b}\u{7}\u{e000}]){0,20}") {
            let sent = ascii(&text).into_owned();
            let mut rest = sent.as_str();
            for piece in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|piece| !piece.is_empty()) {
                let at = rest.find(piece);
                prop_assert!(at.is_some(), "{:?} became {:?}: where is {:?}?", text, sent, piece);
                rest = &rest[at.unwrap() + piece.len()..];
            }
            let pieces = |text: &str| text.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty()).map(str::to_owned).collect::<Vec<_>>();
            let sent_runs = pieces(&sent);
            for run in pieces(&text.replace('\u{200b}', "")) {
                prop_assert!(sent_runs.contains(&run), "{:?} became {:?}: where is {}?", text, sent, run);
            }
        }
    }
}
