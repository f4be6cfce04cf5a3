//! Every string sent to Pruvan is ASCII (*Testing*, *General*).

use std::borrow::Cow;

use serde_json::Value;

/// `text` in printable ASCII, tabs and line breaks kept: "Zoë – 5″" becomes `Zoe - 5''`. Other control characters are
/// dropped.
///
/// Borrows when there is nothing to change, so that a comparison with the input tells whether something was lost.
pub fn ascii(text: &str) -> Cow<'_, str> {
    let fine = |c: char| (' '..='~').contains(&c) || matches!(c, '\n' | '\r' | '\t');
    if text.chars().all(fine) {
        return Cow::Borrowed(text);
    }
    // Quotation marks of other languages are no angle brackets: those would be read as HTML.
    let text: String = text
        .chars()
        .map(|c| match c {
            '\u{ab}' | '\u{bb}' => '"',
            '\u{2039}' | '\u{203a}' => '\'',
            c => c,
        })
        .collect();
    Cow::Owned(any_ascii::any_ascii(&text).chars().filter(|c| fine(*c)).collect())
}

/// Applies [`ascii`] to every string and key inside `value`; true if that changed anything.
pub fn ascii_value(value: &mut Value) -> bool {
    match value {
        Value::String(text) => match ascii(text) {
            Cow::Borrowed(_) => false,
            Cow::Owned(changed) => {
                *text = changed;
                true
            }
        },
        Value::Array(items) => items.iter_mut().fold(false, |changed, item| ascii_value(item) | changed),
        Value::Object(map) => {
            let mut changed = map.values_mut().fold(false, |changed, item| ascii_value(item) | changed);
            if map.keys().any(|key| matches!(ascii(key), Cow::Owned(_))) {
                *map = std::mem::take(map).into_iter().map(|(key, item)| (ascii(&key).into_owned(), item)).collect();
                changed = true;
            }
            changed
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
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
        assert_eq!(ascii("line\none\ttab\u{0}"), "line\none\ttab");
    }

    #[test]
    fn nested_json_is_reached() {
        let mut value = json!({"é": ["ü", {"x": "ñ"}], "n": 1});
        assert!(ascii_value(&mut value));
        assert_eq!(value, json!({"e": ["u", {"x": "n"}], "n": 1}));
        assert!(!ascii_value(&mut value));
    }

    proptest! {
        #[test]
        fn always_ascii_and_stable(text in any::<String>()) {
            let once = ascii(&text).into_owned();
            prop_assert!(once.is_ascii());
            prop_assert_eq!(ascii(&once), once.as_str());
        }
    }
}
