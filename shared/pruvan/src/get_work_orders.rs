//! *The getWorkOrders Web Service*: Pruvan pulls orders, all of them or those changed since a time.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::ascii::ascii;
use crate::credentials::Credentials;
use crate::dates::unix;
use crate::lenient::integer;

/// At most this many work orders can be retrieved in a single call (*Limits*).
pub const MAX_WORK_ORDERS: usize = 5000;

/// `{"username", "password", "token", "timestamp"}`.
#[derive(Debug)]
pub struct GetWorkOrdersRequest {
    /// Which user asks, and how that is proved.
    pub credentials: Credentials,
    /// What is asked for.
    pub mode: Mode,
}

/// Which orders Pruvan asks for (*getWorkOrders Modes*).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Full refresh (`timestamp` null): all current work orders.
    Full,
    /// Incremental: orders changed or created since then.
    Since(Timestamp),
}

impl GetWorkOrdersRequest {
    /// Reads a payload. A `timestamp` that is null, missing, `""`, `0` or unreadable asks for everything: the mistake
    /// then costs time and not orders. Seconds and milliseconds, numbers and digits in strings are understood.
    pub fn from_payload(mut payload: Map<String, Value>) -> GetWorkOrdersRequest {
        let mode = match payload.get("timestamp").and_then(integer).and_then(unix) {
            Some(since) if since > Timestamp::UNIX_EPOCH => Mode::Since(since),
            _ => Mode::Full,
        };
        GetWorkOrdersRequest { credentials: Credentials::take(&mut payload), mode }
    }
}

/// Builds `{"workOrders":[…],"error":""}` out of orders that are JSON already: bytes are copied, nothing is parsed.
#[derive(Debug)]
pub struct WorkOrdersReply {
    body: String,
    count: usize,
}

impl Default for WorkOrdersReply {
    fn default() -> WorkOrdersReply {
        WorkOrdersReply { body: "{\"workOrders\":[".to_owned(), count: 0 }
    }
}

impl WorkOrdersReply {
    /// Adds a work order: `document` is a JSON object with at least one field; `directives` are further fields of it,
    /// as printed by [`crate::work_order::Directives::fragment`].
    pub fn push(&mut self, document: &str, directives: &str) {
        if self.count > 0 {
            self.body.push(',');
        }
        append_order(&mut self.body, document, directives);
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

    /// Bytes that were added since the last time that they were taken.
    pub fn pending(&self) -> usize {
        self.body.len()
    }

    /// What was added since the last time, to be sent while the rest is still being read; room is made for as many
    /// bytes again as are expected.
    pub fn take(&mut self, expected: usize) -> String {
        std::mem::replace(&mut self.body, String::with_capacity(expected))
    }

    /// The end: with what was taken before, the whole reply.
    pub fn finish(mut self) -> String {
        self.body.push_str("],\"error\":\"\"}");
        self.body
    }
}

/// Appends `document`, a JSON object with at least one field, with the fields `directives` (`"status":"rush",` and so
/// on) put in front of its own.
pub fn append_order(body: &mut String, document: &str, directives: &str) {
    body.push('{');
    body.push_str(directives);
    body.push_str(document.strip_prefix('{').unwrap_or(document));
}

/// `{"error":"error message"}`: wrong credentials, or an exception.
#[derive(Debug, Serialize)]
pub struct GetWorkOrdersError {
    error: String,
}

impl GetWorkOrdersError {
    /// With a message that Pruvan shows as it is.
    pub fn new(error: &str) -> GetWorkOrdersError {
        GetWorkOrdersError { error: ascii(error).into_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mode(payload: Value) -> Mode {
        let Value::Object(payload) = payload else { unreachable!() };
        GetWorkOrdersRequest::from_payload(payload).mode
    }

    #[test]
    fn every_way_to_ask_for_everything() {
        for timestamp in
            [json!(null), json!(""), json!(0), json!("0"), json!("null"), json!("soon"), json!(-5), json!([])]
        {
            assert_eq!(mode(json!({"timestamp": timestamp})), Mode::Full, "{timestamp}");
        }
        assert_eq!(mode(json!({})), Mode::Full);
    }

    #[test]
    fn every_way_to_give_a_time() {
        let since = Mode::Since(Timestamp::from_second(1393278236).unwrap());
        for timestamp in [
            json!(1393278236),
            json!("1393278236"),
            json!(1393278236000i64),
            json!("1393278236000"),
            json!(1393278236.0),
        ] {
            assert_eq!(mode(json!({"timestamp": timestamp})), since, "{timestamp}");
        }
    }

    #[test]
    fn replies_are_the_documented_bytes() {
        assert_eq!(WorkOrdersReply::default().finish(), r#"{"workOrders":[],"error":""}"#);
        let mut reply = WorkOrdersReply::default();
        reply.push(r#"{"workOrderNumber":"1"}"#, "");
        assert_eq!(reply.take(100) + &reply.finish(), r#"{"workOrders":[{"workOrderNumber":"1"}],"error":""}"#);
        let mut reply = WorkOrdersReply::default();
        reply.push(r#"{"workOrderNumber":"1"}"#, "");
        reply.push(r#"{"workOrderNumber":"2"}"#, r#""status":"rush","#);
        assert_eq!(
            reply.finish(),
            r#"{"workOrders":[{"workOrderNumber":"1"},{"status":"rush","workOrderNumber":"2"}],"error":""}"#
        );
    }
}
