//! A host in memory: it answers the four web services as Pruvan calls them, and makes a push. What brings the payloads
//! in and carries the replies out is left to a web server.

#![expect(clippy::print_stdout, reason = "it shows what is said")]

use std::collections::BTreeMap;

use pruvan::credentials::INVALID_CREDENTIALS;
use pruvan::get_work_orders::{GetWorkOrdersError, GetWorkOrdersRequest, WorkOrdersReply};
use pruvan::push::{PushReply, PushRequest};
use pruvan::status::{StatusError, StatusReply, StatusRequest};
use pruvan::upload::{UploadReply, UploadRequest};
use pruvan::validate::{ValidateReply, ValidateRequest};
use pruvan::work_order::WorkOrder;
use pruvan::{Credentials, payload};
use secrecy::ExposeSecret as _;
use serde_json::json;

/// What is known of the one vendor that there is.
#[derive(Default)]
struct Host {
    orders: BTreeMap<String, WorkOrder>,
    reported: BTreeMap<String, String>,
    files: Vec<String>,
}

impl Host {
    /// A real host keeps a hash of the key and compares it in constant time.
    fn lets_in(credentials: &Credentials) -> bool {
        let token = credentials.token.as_ref().map(|token| token.expose_secret());
        credentials.username == "vendor1" && token == Some("the API key")
    }

    /// Answers a call: `sent` is the form field `payload`.
    fn answer(&mut self, service: &str, sent: &str) -> Result<String, Box<dyn std::error::Error>> {
        let payload = payload::parse(sent)?;
        Ok(match service {
            "validate" => {
                let request = ValidateRequest::from_payload(payload);
                let reply = match Host::lets_in(&request.credentials) {
                    true => ValidateReply::validated(),
                    false => ValidateReply::refused(INVALID_CREDENTIALS),
                };
                serde_json::to_string(&reply)?
            }
            "getWorkOrders" => {
                let request = GetWorkOrdersRequest::from_payload(payload);
                if !Host::lets_in(&request.credentials) {
                    return Ok(serde_json::to_string(&GetWorkOrdersError::new(INVALID_CREDENTIALS))?);
                }
                let mut reply = WorkOrdersReply::default();
                self.orders.values().for_each(|order| reply.push(&order.document(), ""));
                reply.finish()
            }
            "uploadPictures" => {
                let request = UploadRequest::from_payload(payload);
                if !Host::lets_in(&request.credentials) {
                    return Ok(serde_json::to_string(&UploadReply::refused(INVALID_CREDENTIALS))?);
                }
                // Of whatever order it is: a refusal makes a person send it again by hand.
                self.files.push(request.upload.work_order_number().unwrap_or_default().to_owned());
                serde_json::to_string(&UploadReply::stored())?
            }
            _ => {
                let request = StatusRequest::from_payload(payload);
                if !Host::lets_in(&request.credentials) {
                    let reply = StatusReply::refused(&request.work_orders, INVALID_CREDENTIALS);
                    return Ok(serde_json::to_string(&reply)?);
                }
                let mut failures = Vec::new();
                for entry in &request.work_orders {
                    match self.orders.contains_key(entry.host_number()) {
                        true => {
                            let status = entry.status.clone().unwrap_or_default();
                            self.reported.insert(entry.host_number().to_owned(), status);
                        }
                        false => failures.push(StatusError::new(&entry.work_order_number, "work order does not exist")),
                    }
                }
                serde_json::to_string(&StatusReply::new(failures))?
            }
        })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut host = Host::default();
    let order = json!({
        "address1": "110 East Main Street", "city": "Round Rock", "state": "TX", "zip": "78664",
        "instructions": "Key at the neighbour\u{2019}s.", "services": [{ "serviceName": "Grass cut" }],
    });
    let (order, warnings) = WorkOrder::parse("1001", order.as_object().cloned().unwrap_or_default())
        .map_err(|faults| format!("{faults:?}"))?;
    warnings.iter().for_each(|warning| println!("warning: {} {}", warning.field, warning.detail));
    let mut push = PushRequest::default();
    push.push(&order.document(), "", false);
    host.orders.insert("1001".to_owned(), order);

    let credentials = r#""username":"vendor1","token":"the API key""#;
    for (service, fields) in [
        ("validate", r#""pushkey":"https://example.com/api/?apiKey=secret""#),
        ("getWorkOrders", r#""timestamp":null"#),
        ("uploadPictures", r#""key2":"SMC::1001","fileType":"picture","uuId":"photo-1""#),
        ("status", r#""workOrders":[{"workOrderNumber":"SMC::1001","status":"complete"},{"workOrderNumber":"7"}]"#),
    ] {
        println!("{service}: {}", host.answer(service, &format!("{{{credentials},{fields}}}"))?);
    }
    println!("push, form field {}: {}", pruvan::push::FORM_FIELD, push.finish());
    println!("{:?}", PushReply::parse(br#"{"response":{"created":1,"updated":0,"deleted":0},"error":null}"#));
    Ok(())
}
