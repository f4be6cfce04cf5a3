//! *Pruvan Push API*: changes go to Pruvan in a form field `workOrders`, posted to the account's push key.

use serde_json::Value;

use crate::encoding::decode;
use crate::get_work_orders::append_order;
use crate::json::unwrapped;
use crate::lenient::{integer, is_falsy, list, structure, text, text_field};

/// The form field that carries a push.
pub const FORM_FIELD: &str = "workOrders";

/// Builds `{"workOrders":[…]}` out of orders that are JSON already.
#[derive(Debug)]
pub struct PushRequest {
    body: String,
    count: usize,
}

impl Default for PushRequest {
    fn default() -> PushRequest {
        PushRequest { body: "{\"workOrders\":[".to_owned(), count: 0 }
    }
}

impl PushRequest {
    /// Adds a work order: `document` is a JSON object with at least one field, `directives` further fields of it, as
    /// printed by [`crate::work_order::Directives::fragment`]. `force` overrides what an external integration may not
    /// set (*Force Updates*).
    pub fn push(&mut self, document: &str, directives: &str, force: bool) {
        if self.count > 0 {
            self.body.push(',');
        }
        if force {
            append_order(&mut self.body, document, &format!("\"force\":true,{directives}"));
        } else {
            append_order(&mut self.body, document, directives);
        }
        self.count += 1;
    }

    /// How many orders have been written so far.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True before the first order.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes so far, before form encoding.
    pub fn size(&self) -> usize {
        self.body.len()
    }

    /// The value of the form field.
    pub fn finish(mut self) -> String {
        self.body.push_str("]}");
        self.body
    }
}

/// What Pruvan says to a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushReply {
    /// `{"response":{"created":0,"updated":1,"deleted":0},"error":null}`: the orders were looked at.
    Counted {
        /// Orders that were new.
        created: u64,
        /// Orders that were known.
        updated: u64,
        /// How many orders Pruvan deleted.
        deleted: u64,
        /// Orders that were refused, each with its reason; the others were taken.
        errors: Vec<PushError>,
        /// An error that names no order.
        error: Option<String>,
    },
    /// `{"response":false,"error":"invalid clientCode"}`: the push key is dead. A new one comes with the next validate.
    BadKey(String),
    /// `{"response":false,"error":"limit exceeded"}`: nothing was taken, for a reason that lies in no order.
    Later(String),
    /// `{"response":false,"error":"…"}`: nothing was taken, for another reason.
    Refused(String),
    /// `{"response":true,"error":"success"}`: the answer to a GET. Pruvan didn't see the body, and started an import.
    BodyNotSeen,
    /// Not a reply of the Push API: a maintenance page, a cut body.
    Unreadable,
}

/// One order that Pruvan refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushError {
    /// The host's number, without a client code.
    pub work_order_number: String,
    /// Why Pruvan refused it, in its own words.
    pub error: String,
}

impl PushReply {
    /// Reads a body, whatever its content type: Pruvan sends JSON as text/html.
    pub fn parse(body: &[u8]) -> PushReply {
        let Ok(Value::Object(reply)) = unwrapped(&decode(body)).map(|json| json.value) else {
            return PushReply::Unreadable;
        };
        let (errors, error) = match reply.get("error").filter(|error| !is_falsy(error)) {
            Some(given @ (Value::Array(_) | Value::Object(_))) => {
                let errors = list(given).unwrap_or_else(|| vec![given.clone()]);
                let errors = errors.iter().filter(|error| !is_falsy(error));
                let (named, unnamed): (Vec<_>, Vec<_>) = errors.map(order_error).partition(Result::is_ok);
                let unnamed: Vec<String> = unnamed.into_iter().filter_map(Result::err).collect();
                (named.into_iter().flatten().collect(), (!unnamed.is_empty()).then(|| unnamed.join("; ")))
            }
            Some(other) => (Vec::new(), text(other)),
            None => (Vec::new(), None),
        };
        let response = reply.get("response").map(|response| structure(response).unwrap_or_else(|| response.clone()));
        match &response {
            Some(Value::Object(counts)) => {
                let count =
                    |name| counts.get(name).and_then(integer).and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
                PushReply::Counted {
                    created: count("created"),
                    updated: count("updated"),
                    deleted: count("deleted"),
                    errors,
                    error,
                }
            }
            Some(Value::Bool(true)) => PushReply::BodyNotSeen,
            _ => match (errors.is_empty(), error) {
                (false, error) => PushReply::Counted { created: 0, updated: 0, deleted: 0, errors, error },
                (true, Some(error)) if means_bad_key(&error) => PushReply::BadKey(error),
                (true, Some(error)) if means_later(&error) => PushReply::Later(error),
                (true, Some(error)) => PushReply::Refused(error),
                (true, None) => PushReply::Unreadable,
            },
        }
    }
}

/// Whether an error that names no order says that the push key is no good.
fn means_bad_key(error: &str) -> bool {
    let error = error.to_ascii_lowercase();
    let says = |words: [&str; 2]| words.iter().all(|word| error.contains(word));
    says(["invalid", "clientcode"])
        || says(["invalid", "client code"])
        || says(["invalid", "apikey"])
        || says(["invalid", "api key"])
        || says(["invalid", "push key"])
        || says(["invalid", "pushkey"])
}

/// Whether an error that names no order says that it is not the time: no order is at fault then. How Pruvan words it is
/// not documented.
fn means_later(error: &str) -> bool {
    const WORDS: [&str; 8] = [
        "limit exceeded",
        "rate limit",
        "hourly limit",
        "too many requests",
        "maintenance",
        "unavailable",
        "try again",
        "busy",
    ];
    let error = error.to_ascii_lowercase();
    WORDS.iter().any(|words| error.contains(words))
}

fn order_error(value: &Value) -> Result<PushError, String> {
    let named = value.as_object().and_then(|fields| {
        let number = text_field(fields, "workOrderNumber")?;
        Some(PushError {
            work_order_number: crate::status::host_number(&number).to_owned(),
            error: text_field(fields, "error").unwrap_or_else(|| "refused without a reason".to_owned()),
        })
    });
    named.ok_or_else(|| text(value).unwrap_or_else(|| "an empty error".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(body: &str) -> PushReply {
        PushReply::parse(body.as_bytes())
    }

    fn counted(created: u64, updated: u64, errors: Vec<PushError>, error: Option<&str>) -> PushReply {
        PushReply::Counted { created, updated, deleted: 0, errors, error: error.map(str::to_owned) }
    }

    #[test]
    fn replies_of_every_kind() {
        for error in ["null", "\"\"", "\"null\"", "[]", "false", "{}", "0", "\"0\"", "[null]", "{\"0\":false}"] {
            let body = format!(r#"{{"response":{{"created":0,"updated":1,"deleted":0}},"error":{error}}}"#);
            assert_eq!(parse(&body), counted(0, 1, vec![], None), "{error}");
        }
        let refused = PushError { work_order_number: "2".into(), error: "no address".into() };
        assert_eq!(
            parse(
                r#"{"response":{"created":"1","updated":0,"deleted":0},"error":[{"workOrderNumber":"SMC::2","error":"no address"}]}"#
            ),
            counted(1, 0, vec![refused.clone()], None)
        );
        // A list with a gap, as PHP writes it; and halves of a surrogate pair, in JSON in a JSON text.
        let gap =
            r#"{"response":{"created":0,"updated":1},"error":{"1":{"workOrderNumber":"2","error":"no address"}}}"#;
        for body in
            [gap.to_owned(), Value::from(gap).to_string(), gap.replace("\"created\"", "\"x\":\"\\ud83d\",\"created\"")]
        {
            assert_eq!(parse(&body), counted(0, 1, vec![refused.clone()], None), "{body}");
        }
        assert_eq!(parse(r#"{"response":{"created":0},"error":"too many"}"#), counted(0, 0, vec![], Some("too many")));
        assert_eq!(
            parse(r#"{"response":false,"error":[{"workOrderNumber":"2","error":"no address"},"and more"]}"#),
            counted(0, 0, vec![refused], Some("and more"))
        );
        assert_eq!(
            parse(r#"{"response":false,"error":"invalid clientCode"}"#),
            PushReply::BadKey("invalid clientCode".into())
        );
        assert_eq!(parse(r#"{"response":false,"error":"limit"}"#), PushReply::Refused("limit".into()));
        let error = "Hourly limit exceeded, try again later";
        assert_eq!(parse(&format!(r#"{{"response":false,"error":"{error}"}}"#)), PushReply::Later(error.into()));
        for mark in ["", "\u{feff}"] {
            assert_eq!(parse(&format!(r#"{mark}{{"response":true,"error":"success"}}"#)), PushReply::BodyNotSeen);
        }
        for body in ["", "<html>down for maintenance</html>", "[]", "{}", r#"{"response":{"#, "null"] {
            assert_eq!(parse(body), PushReply::Unreadable, "{body}");
        }
    }

    #[test]
    fn requests_are_the_documented_bytes() {
        let mut request = PushRequest::default();
        request.push(r#"{"workOrderNumber":"Simple","clientStatus":"rush"}"#, "", false);
        request.push(r#"{"workOrderNumber":"2"}"#, r#""status":"assigned","#, true);
        assert_eq!(
            request.finish(),
            r#"{"workOrders":[{"workOrderNumber":"Simple","clientStatus":"rush"},{"force":true,"status":"assigned","workOrderNumber":"2"}]}"#
        );
    }

    proptest! {
        #[test]
        fn no_body_panics(body in any::<Vec<u8>>()) {
            let _ = PushReply::parse(&body);
        }
    }
}
