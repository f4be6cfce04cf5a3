//! JSON with the faults of its writers: `shared/pruvan/src/json.rs`. An input is the text.

use pruvan::encoding::decode;
use pruvan::json::{self, JsonError};
use pruvan::lenient::{list, structure};
use serde_json::{Value, json};

use crate::choices::Choices;
use crate::{Target, Whole};

pub const JSON: Target = Target {
    name: "json",
    about: "JSON with byte order marks, halves of surrogate pairs, bare words, and in texts of its own",
    make,
    any,
    floods: &[
        ("", "[", ""),
        ("[\"", "\\ud83d", "\"]"),
        ("[\"", "\t", "\"]"),
        ("[", "NaN,", "1]"),
        ("[", "N", "]"),
        ("[", "-", "]"),
        ("[\"", "\\", "\"]"),
        ("", "\u{feff}", "{}"),
        ("\"", "\\\"", "\""),
        ("{", "\"0\":1,", "\"0\":1}"),
    ],
    most: 500_000,
};

/// A text in JSON as somebody writes it, and what must be read.
fn text(choices: &mut Choices) -> (String, String) {
    const FAULTS: [(&str, &str); 9] = [
        ("\\ud83d", "\u{fffd}"),
        ("\\udc4d\\ud83d", "\u{fffd}\u{fffd}"),
        ("\\ud83d\\udc4d", "\u{1f44d}"),
        ("\t", "\t"),
        ("\r\n", "\r\n"),
        ("\u{1}", "\u{1}"),
        ("\\'", "'"),
        ("\\x", "\\x"),
        ("\\u12", "\\u12"),
    ];
    let (mut written, mut read) = (String::new(), String::new());
    for _ in 0..choices.below(4) {
        let word = choices.word();
        let (fault, meant) = *choices.one(&FAULTS);
        // What comes after an escape must not look like more of it.
        written.push_str(&format!("{word} {fault} "));
        read.push_str(&format!("{word} {meant} "));
    }
    (written, read)
}

fn value(choices: &mut Choices, depth: usize) -> (String, Value) {
    const WORDS: [&str; 6] = ["NaN", "-Infinity", "1e999", ".5", "007", "True"];
    match choices.below(if depth == 0 { 3 } else { 5 }) {
        0 => {
            let word = *choices.one(&WORDS);
            (word.to_owned(), json!(word))
        }
        1 => {
            let (written, read) = text(choices);
            (format!("\"{written}\""), json!(read))
        }
        2 => (" 12 ".to_owned(), json!(12)),
        3 => {
            let items: Vec<(String, Value)> = (0..choices.below(4)).map(|_| value(choices, depth - 1)).collect();
            let written: Vec<&str> = items.iter().map(|(written, _)| written.as_str()).collect();
            (format!("[{}]", written.join(",")), items.iter().map(|(_, value)| value.clone()).collect())
        }
        _ => {
            let (written, read) = value(choices, depth - 1);
            let (key, meant) = text(choices);
            (format!("{{\"{key}\":{written}}}"), json!({ meant: read }))
        }
    }
}

fn make(choices: &mut Choices) -> (Vec<u8>, Whole) {
    let (written, read) = value(choices, 4);
    let mut text = format!("{}[{written}]", choices.one(&["", "\u{feff}", "\u{ef}\u{bb}\u{bf}\r\n"]));
    for _ in 0..choices.below(5) {
        text = Value::from(text).to_string();
    }
    let input = text.clone().into_bytes();
    let check = move || {
        let value = json::unwrapped(&text).unwrap_or_else(|error| panic!("a small fault is refused: it {error}")).value;
        assert_eq!(value, json!([read]));
    };
    (input, Box::new(check))
}

fn any(input: &[u8]) {
    let text = decode(input);
    assert!(!text.starts_with('\u{feff}'));
    let strict = serde_json::from_str::<Value>(&text);
    match (json::read::<Value>(&text), strict) {
        (Ok(read), strict) => {
            assert_eq!(serde_json::from_str::<Value>(&read.text).ok().as_ref(), Some(&read.value), "its text says so");
            if let Ok(strict) = strict {
                assert_eq!((read.text.as_ref(), &read.value), (text.trim(), &strict), "what is right stays");
            }
            if let Some(items) = list(&read.value) {
                let given = structure(&read.value).unwrap_or_default();
                assert_eq!(
                    items.len(),
                    given.as_array().map_or_else(|| given.as_object().map_or(0, |map| map.len()), Vec::len)
                );
            }
        }
        (Err(error), Ok(_)) => panic!("what is right is refused: {error}"),
        (Err(_), Err(_)) => {}
    }
    if let Ok(json) = json::unwrapped(&text) {
        assert!(!json.value.is_string(), "nothing is left in a text");
        assert!(matches!(json::unwrapped(&json.text), Ok(again) if again.value == json.value));
    } else if let Err(error) = json::unwrapped(&text) {
        assert!(matches!(error, JsonError::NotJson { .. } | JsonError::TooDeep | JsonError::TooManyValues));
    }
}
