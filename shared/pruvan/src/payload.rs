//! The POST variable `payload`: one JSON object, the same envelope for all four web services.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::lenient::{MAX_DEPTH, MAX_VALUES, has_too_many_values, is_too_deep};

/// More fields than any payload has: *Available uploadPictures Object Fields* names some 80, and all that come are
/// kept.
pub const MAX_FIELDS: usize = 1_000;

/// Why a payload could not be read. The messages are shown in Pruvan as they are (*Testing*, *General*), so each says
/// what to do about it and none repeats what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Neither a form field `payload` nor a JSON body.
    #[error("the request has no \"payload\": send a form field named payload that holds a JSON object")]
    Missing,
    /// Not JSON. Positions are counted in the payload, from 1.
    #[error(
        "the payload is not valid JSON (line {line}, column {column}): check quotes, commas and that it is complete"
    )]
    NotJson {
        /// Line of the fault.
        line: usize,
        /// Column of the fault.
        column: usize,
    },
    /// JSON, but a list, number or text.
    #[error("the payload must be a JSON object, such as {{\"username\": ...}}")]
    NotAnObject,
    /// The body ended before its end mark, or its parts could not be told apart.
    #[error("the request was cut short or garbled on its way: send it again")]
    Garbled,
    /// More form fields than any Pruvan client sends.
    #[error("the request has too many form fields: send payload and file only")]
    TooManyFields,
    /// A multipart boundary longer than any client makes.
    #[error("the request's multipart boundary is too long: send one of at most 70 characters")]
    LongBoundary,
    /// A part of the form has more, or longer, headers than any client sends.
    #[error("a part of the request has too many or too long headers: send its name and file name only")]
    LongHeaders,
    /// Lists in lists, or objects in objects, deeper than any payload.
    #[error("the payload is nested too deep: at most {MAX_DEPTH} levels are read")]
    TooDeep,
    /// More than [`MAX_FIELDS`].
    #[error("the payload has too many fields: at most {MAX_FIELDS} are read")]
    TooManyNames,
    /// More than [`MAX_VALUES`].
    #[error("the payload has too many values: at most {MAX_VALUES} are read, so send fewer work orders at a time")]
    TooManyValues,
}

/// Reads the text of the form field `payload` as a JSON object; a JSON string that holds one is read as well.
pub fn parse(text: &str) -> Result<Map<String, Value>, PayloadError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(PayloadError::Missing);
    }
    let mended = without_lone_surrogates(text);
    let text = mended.as_deref().unwrap_or(text);
    let value = match json(text)? {
        Value::String(inner) => json(&inner)?,
        value => value,
    };
    match value {
        Value::Object(map) if map.len() > MAX_FIELDS => Err(PayloadError::TooManyNames),
        Value::Object(map) => Ok(map),
        _ => Err(PayloadError::NotAnObject),
    }
}

fn json(text: &str) -> Result<Value, PayloadError> {
    if has_too_many_values(text) {
        return Err(PayloadError::TooManyValues);
    }
    serde_json::from_str(text).map_err(|error| match is_too_deep(&error) {
        true => PayloadError::TooDeep,
        false => PayloadError::NotJson { line: error.line(), column: error.column() },
    })
}

/// The field `name` of the payload in `text` exactly as it stands there, if it is there: a survey goes back as it came,
/// with its own order of keys.
pub fn verbatim(text: &str, name: &str) -> Option<String> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let mended = without_lone_surrogates(text);
    let text = mended.as_deref().unwrap_or(text);
    let inner: Option<String> = if text.starts_with('"') { serde_json::from_str(text).ok() } else { None };
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(inner.as_deref().unwrap_or(text)).ok()?;
    fields.get(name).map(|value| value.get().to_owned())
}

/// The text with each escaped half of a surrogate pair replaced by U+FFFD, if there is one: a note that a client cut in
/// the middle of an emoji must not keep a photo out.
fn without_lone_surrogates(text: &str) -> Option<String> {
    let half = |at: usize| -> Option<u16> {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut mended, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(backslash) = text.get(at..).and_then(|rest| rest.find('\\')) {
        at += backslash;
        at += match half(at) {
            Some(0xD800..=0xDBFF) if matches!(half(at + 6), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                mended.push_str(&text[copied..at]);
                mended.push('\u{fffd}');
                copied = at + 6;
                6
            }
            _ => 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
        };
    }
    (copied > 0).then(|| mended + &text[copied..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_plain_and_encoded() {
        let map = json!({"username": "u"});
        assert_eq!(Value::Object(parse(&map.to_string()).unwrap()), map);
        assert_eq!(Value::Object(parse(&Value::String(map.to_string()).to_string()).unwrap()), map);
        assert_eq!(Value::Object(parse(&format!("\u{feff} {map} ")).unwrap()), map);
    }

    #[test]
    fn a_field_is_given_as_it_stands() {
        let raw = r#"{"b": 1.50, "a": [1e2]}"#;
        let payload = format!("{{\"x\":1,\"survey\": {raw} }}");
        assert_eq!(verbatim(&payload, "survey").as_deref(), Some(raw));
        assert_eq!(verbatim(&Value::String(payload).to_string(), "survey").as_deref(), Some(raw));
        assert_eq!(verbatim("{}", "survey"), None);
        assert_eq!(verbatim("{", "survey"), None);
    }

    #[test]
    fn half_an_emoji_is_no_reason_to_refuse() {
        for (notes, read) in [
            (r"gate \ud83d", "gate \u{fffd}"),
            (r"\udc4d gate", "\u{fffd} gate"),
            (r"\ud83d\udc4d\ud83d", "\u{1f44d}\u{fffd}"),
            (r"\\ud83d \u00e9", "\\ud83d \u{e9}"),
        ] {
            assert_eq!(parse(&format!("{{\"notes\":\"{notes}\"}}")).unwrap()["notes"], read, "{notes}");
        }
    }

    #[test]
    fn faults_are_named_and_nothing_is_repeated() {
        assert_eq!(parse("  "), Err(PayloadError::Missing));
        assert_eq!(parse("[1]"), Err(PayloadError::NotAnObject));
        assert_eq!(parse("\"[1]\""), Err(PayloadError::NotAnObject));
        let error = parse("{\"token\": \"sesame\",").unwrap_err();
        assert!(matches!(error, PayloadError::NotJson { line: 1, .. }));
        assert!(!error.to_string().contains("sesame"));
    }

    #[test]
    fn limits_act_one_past_them() {
        let nested = |levels: usize| format!("{{\"survey\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(&nested(MAX_DEPTH - 1)).is_ok());
        let deeper = nested(MAX_DEPTH);
        for deep in
            [&deeper, &Value::from(deeper.as_str()).to_string(), &"[".repeat(100_000), &"{\"a\":".repeat(100_000)]
        {
            assert_eq!(parse(deep), Err(PayloadError::TooDeep));
        }
        assert_eq!(PayloadError::TooDeep.to_string(), "the payload is nested too deep: at most 127 levels are read");
        let fields =
            |count: usize| Value::Object((0..count).map(|n| (n.to_string(), Value::Null)).collect()).to_string();
        assert_eq!(parse(&fields(MAX_FIELDS)).map(|map| map.len()), Ok(MAX_FIELDS));
        for many in [fields(MAX_FIELDS + 1), Value::from(fields(MAX_FIELDS + 1)).to_string()] {
            assert_eq!(parse(&many), Err(PayloadError::TooManyNames));
        }
        // The object and the list are two of them.
        let values = |count: usize| format!("{{\"a\":[{}1]}}", "1,".repeat(count - 2));
        assert!(parse(&values(MAX_VALUES)).is_ok());
        for many in [values(MAX_VALUES + 1), Value::from(values(MAX_VALUES + 1)).to_string()] {
            assert_eq!(parse(&many), Err(PayloadError::TooManyValues));
        }
    }
}
