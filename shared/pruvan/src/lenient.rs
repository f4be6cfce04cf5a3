//! Reading values that may come in any of several JSON types.
//!
//! Live traffic has `"authenticated":"1"` beside `"timestamp":1414434590`, and nothing is said as `null`, `"null"`,
//! `""` or by leaving the key out. None of these functions fails: a value that can't be read as asked is `None`, and
//! the caller still has the original.

use serde_json::{Map, Value};

use crate::json::unwrapped;

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

/// An object or array, also when it comes as a JSON string, however often encoded: see [`unwrapped`].
pub fn structure(value: &Value) -> Option<Value> {
    match value {
        Value::Object(_) | Value::Array(_) => Some(value.clone()),
        Value::String(text) => {
            unwrapped(text).ok().map(|json| json.value).filter(|json| json.is_object() || json.is_array())
        }
        _ => None,
    }
}

/// A list, also as PHP writes one that has a gap or was sorted: an object whose keys are its indexes. In either form it
/// may be a JSON string.
pub fn list(value: &Value) -> Option<Vec<Value>> {
    match structure(value)? {
        Value::Array(items) => Some(items),
        Value::Object(fields) => {
            let items = fields.into_iter().map(|(key, item)| Some((list_index(&key)?, item)));
            let mut items = items.collect::<Option<Vec<(u32, Value)>>>()?;
            items.sort_by_key(|(index, _)| *index);
            Some(items.into_iter().map(|(_, item)| item).collect())
        }
        _ => None,
    }
}

/// The index that a key of an object stands for, as PHP writes it.
pub(crate) fn list_index(key: &str) -> Option<u32> {
    key.parse().ok().filter(|index: &u32| index.to_string() == key)
}

/// Whether PHP takes a value for no: what is nothing, `false`, `0`, and a list or object without anything in it.
pub fn is_falsy(value: &Value) -> bool {
    match value {
        Value::Bool(yes) => !yes,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => matches!(text.trim(), "0" | "false") || is_nothing(value),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Null => true,
    }
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
    fn lists_that_became_objects() {
        let list = |value: Value| list(&value);
        let items = Some(vec![json!("a"), json!("b")]);
        for form in [
            json!(["a", "b"]),
            json!({ "0": "a", "2": "b" }),
            json!({ "10": "b", "9": "a" }),
            json!("{\"1\":\"b\",\"0\":\"a\"}"),
        ] {
            assert_eq!(list(form), items);
        }
        assert_eq!((list(json!({})), list(json!([]))), (Some(vec![]), Some(vec![])));
        for other in
            [json!({ "a": 1 }), json!({ "0": 1, "a": 1 }), json!({ "01": 1 }), json!({ "-1": 1 }), json!("a"), json!(1)]
        {
            assert_eq!(list(other), None);
        }
    }

    #[test]
    fn what_php_takes_for_no() {
        for no in [json!(null), json!(false), json!(0), json!(0.0), json!("0"), json!(""), json!([]), json!({})] {
            assert!(is_falsy(&no), "{no}");
        }
        for yes in [json!(true), json!(1), json!("a"), json!([0]), json!({ "a": 0 })] {
            assert!(!is_falsy(&yes), "{yes}");
        }
    }

    #[test]
    fn json_inside_json() {
        let survey = json!({"answers": []});
        let once = Value::String(survey.to_string());
        let twice = Value::String(once.to_string());
        let often = Value::String(Value::String(twice.to_string()).to_string());
        for form in [survey.clone(), once, twice, often] {
            assert_eq!(structure(&form), Some(survey.clone()));
        }
        assert_eq!(structure(&json!("not json")), None);
        assert_eq!(structure(&json!(3)), None);
    }
}
