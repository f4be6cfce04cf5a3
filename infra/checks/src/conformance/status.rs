//! *The status Web Service*: reports of statuses.

use pruvan::lenient::text;
use serde_json::{Value, json};
use simulator::spec::Service;

use super::call::{Call, NO_ORDER};
use super::receiver::Receiver;
use super::suite::{Suite, Target};
use crate::report::{Fault, Outcome};

const STATUS: &str = "The status Web Service";

/// A report on this order as the specification shows it, with `more` put over it.
pub fn report(suite: &Suite, number: &str, more: Value) -> Call {
    let entry = entry(&suite.prefix, number, more.clone());
    let about = format!("{}{number}", suite.prefix);
    Call { about, shown: more, ..Call::new(Service::Status, json!({ "workOrders": [entry] })) }
}

fn entry(prefix: &str, number: &str, more: Value) -> Value {
    let mut entry = json!({
        "workOrderNumber": format!("{prefix}{number}"), "clientStatus": "assigned", "status": "assigned",
        "fieldStatus": "viewed", "dueDate": 1_414_434_590,
    });
    if let (Value::Object(entry), Value::Object(more)) = (&mut entry, more) {
        entry.extend(more);
    }
    entry
}

/// The rows. The last report says that the order is complete.
pub async fn checks(suite: &mut Suite) {
    let Some(target) = suite.target() else {
        for check in ["a report", "an unknown order", "a field status of complete"] {
            let outcome = suite.no_order();
            suite.row(STATUS, check, outcome);
        }
        return;
    };
    for (check, reports) in reports() {
        let calls = reports.into_iter().map(|more| report(suite, &target.number, more));
        let calls = calls.collect();
        let outcome = suite.all_taken(calls).await;
        suite.row(STATUS, check, outcome);
    }
    let mut gaps = report(suite, &target.number, json!({}));
    gaps.fields = json!({ "workOrders": { "1": gaps.fields["workOrders"][0] } });
    let outcome = suite.all_taken(vec![gaps]).await;
    suite.row(STATUS, "workOrders may have become an object", outcome);
    let outcome = unknown(suite, &target).await;
    suite.row(STATUS, "an unknown order is named, and it alone", Outcome::from(outcome));
    // A push may be quicker than the reply.
    let before = suite.receiver.as_ref().ok().map(Receiver::count);
    let complete = json!({ "status": "complete", "fieldStatus": "complete" });
    let calls = vec![report(suite, &target.number, complete); 2];
    let outcome = suite.all_taken(calls).await;
    if matches!(outcome, Outcome::Pass(_)) {
        suite.marks.completed = before;
    }
    suite.row(STATUS, "an order may be complete any number of times", outcome);
}

/// A number as the specification shows it. If it isn't understood, the other rows go without the client code.
pub async fn prefixed(suite: &mut Suite) {
    let Some(target) = suite.target() else { return };
    let call = report(suite, &target.number, json!({}));
    let taken = suite.call(&call).await.and_then(|answer| answer.taken());
    let failed = taken.is_err();
    let taken = taken.map(|()| format!("{}{}", suite.prefix, target.number));
    let outcome = taken.map_err(|fault| Fault::new(fault.seen, "Pruvan shows numbers as {client code}::workOrderNumber, and reports them so: take what stands before \"::\" off"));
    suite.row(STATUS, "numbers come with Pruvan's client code before them", outcome);
    if failed {
        let prefix = std::mem::take(&mut suite.prefix);
        let bare = report(suite, &target.number, json!({}));
        if !suite.call(&bare).await.is_ok_and(|answer| answer.says_yes()) {
            suite.prefix = prefix;
        }
    }
}

/// Reports that must be taken.
fn reports() -> Vec<(&'static str, Vec<Value>)> {
    vec![
        (
            "statuses may be written as the web page shows them",
            vec![
                json!({ "status": "Assigned", "fieldStatus": "In Process" }),
                json!({ "status": "Re-Work", "fieldStatus": "Field Accepted" }),
                json!({ "status": "Cancelled", "fieldStatus": "Completed" }),
            ],
        ),
        (
            "a status never heard of is taken",
            vec![json!({ "status": "conformance", "fieldStatus": "conformance", "clientStatus": "conformance" })],
        ),
        (
            "dueDate may be a number, a text, null or missing",
            vec![
                json!({ "dueDate": 1_414_411_200 }),
                json!({ "dueDate": "1414411200" }),
                json!({ "dueDate": "2014-10-27 1200 +0" }),
                json!({ "dueDate": null }),
                json!({ "dueDate": "" }),
            ],
        ),
        ("nothing may be said as null or \"null\"", vec![json!({ "clientStatus": null, "fieldStatus": "null" })]),
        ("there may be more fields than are documented", vec![json!({ "source_wo_id": "7", "attribute7": null })]),
    ]
}

/// A known and an unknown order in one call: the unknown one is told, and that the other was taken shows by its not
/// being told.
async fn unknown(suite: &Suite, target: &Target) -> Result<String, Fault> {
    let prefix = &suite.prefix;
    let known = entry(prefix, &target.number, json!({}));
    let call = Call {
        about: format!("{prefix}{NO_ORDER} and {prefix}{}", target.number),
        shown: json!({}),
        ..Call::new(Service::Status, json!({ "workOrders": [entry(prefix, NO_ORDER, json!({})), known] }))
    };
    let answer = suite.call(&call).await?;
    let next = "documented is {\"status\":false,\"error\":[{\"workOrderNumber\":\"...\",\"error\":\"...\"}]}, with a record for each status that failed, and no other";
    let records = answer.json["error"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names = |record: &Value| {
        let number = record.get("workOrderNumber").and_then(text).unwrap_or_default();
        number.rsplit("::").next() == Some(NO_ORDER)
    };
    match records {
        [only] if names(only) && answer.json["status"] == false => Ok(String::new()),
        _ => Err(answer.fault(next)),
    }
}
