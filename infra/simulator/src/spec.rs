//! What breaks the specification in an exchange: a host's reply to Pruvan, or what it pushes, and the section that it
//! breaks.
//!
//! This is the letter. What Pruvan is known to put up with (a `text/html` header, say) is told all the same.

mod faults;
mod orders;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use futures_util::FutureExt as _;
use multer::Multipart;
use pruvan::push::FORM_FIELD;
use serde_json::{Map, Value};

pub use faults::{Breach, GENERAL, PUSHKEY, URL_FORMAT};
use faults::{Faults, kind_of, quoted};

/// One of the four web services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// *The validate Web Service*.
    Validate,
    /// *The getWorkOrders Web Service*.
    GetWorkOrders,
    /// *The uploadPictures Web Service*.
    UploadPictures,
    /// *The status Web Service*.
    Status,
}

impl Service {
    /// All four, as the specification has them.
    pub const ALL: [Service; 4] = [Service::Validate, Service::GetWorkOrders, Service::UploadPictures, Service::Status];

    /// As it stands in the URL.
    pub fn name(self) -> &'static str {
        match self {
            Service::Validate => "validate",
            Service::GetWorkOrders => "getWorkOrders",
            Service::UploadPictures => "uploadPictures",
            Service::Status => "status",
        }
    }

    /// Its section of the specification.
    pub fn section(self) -> &'static str {
        match self {
            Service::Validate => "The validate Web Service",
            Service::GetWorkOrders => "The getWorkOrders Web Service",
            Service::UploadPictures => "The uploadPictures Web Service",
            Service::Status => "The status Web Service",
        }
    }

    /// The reply that says yes.
    pub fn documented(self) -> &'static str {
        match self {
            Service::Validate => r#"{"error":"","validated":true}"#,
            Service::GetWorkOrders => r#"{"workOrders":[...],"error":""}"#,
            Service::UploadPictures | Service::Status => r#"{"status":true,"error":null}"#,
        }
    }

    /// The reply that says no.
    pub fn documented_refusal(self) -> &'static str {
        match self {
            Service::Validate => r#"{"error":"...","validated":false}"#,
            Service::GetWorkOrders => r#"{"error":"..."}"#,
            Service::UploadPictures => r#"{"status":false,"error":"..."}"#,
            Service::Status => r#"{"status":false,"error":[{"workOrderNumber":"...","error":"..."}]}"#,
        }
    }
}

/// What breaks the specification in a host's reply to one of the web services. Both documented replies are fine, the
/// good and the bad.
pub fn reply(service: Service, status: u16, content_type: Option<&str>, body: &[u8]) -> Vec<Breach> {
    let mut faults = Faults::default();
    if status != 200 {
        let rule = "is not 200: errors are told in the JSON";
        faults.note(GENERAL, format!("HTTP status {status}"), rule);
    }
    match content_type.map(media_type).as_deref() {
        Some("application/json" | "text/plain") => {}
        Some(other) => {
            let rule = "is neither application/json nor text/plain";
            faults.note(URL_FORMAT, format!("Content-Type {}", quoted(other)), rule);
        }
        None => faults.note(URL_FORMAT, "the reply".to_owned(), "has no Content-Type"),
    }
    if let Some(json) = faults.json("the reply", body) {
        if is_documented(service, &json) || is_documented_refusal(service, &json) {
            if let Some(Value::Array(list)) = json.get("workOrders") {
                orders::pulled(&mut faults, list);
            }
        } else {
            faults.note(service.section(), "the reply".to_owned(), &shape_fault(service, &json));
        }
    }
    faults.breaches()
}

/// Whether this is the reply that says yes, to the letter. What is in the orders is not looked at.
pub fn is_documented(service: Service, reply: &Value) -> bool {
    let Value::Object(fields) = reply else { return false };
    match service {
        Service::Validate => {
            has_only(fields, &["error", "validated"]) && reply["error"] == "" && reply["validated"] == true
        }
        Service::GetWorkOrders => {
            has_only(fields, &["workOrders", "error"]) && reply["error"] == "" && reply["workOrders"].is_array()
        }
        Service::UploadPictures | Service::Status => {
            has_only(fields, &["status", "error"]) && reply["status"] == true && reply["error"].is_null()
        }
    }
}

/// Whether this is the reply that says no, to the letter, whatever its reason.
pub fn is_documented_refusal(service: Service, reply: &Value) -> bool {
    let Value::Object(fields) = reply else { return false };
    match service {
        Service::Validate => {
            has_only(fields, &["error", "validated"]) && is_message(&reply["error"]) && reply["validated"] == false
        }
        Service::GetWorkOrders => has_only(fields, &["error"]) && is_message(&reply["error"]),
        Service::UploadPictures => {
            has_only(fields, &["status", "error"]) && reply["status"] == false && is_message(&reply["error"])
        }
        Service::Status => {
            let records = reply["error"].as_array();
            has_only(fields, &["status", "error"])
                && reply["status"] == false
                && records.is_some_and(|records| !records.is_empty() && records.iter().all(is_record))
        }
    }
}

/// One of the records in a refusal of `status`.
fn is_record(record: &Value) -> bool {
    let Value::Object(fields) = record else { return false };
    has_only(fields, &["workOrderNumber", "error"])
        && record["workOrderNumber"].is_string()
        && is_message(&record["error"])
}

/// A message for people.
fn is_message(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

/// All of these fields and no others.
fn has_only(fields: &Map<String, Value>, names: &[&str]) -> bool {
    fields.len() == names.len() && names.iter().all(|name| fields.contains_key(*name))
}

/// How a reply differs from the documented ones, to stand behind "the reply".
fn shape_fault(service: Service, json: &Value) -> String {
    let documented = format!("documented is {} or {}", service.documented(), service.documented_refusal());
    let Value::Object(fields) = json else { return format!("is {} and no object; {documented}", kind_of(json)) };
    let names: &[&str] = match service {
        Service::Validate => &["error", "validated"],
        Service::GetWorkOrders => &["workOrders", "error"],
        Service::UploadPictures | Service::Status => &["status", "error"],
    };
    let kinds: Vec<String> = names
        .iter()
        .map(|name| match fields.get(*name) {
            Some(Value::Bool(flag)) => format!("{name} is {flag}"),
            Some(value) => format!("{name} is {}", kind_of(value)),
            None => format!("{name} is missing"),
        })
        .collect();
    let more: Vec<String> = fields.keys().filter(|key| !names.contains(&key.as_str())).map(|key| quoted(key)).collect();
    let others = match more.as_slice() {
        [] => String::new(),
        [one] => format!(", and there is {one}"),
        [one, rest @ ..] => format!(", and there is {one} with {} more", rest.len()),
    };
    format!("has another shape ({}{others}); {documented}", kinds.join(", "))
}

/// What breaks the specification in what a host posted to a push key.
///
/// Fields that an order must have when it is created are not asked for: an update may be as little as the number and
/// one field.
pub fn push(content_type: Option<&str>, body: &[u8]) -> Vec<Breach> {
    let mut faults = Faults::default();
    let field = match content_type.map(media_type).as_deref() {
        Some("application/x-www-form-urlencoded") => urlencoded(body),
        Some("multipart/form-data") => multipart(content_type.unwrap_or_default(), body),
        other => {
            let rule = "is neither application/x-www-form-urlencoded nor multipart/form-data";
            let seen =
                other.map_or_else(|| "no Content-Type".to_owned(), |other| format!("Content-Type {}", quoted(other)));
            faults.note(PUSHKEY, seen, rule);
            urlencoded(body).or_else(|| body.trim_ascii_start().starts_with(b"{").then(|| body.to_vec()))
        }
    };
    let Some(field) = field else {
        faults.note(PUSHKEY, "the push".to_owned(), "has no form field workOrders");
        return faults.breaches();
    };
    let Some(json) = faults.json("the field workOrders", &field) else { return faults.breaches() };
    match json.get("workOrders") {
        Some(Value::Array(list)) => orders::pushed(&mut faults, list),
        _ => {
            let seen = if json.is_object() { "an object without an array workOrders" } else { kind_of(&json) };
            let rule = format!("holds {seen}; documented is {{\"workOrders\":[...]}}, also for one order");
            faults.note(PUSHKEY, "the field workOrders".to_owned(), &rule);
        }
    }
    faults.breaches()
}

/// The orders of a push, however it was sent; none if there are none that can be read.
pub fn pushed_orders(content_type: Option<&str>, body: &[u8]) -> Vec<Value> {
    let json: Option<Value> = pushed(content_type, body).and_then(|field| serde_json::from_str(&field).ok());
    match json.and_then(|mut json| json.get_mut("workOrders").map(Value::take)) {
        Some(Value::Array(orders)) => orders,
        _ => Vec::new(),
    }
}

/// The form field of a push, however it was sent.
pub fn pushed(content_type: Option<&str>, body: &[u8]) -> Option<String> {
    let field = urlencoded(body).or_else(|| multipart(content_type.unwrap_or_default(), body))?;
    String::from_utf8(field).ok()
}

fn urlencoded(body: &[u8]) -> Option<Vec<u8>> {
    let field = form_urlencoded::parse(body).find(|(name, _)| name == FORM_FIELD);
    field.map(|(_, value)| value.into_owned().into_bytes())
}

fn multipart(content_type: &str, body: &[u8]) -> Option<Vec<u8>> {
    let boundary = multer::parse_boundary(content_type).ok()?;
    let body = Bytes::copy_from_slice(body);
    let stream = futures_util::stream::once(std::future::ready(Ok::<_, std::convert::Infallible>(body)));
    let mut parts = Multipart::new(stream, boundary);
    // The whole body is there, so that nothing is waited for.
    let field = async {
        while let Some(part) = parts.next_field().await.ok()? {
            if part.name() == Some(FORM_FIELD) {
                return part.bytes().await.ok().map(|bytes| bytes.to_vec());
            }
        }
        None
    };
    field.now_or_never().flatten()
}

fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
