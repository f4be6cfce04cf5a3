//! JSON as PHP, .NET, Python and devices write it.
//!
//! What is JSON by the letter is read once, as it is. What isn't, for a small fault that many writers have, is mended
//! and read once more, so that a note which was cut in the middle of an emoji keeps no photo out:
//!
//! * byte order marks before it;
//! * half of a surrogate pair (`\ud83d` alone) becomes U+FFFD, and an escape that JSON doesn't have (`\'`, `\x`) what
//!   it shows;
//! * a control character, such as a line end, may stand in a text;
//! * a bare word or number that JSON doesn't have (`NaN`, `1e999`, `.5`) becomes a text.
//!
//! JSON in a JSON text is read by [`unwrapped`] with the same leniency at every depth.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::encoding::without_mark;

/// More values than any payload holds, at whatever depth: a status report of 5,000 orders has some 50,000. Parsed, an
/// object of one field takes eighty times the room of its text, and the smallest function has 256 MB.
pub const MAX_VALUES: usize = 200_000;

/// So many levels `serde_json` goes down, and no further.
pub const MAX_DEPTH: usize = 127;

/// Why a text could not be read, to be put behind what it is: "the body is nested too deep".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Positions are counted from 1.
    #[error("is not valid JSON (line {line}, column {column})")]
    NotJson {
        /// Line of the fault.
        line: usize,
        /// Column of the fault.
        column: usize,
    },
    /// Deeper than [`MAX_DEPTH`].
    #[error("is nested too deep: at most {MAX_DEPTH} levels are read")]
    TooDeep,
    /// More than [`MAX_VALUES`].
    #[error("has too many values: at most {MAX_VALUES} are read")]
    TooManyValues,
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> JsonError {
        // The error has no other sign of it.
        match error.is_syntax() && error.to_string().starts_with("recursion limit exceeded") {
            true => JsonError::TooDeep,
            false => JsonError::NotJson { line: error.line(), column: error.column() },
        }
    }
}

/// A JSON text that was read.
#[derive(Debug)]
pub struct Json<'a, T = Value> {
    /// What the text says.
    pub value: T,
    /// The text, as it came but for what was mended.
    pub text: Cow<'a, str>,
}

/// Reads a text; what it holds in texts of its own stays text.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<Json<'_, T>, JsonError> {
    let text = without_mark(text.trim()).trim();
    let error = match serde_json::from_str(text) {
        Ok(value) => return Ok(Json { value, text: text.into() }),
        Err(error) => error,
    };
    match mended(text) {
        Some(mended) => Ok(Json { value: serde_json::from_str(&mended)?, text: mended.into() }),
        None => Err(error.into()),
    }
}

/// Reads a text, and where that is a JSON text again, what is in it, however often it was encoded; of at most
/// [`MAX_VALUES`]. The text is the innermost one.
pub fn unwrapped(text: &str) -> Result<Json<'_>, JsonError> {
    let mut json = counted(text)?;
    // Each layer doubles the backslashes of the one in it, so there are few.
    while let Value::String(inner) = &json.value {
        let Json { value, text } = counted(inner)?;
        json = Json { value, text: text.into_owned().into() };
    }
    Ok(json)
}

fn counted(text: &str) -> Result<Json<'_>, JsonError> {
    if has_too_many_values(text) { Err(JsonError::TooManyValues) } else { read(text) }
}

/// Whether a JSON text has more than [`MAX_VALUES`], before it is parsed: each follows a comma or opens something, at
/// most.
pub fn has_too_many_values(text: &str) -> bool {
    let (mut values, mut quoted, mut escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' | b'[' | b'{' if !quoted => values += 1,
            _ => {}
        }
    }
    values > MAX_VALUES
}

/// The text without the faults that can be mended, if it has any.
fn mended(text: &str) -> Option<String> {
    // A bare word alone is no JSON of anybody's.
    let has_words = text.starts_with(['{', '[']);
    let (mut mended, mut copied, mut at, mut quoted) = (String::new(), 0, 0, false);
    while let Some(byte) = text.as_bytes().get(at) {
        let (length, better) = match byte {
            b'"' => {
                quoted = !quoted;
                (1, None)
            }
            b'\\' if quoted => escape(&text[at..]),
            0..=0x1f if quoted => (1, Some(format!("\\u{byte:04x}"))),
            b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' if has_words && !quoted => bare(&text[at..]),
            _ => (1, None),
        };
        if let Some(better) = better {
            mended.push_str(&text[copied..at]);
            mended.push_str(&better);
            copied = at + length;
        }
        at += length;
    }
    (copied > 0).then(|| mended + &text[copied..])
}

/// How long the escape is that a text begins with, and what stands in its place if JSON has no such.
fn escape(text: &str) -> (usize, Option<String>) {
    let unit = |at: usize| -> Option<u16> {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
    };
    let known = text.as_bytes().get(1).is_some_and(|sign| b"\"\\/bfnrt".contains(sign));
    match unit(0) {
        _ if known => (2, None),
        Some(0xD800..=0xDBFF) if matches!(unit(6), Some(0xDC00..=0xDFFF)) => (12, None),
        Some(0xD800..=0xDFFF) => (6, Some("\u{fffd}".to_owned())),
        Some(_) => (6, None),
        None if text.starts_with("\\'") => (1, Some(String::new())),
        None => (1, Some("\\\\".to_owned())),
    }
}

/// How long the word or number is that a text begins with, and the JSON text of it if JSON has no such.
fn bare(text: &str) -> (usize, Option<String>) {
    let length = text.bytes().take_while(|byte| matches!(byte, b'+' | b'-' | b'.') || byte.is_ascii_alphanumeric());
    let word = &text[..length.count()];
    let known = serde_json::from_str::<Value>(word).is_ok();
    (word.len(), (!known).then(|| format!("\"{word}\"")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_many_writers_get_wrong_is_mended_and_nothing_else() {
        for (text, value) in [
            ("\u{feff}\u{feff} {\"a\":1}\r\n", json!({ "a": 1 })),
            ("\u{ef}\u{bb}\u{bf}[1]", json!([1])),
            (r#"["gate \ud83d"]"#, json!(["gate \u{fffd}"])),
            (r#"["\udc4d gate"]"#, json!(["\u{fffd} gate"])),
            (r#"["\ud83d\udc4d\ud83d"]"#, json!(["\u{1f44d}\u{fffd}"])),
            (r#"["\ud83d\u0041", "\\ud83d", "\u00e9"]"#, json!(["\u{fffd}A", "\\ud83d", "\u{e9}"])),
            ("[\"one\n\ttwo\u{0}\"]", json!(["one\n\ttwo\u{0}"])),
            (r#"["O\'Neil", "C:\x", "\u12", "\u+123", "\é"]"#, json!(["O'Neil", "C:\\x", "\\u12", "\\u+123", "\\é"])),
            (
                r#"{"a":NaN,"b":-Infinity,"c":1e999,"d":.5,"e":"NaN",f:True}"#,
                json!({ "a": "NaN", "b": "-Infinity", "c": "1e999", "d": ".5", "e": "NaN", "f": "True" }),
            ),
        ] {
            assert_eq!(read::<Value>(text).unwrap().value, value, "{text}");
        }
        for text in ["", "{", "[1 2]", "{\"a\":1", "[\"\\", "nothing", "{\"a\":1,}"] {
            assert!(matches!(read::<Value>(text), Err(JsonError::NotJson { .. })), "{text}");
        }
        // Byte for byte, where nothing is wrong.
        let right = r#"{"b": 1.50, "a": ["\u00e9"]}"#;
        assert_eq!(read::<Value>(right).unwrap().text, right);
    }

    #[test]
    fn every_depth_is_as_lenient_as_the_outermost() {
        let mut text = "\u{feff}{\"notes\": \"gate \\ud83d\tleft\", \"far\": NaN}".to_owned();
        for _ in 0..6 {
            let json = unwrapped(&text).unwrap();
            assert_eq!(json.value, json!({ "notes": "gate \u{fffd}\tleft", "far": "NaN" }));
            assert_eq!(json.text, "{\"notes\": \"gate \u{fffd}\\u0009left\", \"far\": \"NaN\"}");
            text = Value::from(text).to_string();
        }
    }

    #[test]
    fn values_up_to_the_limit() {
        // The list itself is one of them, and what is in a text is none.
        let list = |values: usize| format!("[{}\"\\\",[{{\"]", "1,".repeat(values - 1));
        for (text, fine) in [(list(MAX_VALUES), true), (list(MAX_VALUES + 1), false)] {
            assert_eq!(has_too_many_values(&text), !fine);
            assert_eq!(unwrapped(&Value::from(text).to_string()).is_ok(), fine);
        }
    }

    #[test]
    fn depth_up_to_the_limit() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(read::<Value>(&nested(MAX_DEPTH)).is_ok());
        let error = read::<Value>(&nested(MAX_DEPTH + 1)).unwrap_err();
        assert_eq!(error.to_string(), "is nested too deep: at most 127 levels are read");
        assert_eq!(unwrapped(&Value::from(nested(MAX_DEPTH + 1)).to_string()).unwrap_err(), error);
        let error = read::<Value>("[1 2]").unwrap_err();
        assert_eq!(error.to_string(), "is not valid JSON (line 1, column 4)");
    }
}
