//! The POST variable `payload`: one JSON object, the same envelope for all four web services.

use serde_json::{Map, Value};

/// Why a payload could not be read. The messages are shown in Pruvan as they are (*Testing*, *General*), so each says what
/// to do about it and none repeats what was sent.
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
}

/// Reads the text of the form field `payload` as a JSON object; a JSON string that holds one is read as well.
pub fn parse(text: &str) -> Result<Map<String, Value>, PayloadError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(PayloadError::Missing);
    }
    let not_json = |error: serde_json::Error| PayloadError::NotJson { line: error.line(), column: error.column() };
    match serde_json::from_str(text).map_err(not_json)? {
        Value::Object(map) => Ok(map),
        Value::String(inner) => match serde_json::from_str(&inner).map_err(not_json)? {
            Value::Object(map) => Ok(map),
            _ => Err(PayloadError::NotAnObject),
        },
        _ => Err(PayloadError::NotAnObject),
    }
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
    fn faults_are_named_and_nothing_is_repeated() {
        assert_eq!(parse("  "), Err(PayloadError::Missing));
        assert_eq!(parse("[1]"), Err(PayloadError::NotAnObject));
        assert_eq!(parse("\"[1]\""), Err(PayloadError::NotAnObject));
        let error = parse("{\"token\": \"sesame\",").unwrap_err();
        assert!(matches!(error, PayloadError::NotJson { line: 1, .. }));
        assert!(!error.to_string().contains("sesame"));
        let deep = "[".repeat(100_000);
        assert!(parse(&deep).is_err());
    }
}
