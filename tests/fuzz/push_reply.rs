//! What Pruvan says to a push: `shared/pruvan/src/push.rs`. An input is the body.

use pruvan::encoding::decode;
use pruvan::json::unwrapped;
use pruvan::lenient::{list, structure};
use pruvan::push::{PushError, PushReply};
use serde_json::{Value, json};

use crate::choices::Choices;
use crate::{Target, Whole};

pub const PUSH_REPLY: Target = Target {
    name: "pushReply",
    about: "the reply of the Push API",
    make,
    any,
    floods: &[
        ("", "[", ""),
        ("{\"error\":[", "\"a\",", "\"a\"]}"),
        ("{\"error\":[", "{\"workOrderNumber\":\"A::1\"},", "{}]}"),
        ("{\"response\":{\"created\":", "9", "}}"),
        ("{\"response\":false,\"error\":\"", "invalid ", "\"}"),
        ("", "\u{feff}", "{}"),
    ],
    // No more of a reply is read.
    most: 64 * 1024,
};

/// A count in any of the types in which it may come.
fn count(choices: &mut Choices, count: usize) -> Value {
    match choices.below(4) {
        0 => json!(count.to_string()),
        1 => json!(count as f64),
        2 if count == 0 => Value::Null,
        _ => json!(count),
    }
}

fn make(choices: &mut Choices) -> (Vec<u8>, Whole) {
    let sent: Vec<String> = (0..choices.below(6)).map(|number| format!("{}{number}", choices.word())).collect();
    let (mut counts, mut errors, mut refused) = ([0usize; 3], Vec::new(), Vec::new());
    for number in &sent {
        if choices.once_in(3) {
            let error = choices.plain(30);
            let displayed = format!("{}{number}", choices.one(&["", "SMC::"]));
            errors.push(json!({ "workOrderNumber": displayed, "error": error }));
            refused.push(PushError { work_order_number: number.clone(), error });
        } else {
            counts[choices.below(3)] += 1;
        }
    }
    let [created, updated, deleted] = counts.map(|count| u64::try_from(count).unwrap_or(0));
    let error = match errors.as_slice() {
        [] => {
            choices.one(&[Value::Null, json!(""), json!("null"), json!([]), json!({}), json!(0), json!(false)]).clone()
        }
        [single] if choices.once_in(2) => single.clone(),
        // As PHP writes a list that has gaps.
        _ if choices.once_in(3) => {
            let gaps = errors.into_iter().enumerate().map(|(index, error)| ((2 * index).to_string(), error));
            Value::Object(gaps.collect())
        }
        _ => Value::from(errors),
    };
    let [c, u, d] = counts.map(|number| count(choices, number));
    let mut reply = json!({ "response": { "created": c, "updated": u, "deleted": d }, "error": error });
    let mut expected = PushReply::Counted { created, updated, deleted, errors: refused, error: None };
    let of_all = [
        ("invalid clientCode", PushReply::BadKey("invalid clientCode".to_owned())),
        ("Limit exceeded", PushReply::Later("Limit exceeded".to_owned())),
        ("no such thing", PushReply::Refused("no such thing".to_owned())),
    ];
    match choices.below(8) {
        0 => {
            let (error, meant) = choices.one(&of_all);
            (reply, expected) = (json!({ "response": false, "error": error }), meant.clone());
        }
        1 => (reply, expected) = (json!({ "response": true, "error": "success" }), PushReply::BodyNotSeen),
        _ => {}
    }
    let body =
        format!("{}{reply}{}", choices.one(&["", "", "\u{feff}", " \n"]), choices.one(&["", "\r\n"])).into_bytes();
    let input = body.clone();
    let check = move || {
        let read = PushReply::parse(&body);
        assert_eq!(read, expected);
        if let PushReply::Counted { created, updated, deleted, errors, .. } = read {
            let named = errors.len();
            assert!(usize::try_from(created + updated + deleted).is_ok_and(|taken| taken + named <= sent.len()));
            assert!(errors.iter().all(|error| sent.contains(&error.work_order_number)));
        }
    };
    (input, Box::new(check))
}

fn any(input: &[u8]) {
    let body = unwrapped(&decode(input)).ok().map(|json| json.value);
    let read = PushReply::parse(input);
    let Some(Value::Object(body)) = body else {
        assert_eq!(read, PushReply::Unreadable);
        return;
    };
    let response = body.get("response").and_then(structure);
    let response = response.as_ref().and_then(Value::as_object);
    match read {
        PushReply::Counted { created, updated, deleted, errors, .. } => {
            assert!(response.is_some() || !errors.is_empty(), "nothing says that orders were looked at");
            assert!(response.is_some() || (created, updated, deleted) == (0, 0, 0), "nothing says that any was taken");
            for (name, count) in [("created", created), ("updated", updated), ("deleted", deleted)] {
                let said = response.is_some_and(|response| response.get(name).is_some_and(|said| !said.is_array()));
                assert!(count == 0 || said, "{name} was not said");
            }
            let most = body.get("error").map_or(0, |error| list(error).map_or(1, |errors| errors.len()));
            assert!(errors.len() <= most);
            assert!(errors.iter().all(|error| !error.work_order_number.contains("::") && !error.error.is_empty()));
        }
        PushReply::BadKey(error) | PushReply::Later(error) | PushReply::Refused(error) => {
            assert!(!error.is_empty() && response.is_none());
        }
        PushReply::BodyNotSeen => assert_eq!(body.get("response"), Some(&json!(true))),
        PushReply::Unreadable => assert!(response.is_none()),
    }
}
