//! *Pruvan Status Management* and *The status Web Service*.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ascii::ascii;
use crate::credentials::Credentials;
use crate::dates::WrittenDate;
use crate::lenient::{list, structure, text, text_field};

macro_rules! statuses {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal $(| $also:literal)*,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(into = "&'static str")]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// All values, in the specification's order.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The specification's spelling, which is the one that is sent.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// Reads any spelling seen in the field: upper and lower case, spaces or hyphens, British doubling.
            pub fn parse(text: &str) -> Option<$name> {
                match text.trim().to_ascii_lowercase().replace([' ', '_'], "-").as_str() {
                    $($text $(| $also)* => Some($name::$variant),)*
                    _ => None,
                }
            }
        }

        impl From<$name> for &'static str {
            fn from(status: $name) -> &'static str {
                status.as_str()
            }
        }
    };
}

statuses! {
    /// *Pruvan Status Values*: where the order stands in the office.
    OfficeStatus {
        /// New, not assigned to a field worker: the initial status. Pruvan sends no report of it.
        Unassigned = "unassigned" | "un-assigned",
        /// Assigned to a field worker.
        Assigned = "assigned",
        /// Accepted by the vendor.
        Accepted = "accepted",
        /// Rejected by the vendor.
        Rejected = "rejected",
        /// A rush was requested.
        Rush = "rush",
        /// Denied by quality assurance.
        Rework = "rework" | "re-work",
        /// The order has been canceled; it is over.
        Canceled = "canceled" | "cancelled",
        /// Completed in the field, ready for quality assurance.
        Complete = "complete" | "completed",
        /// An invoice was submitted to the client.
        Invoiced = "invoiced",
        /// Submitted to the client for quality assurance.
        Submitted = "submitted",
        /// The order has been closed; it is over.
        Closed = "closed",
        /// Integrations set this to delete the order.
        Deleted = "deleted",
    }
}

impl OfficeStatus {
    /// Whether an order that its host gave this status is over: it is no longer in a full refresh for good.
    pub fn ends_order(self) -> bool {
        matches!(self, OfficeStatus::Closed | OfficeStatus::Canceled | OfficeStatus::Deleted)
    }
}

statuses! {
    /// *Pruvan Field Status Values*: where the order stands on the device. Only Pruvan Mobile sets it.
    FieldStatus {
        /// A new order that was not viewed yet.
        New = "new",
        /// The order was updated.
        Updated = "updated",
        /// Viewed, not in process.
        Viewed = "viewed",
        /// A picture was taken, a survey submitted, or the like.
        InProcess = "in-process" | "inprocess",
        /// Accepted by the field worker.
        FieldAccepted = "field-accepted",
        /// Rejected by the field worker.
        FieldRejected = "field-rejected",
        /// Marked complete by the field worker. It may be marked so any number of times.
        Complete = "complete" | "completed",
    }
}

/// `{"username", "password", "token", "workOrders": [{"workOrderNumber", "clientStatus", "status", "fieldStatus",
/// "dueDate"}]}`.
#[derive(Debug)]
pub struct StatusRequest {
    /// Which user reports, and how that is proved.
    pub credentials: Credentials,
    /// One entry an order, in the order of the payload.
    pub work_orders: Vec<StatusEntry>,
}

/// What Pruvan reports of one order.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusEntry {
    /// As it came, `CODE::` prefix and all; empty if it was missing. Replies repeat it.
    pub work_order_number: String,
    /// The host's own status, sent back.
    pub client_status: Option<String>,
    /// Office status: in the specification's spelling if it is a known one, else as it came.
    pub status: Option<String>,
    /// The field status that the crew set, likewise.
    pub field_status: Option<String>,
    /// Due date. Its day in UTC is what Pruvan shows. `None` too if it can't be read; it is then in `other`.
    pub due_date: Option<WrittenDate>,
    /// All other fields, and those above that could not be read: `source_wo_id` is seen in live traffic.
    pub other: Map<String, Value>,
}

impl StatusRequest {
    /// Reads a payload. `workOrders` may be a list in any form, in a JSON string too, or a single object; entries that
    /// are no objects come out with an empty number.
    pub fn from_payload(mut payload: Map<String, Value>) -> StatusRequest {
        let credentials = Credentials::take(&mut payload);
        let given = payload.remove("workOrders").unwrap_or_default();
        let entries = list(&given).or_else(|| structure(&given).map(|single| vec![single])).unwrap_or_default();
        StatusRequest { credentials, work_orders: entries.into_iter().map(StatusEntry::from_value).collect() }
    }
}

impl StatusEntry {
    fn from_value(entry: Value) -> StatusEntry {
        let Some(Value::Object(mut fields)) = structure(&entry) else {
            let other = Map::from_iter([("entry".to_owned(), entry)]);
            return StatusEntry {
                work_order_number: String::new(),
                client_status: None,
                status: None,
                field_status: None,
                due_date: None,
                other,
            };
        };
        let due_date = fields.get("dueDate").and_then(|value| WrittenDate::parse(value).ok());
        if due_date.is_some() {
            fields.remove("dueDate");
        }
        StatusEntry {
            work_order_number: fields.remove("workOrderNumber").as_ref().and_then(text).unwrap_or_default(),
            client_status: fields.remove("clientStatus").as_ref().and_then(text),
            status: known(fields.remove("status"), |text| OfficeStatus::parse(text).map(OfficeStatus::as_str)),
            field_status: known(fields.remove("fieldStatus"), |text| FieldStatus::parse(text).map(FieldStatus::as_str)),
            due_date,
            other: fields,
        }
    }

    /// The host's number for the order: without Pruvan's `{client code}::` in front. The host's own numbers hold no
    /// `::`.
    pub fn host_number(&self) -> &str {
        host_number(&self.work_order_number)
    }

    /// The order's `source_wo_id`, which live traffic echoes.
    pub fn source_wo_id(&self) -> Option<String> {
        text_field(&self.other, "source_wo_id")
    }
}

fn known(value: Option<Value>, canonical: impl Fn(&str) -> Option<&'static str>) -> Option<String> {
    let text = text(&value?)?;
    Some(canonical(&text).map_or(text, str::to_owned))
}

/// A work order number without Pruvan's `{client code}::` in front (*Available workOrder Object Fields*).
pub fn host_number(displayed: &str) -> &str {
    displayed.rsplit("::").next().unwrap_or(displayed).trim()
}

/// `{"status":true,"error":null}`, or `false` and one record for each order that failed.
#[derive(Debug, Serialize)]
pub struct StatusReply {
    status: bool,
    error: Option<Vec<StatusError>>,
}

/// One order's failure; the others were applied.
#[derive(Debug, Clone, Serialize)]
pub struct StatusError {
    /// As Pruvan sent it.
    #[serde(rename = "workOrderNumber")]
    work_order_number: String,
    error: String,
}

impl StatusError {
    /// With a message that Pruvan shows as it is.
    pub fn new(work_order_number: &str, error: &str) -> StatusError {
        StatusError { work_order_number: ascii(work_order_number).into_owned(), error: ascii(error).into_owned() }
    }

    /// Why the report of this order was not taken.
    pub fn error(&self) -> &str {
        &self.error
    }
}

impl StatusReply {
    /// Success if `failures` is empty.
    pub fn new(failures: Vec<StatusError>) -> StatusReply {
        StatusReply { status: failures.is_empty(), error: (!failures.is_empty()).then_some(failures) }
    }

    /// Nothing was applied, for a reason that no single order has: it is given for each order of the request, or once
    /// with an empty number if none could be read, so that the shape stays the documented one.
    pub fn refused(entries: &[StatusEntry], error: &str) -> StatusReply {
        if entries.is_empty() {
            return StatusReply::new(vec![StatusError::new("", error)]);
        }
        StatusReply::new(entries.iter().map(|entry| StatusError::new(&entry.work_order_number, error)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn spellings_of_the_field() {
        for (text, status) in [
            ("Cancelled", OfficeStatus::Canceled),
            (" canceled ", OfficeStatus::Canceled),
            ("Un-assigned", OfficeStatus::Unassigned),
            ("COMPLETE", OfficeStatus::Complete),
            ("Completed", OfficeStatus::Complete),
        ] {
            assert_eq!(OfficeStatus::parse(text), Some(status), "{text}");
        }
        for text in ["In Process", "in-process", "IN_PROCESS"] {
            assert_eq!(FieldStatus::parse(text), Some(FieldStatus::InProcess), "{text}");
        }
        assert_eq!(OfficeStatus::parse("on hold"), None);
        for status in OfficeStatus::ALL {
            assert_eq!(OfficeStatus::parse(status.as_str()), Some(*status));
            assert_eq!(serde_json::to_value(status).unwrap(), json!(status.as_str()));
        }
        for status in FieldStatus::ALL {
            assert_eq!(FieldStatus::parse(status.as_str()), Some(*status));
        }
    }

    #[test]
    fn prefixes_are_understood() {
        assert_eq!(host_number("SMC::Simple"), "Simple");
        assert_eq!(host_number("Simple"), "Simple");
        assert_eq!(host_number("A::B::Simple 1 "), "Simple 1");
    }

    #[test]
    fn a_list_may_have_become_an_object() {
        let (one, two) = (json!({ "workOrderNumber": "1" }), json!({ "workOrderNumber": "2" }));
        let gap = json!({ "0": one, "2": two });
        for (list, numbers) in [
            (json!([one, two]), vec!["1", "2"]),
            (gap.clone(), vec!["1", "2"]),
            (json!(gap.to_string()), vec!["1", "2"]),
            (json!([one.to_string(), two]), vec!["1", "2"]),
            (one, vec!["1"]),
            (json!([]), vec![]),
            (json!({}), vec![]),
            // Half a surrogate pair, in JSON in a JSON text.
            (json!(r#"[{"workOrderNumber":"1","clientStatus":"\ud83d"}]"#), vec!["1"]),
        ] {
            let request = StatusRequest::from_payload(Map::from_iter([("workOrders".to_owned(), list.clone())]));
            let read: Vec<&str> = request.work_orders.iter().map(|entry| entry.work_order_number.as_str()).collect();
            assert_eq!(read, numbers, "{list}");
        }
    }

    #[test]
    fn odd_entries_are_kept() {
        let Value::Object(payload) = json!({"workOrders": json!([{"workOrderNumber": 5, "status": "On Hold", "dueDate": "soon", "x": 1}, 7]).to_string()})
        else {
            unreachable!()
        };
        let request = StatusRequest::from_payload(payload);
        assert_eq!(request.work_orders[0].work_order_number, "5");
        assert_eq!(request.work_orders[0].status.as_deref(), Some("On Hold"));
        assert_eq!(Value::Object(request.work_orders[0].other.clone()), json!({"dueDate": "soon", "x": 1}));
        assert_eq!(request.work_orders[1].work_order_number, "");
        assert_eq!(request.work_orders[1].other["entry"], json!(7));
    }
}
