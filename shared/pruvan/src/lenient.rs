//! Reading values that may come in any of several JSON types.
//!
//! Live traffic has `"authenticated":"1"` beside `"timestamp":1414434590`, and nothing is said as `null`, `"null"`,
//! `""` or by leaving the key out. None of these functions fails: a value that can't be read as asked is `None`, and
//! the caller still has the original.

use serde_json::{Map, Value};

/// Nothing: `null`, a string that is blank, or the word "null" (the specification itself writes 'value is "null"').
pub fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => matches!(text.trim(), "" | "null"),
        _ => false,
    }
}

/// The value as text: strings trimmed, numbers and booleans as JSON writes them, arrays and objects as compact JSON.
pub fn text(value: &Value) -> Option<String> {
    match value {
        _ if is_nothing(value) => None,
        Value::String(text) => Some(text.trim().to_owned()),
        other => Some(other.to_string()),
    }
}

/// A whole number, from a number or from digits in a string. Fractions are cut off.
pub fn integer(value: &Value) -> Option<i64> {
    let whole = |float: f64| (float.is_finite() && float.abs() < 9e15).then_some(float as i64);
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole)),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| text.parse::<f64>().ok().and_then(whole))
        }
        _ => None,
    }
}

/// A number, from a number or a string; never infinite or NaN.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
    .filter(|number: &f64| number.is_finite())
}

/// Yes or no, from a boolean, `1`/`0`, or one of the words true/false, yes/no, on/off.
pub fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => number.as_f64().map(|number| number != 0.0),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Some(true),
            "0" | "false" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// More values than any payload holds, at whatever depth: a status report of 5,000 orders has some 50,000. Parsed, an
/// object of one field takes eighty times the room of its text, and the smallest function has 256 MB.
pub const MAX_VALUES: usize = 200_000;

/// So many levels `serde_json` goes down, and no further.
pub const MAX_DEPTH: usize = 127;

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

/// Whether a text is no JSON for us only because it goes deeper than [`MAX_DEPTH`].
pub fn is_too_deep(error: &serde_json::Error) -> bool {
    // The error has no other sign of it.
    error.is_syntax() && error.to_string().starts_with("recursion limit exceeded")
}

/// What is wrong with a text that was to be JSON, to be put behind what it is.
pub fn not_json(error: &serde_json::Error) -> String {
    match is_too_deep(error) {
        true => format!("is nested too deep: at most {MAX_DEPTH} levels are read"),
        false => format!("is not valid JSON (line {}, column {})", error.line(), error.column()),
    }
}

/// An object or array, also when it comes as a JSON string, once or twice encoded; of at most [`MAX_VALUES`] then.
pub fn structure(value: &Value) -> Option<Value> {
    let mut value = value.clone();
    for _ in 0..3 {
        match value {
            Value::Object(_) | Value::Array(_) => return Some(value),
            Value::String(text) if has_too_many_values(&text) => return None,
            Value::String(text) => value = serde_json::from_str(&text).ok()?,
            _ => return None,
        }
    }
    None
}

/// [`text`] of the field `name`, `None` when it is missing.
pub fn text_field(map: &Map<String, Value>, name: &str) -> Option<String> {
    map.get(name).and_then(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_way_of_saying_nothing() {
        for nothing in [json!(null), json!(""), json!("  "), json!("null")] {
            assert_eq!(text(&nothing), None, "{nothing}");
        }
        assert_eq!(text(&json!("nullable")), Some("nullable".into()));
    }

    #[test]
    fn scalars_in_any_type() {
        assert_eq!(text(&json!(78664)), Some("78664".into()));
        assert_eq!(text(&json!({"a": 1})), Some(r#"{"a":1}"#.into()));
        assert_eq!(integer(&json!("1414434574")), Some(1414434574));
        assert_eq!(integer(&json!(1414434574.9)), Some(1414434574));
        assert_eq!(integer(&json!(1e300)), None);
        assert_eq!(number(&json!("-97.67852886")), Some(-97.67852886));
        assert_eq!(number(&json!("inf")), None);
        assert_eq!(flag(&json!("1")), Some(true));
        assert_eq!(flag(&json!(0)), Some(false));
        assert_eq!(flag(&json!("maybe")), None);
    }

    #[test]
    fn values_up_to_the_limit() {
        // The list itself is one of them, and what is in a text is none.
        let list = |values: usize| format!("[{}\"\\\",[{{\"]", "1,".repeat(values - 1));
        for (text, fine) in [(list(MAX_VALUES), true), (list(MAX_VALUES + 1), false)] {
            assert_eq!(has_too_many_values(&text), !fine);
            assert_eq!(structure(&Value::String(text)).is_some(), fine);
        }
    }

    #[test]
    fn depth_up_to_the_limit() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(serde_json::from_str::<Value>(&nested(MAX_DEPTH)).is_ok());
        let error = serde_json::from_str::<Value>(&nested(MAX_DEPTH + 1)).unwrap_err();
        assert_eq!(not_json(&error), "is nested too deep: at most 127 levels are read");
        assert_eq!(structure(&Value::String(nested(MAX_DEPTH + 1))), None);
        let error = serde_json::from_str::<Value>("[1 2]").unwrap_err();
        assert_eq!(not_json(&error), "is not valid JSON (line 1, column 4)");
    }

    #[test]
    fn json_inside_json() {
        let survey = json!({"answers": []});
        let once = Value::String(survey.to_string());
        let twice = Value::String(once.to_string());
        for form in [survey.clone(), once, twice] {
            assert_eq!(structure(&form), Some(survey.clone()));
        }
        assert_eq!(structure(&json!("not json")), None);
        assert_eq!(structure(&json!(3)), None);
    }
}
