//! *URL format*: the headers and forms that calls come in.

use serde_json::json;
use simulator::spec::{Service, URL_FORMAT};

use super::call::{Call, Spelling};
use super::suite::Suite;
use super::{pull, status, upload};
use crate::report::Outcome;

/// Makes these checks and adds their rows to the report.
pub async fn checks(suite: &mut Suite) {
    for (check, spelling, payload_type) in [
        ("Content-Type: Mulipart/Form-Data, as documented", Spelling::AsSpecified, None),
        ("Content-Type: multipart/form-data", Spelling::Usual, None),
        ("a payload that says its charset", suite.spelling, Some("application/json; charset=utf-8")),
        ("urlencoded, as test tools do", Spelling::Urlencoded, None),
    ] {
        let outcome = match suite.spelling {
            // Then multipart isn't understood at all, and that is told.
            Spelling::Urlencoded if payload_type.is_some() => Outcome::Skip("multipart isn't understood".to_owned()),
            _ => {
                let calls = calls(suite, check, spelling == Spelling::Urlencoded);
                let calls = calls.into_iter().map(|call| Call { spelling: Some(spelling), payload_type, ..call });
                suite.all_taken(calls.collect()).await
            }
        };
        suite.row(URL_FORMAT, check, outcome);
    }
}

/// A call of each service that must be taken; those that need an order, only if there is one.
fn calls(suite: &Suite, check: &str, no_files: bool) -> Vec<Call> {
    let mut calls = vec![suite.validate(), Call::new(Service::GetWorkOrders, json!({ "timestamp": pull::TO_COME }))];
    if let Some(target) = suite.target() {
        calls.push(status::report(suite, &target.number, json!({})));
        if !no_files {
            calls.push(upload::item(suite, check, json!({})).with_file("1.jpg", &upload::every_byte()));
        }
    }
    calls
}
