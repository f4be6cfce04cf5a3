//! The POST variable `payload`: one JSON object, the same envelope for all four web services.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::encoding::without_mark;
use crate::json::{Json, JsonError, MAX_DEPTH, MAX_VALUES, unwrapped};
use crate::lenient::structure;

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
    /// Compressed in a way that isn't read.
    #[error("the request is compressed in a way that is not read here: send it as it is, or in gzip")]
    Packed,
    /// Unpacked it has more bytes than any request may have.
    #[error("the request is too long once it is unpacked: send a smaller file")]
    TooLong,
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

impl From<JsonError> for PayloadError {
    fn from(error: JsonError) -> PayloadError {
        match error {
            JsonError::NotJson { line, column } => PayloadError::NotJson { line, column },
            JsonError::TooDeep => PayloadError::TooDeep,
            JsonError::TooManyValues => PayloadError::TooManyValues,
        }
    }
}

/// Reads the text of the form field `payload` as a JSON object; a JSON string that holds one is read as well, and so is
/// one in a field `payload` of its own.
pub fn parse(text: &str) -> Result<Map<String, Value>, PayloadError> {
    let (fields, _) = envelope(text)?;
    if fields.len() > MAX_FIELDS { Err(PayloadError::TooManyNames) } else { Ok(fields) }
}

/// The field `name` of the payload in `text` as it stands there, if it is there: a survey goes back as it came, with
/// its own order of keys.
pub fn verbatim(text: &str, name: &str) -> Option<String> {
    let (_, text) = envelope(text).ok()?;
    field(&text, name).map(str::to_owned)
}

/// The payload's fields, and the JSON object that they stand in.
fn envelope(text: &str) -> Result<(Map<String, Value>, Cow<'_, str>), PayloadError> {
    if without_mark(text.trim()).trim().is_empty() {
        return Err(PayloadError::Missing);
    }
    let (fields, text) = object(unwrapped(text)?)?;
    // A client that posts JSON may post the form's one field as it is named.
    let wrapped = !fields.contains_key("username") && fields.get("payload").and_then(structure).is_some();
    match field(&text, "payload").filter(|_| wrapped) {
        Some(inner) => {
            let (fields, text) = object(unwrapped(inner)?)?;
            Ok((fields, text.into_owned().into()))
        }
        None => Ok((fields, text)),
    }
}

fn object(json: Json<'_>) -> Result<(Map<String, Value>, Cow<'_, str>), PayloadError> {
    match json.value {
        Value::Object(fields) => Ok((fields, json.text)),
        _ => Err(PayloadError::NotAnObject),
    }
}

/// The JSON of one field of the object that a text is.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    fields.get(name).map(|value| value.get())
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
    fn the_faults_of_its_writers_keep_no_photo_out() {
        let notes = |text: &str| parse(text).unwrap()["notes"].clone();
        assert_eq!(notes(r#"{"notes":"gate \ud83d"}"#), "gate \u{fffd}");
        assert_eq!(notes("{\"notes\":\"gate\n\tleft\",\"gpsAccuracy\":NaN}"), "gate\n\tleft");
        let twice = Value::from(r#"{"notes":"gate \ud83d","survey":{"a":"\ud83d"}}"#).to_string();
        assert_eq!(notes(&twice), "gate \u{fffd}");
        assert_eq!(verbatim(&twice, "survey").as_deref(), Some("{\"a\":\"\u{fffd}\"}"));
    }

    #[test]
    fn a_payload_may_stand_in_a_field_of_that_name() {
        let inner = json!({ "username": "u", "survey": { "b": 1, "a": 2 } });
        for wrapped in
            [json!({ "payload": inner }), json!({ "payload": inner.to_string() }), json!({ "x": 1, "payload": inner })]
        {
            assert_eq!(Value::Object(parse(&wrapped.to_string()).unwrap()), inner);
        }
        assert_eq!(verbatim(r#"{"payload":{"survey": {"b":1,"a":2}}}"#, "survey").as_deref(), Some(r#"{"b":1,"a":2}"#));
        // One that has a name beside it is a field like others.
        let own = json!({ "username": "u", "payload": { "username": "v" } });
        assert_eq!(Value::Object(parse(&own.to_string()).unwrap()), own);
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
