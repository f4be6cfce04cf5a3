//! *getWorkOrders Modes*: full refreshes and incremental imports.

use std::collections::BTreeSet;

use pruvan::lenient::text;
use pruvan::status::OfficeStatus;
use serde_json::{Value, json};
use simulator::spec::Service;

use super::call::{Answer, Call};
use super::suite::Suite;
use crate::report::{Fault, Outcome};

const MODES: &str = "getWorkOrders Modes";

/// 2100-01-01, and long ago.
pub const TO_COME: u32 = 4_102_444_800;
const LONG_AGO: u32 = 1;

/// The rows. Full refreshes come last, since an implementation may count from the last import what Pruvan knows.
pub async fn checks(suite: &mut Suite) {
    let full = import(suite, json!({ "timestamp": null })).await;
    let (orders, outcome) = match full {
        Ok((answer, orders)) if orders.is_empty() => {
            (orders, answer.says_yes().then(|| Outcome::Pass("no work orders".to_owned())))
        }
        Ok((_, orders)) => {
            let note = format!("{} work orders", orders.len());
            (orders, Some(Outcome::Pass(note)))
        }
        Err(fault) => (Vec::new(), Some(Outcome::Fail(fault))),
    };
    suite.orders = orders;
    suite.row(
        "The getWorkOrders Web Service",
        "a full refresh gives a list",
        outcome.unwrap_or_else(|| Outcome::Pass(String::new())),
    );
    if let Some(expected) = suite.options.orders {
        let outcome = enough(suite.orders.len(), expected);
        suite.row(
            "The getWorkOrders Web Service",
            &format!("at least {expected} work orders, as --orders says"),
            outcome,
        );
    }
    let changed = import(suite, json!({ "timestamp": LONG_AGO })).await;
    let outcome = changed.as_ref().map(|(_, orders)| format!("{} work orders", orders.len())).map_err(Clone::clone);
    suite.row(MODES, "an incremental import gives a list", outcome);
    let has_orders = !suite.orders.is_empty();
    let to_come = if has_orders { Some(import(suite, json!({ "timestamp": TO_COME })).await) } else { None };
    let outcome = match &to_come {
        Some(to_come) => judge(to_come.clone(), |orders| orders.len() <= suite.orders.len(), NOTHING_NEW),
        None => suite.no_order(),
    };
    suite.row(MODES, "a time to come gives nothing, or what changed lately", outcome);
    let outcome = match to_come {
        Some(Ok((_, orders))) => as_text(suite, &numbers(&orders)).await,
        Some(Err(_)) => Outcome::Skip("the import since a time to come failed".to_owned()),
        None => suite.no_order(),
    };
    suite.row(MODES, "the time may be a text, such as \"1393278236\"", outcome);
    let outcome = if has_orders { without_time(suite).await } else { suite.no_order() };
    suite.row(MODES, "a time of \"\", \"null\" or none is a full refresh", outcome);
    let outcome = match (has_orders, &changed) {
        (false, _) => suite.no_order(),
        (true, Err(_)) => Outcome::Skip("the incremental import failed".to_owned()),
        (true, Ok((_, changed))) => all_there(&suite.orders, changed),
    };
    suite.row(MODES, "a full refresh has all that changed since 1970", outcome);
    let outcome = if has_orders { again(suite).await } else { suite.no_order() };
    suite.row(MODES, "two full refreshes agree", outcome);
}

async fn import(suite: &Suite, fields: Value) -> Result<(Answer, Vec<Value>), Fault> {
    let answer = suite.call(&Call::new(Service::GetWorkOrders, fields)).await?;
    answer.taken()?;
    let orders = answer.json["workOrders"].as_array().cloned().unwrap_or_default();
    Ok((answer, orders))
}

fn enough(count: usize, expected: usize) -> Outcome {
    if count >= expected {
        return Outcome::Pass(String::new());
    }
    let next = "a list that is cut short must never be sent as if it were whole: send an error, or push the rest";
    Outcome::Fail(Fault::new(format!("{count} work orders came"), next))
}

const NOTHING_NEW: &str =
    "documented is {\"workOrders\":[],\"error\":\"\"}: in incremental mode only what has changed since that time";

/// A text that is taken for no time at all gives everything, and one that fails nothing.
async fn as_text(suite: &Suite, since_a_time_to_come: &BTreeSet<String>) -> Outcome {
    match judge(
        import(suite, json!({ "timestamp": TO_COME.to_string() })).await,
        |orders| numbers(orders) == *since_a_time_to_come,
        "the same is due as for a number; Pruvan's values come as texts too",
    ) {
        Outcome::Pass(_) => {
            let expected = suite.orders.len();
            let next = "the same is due as for a number; Pruvan's values come as texts too";
            judge(
                import(suite, json!({ "timestamp": LONG_AGO.to_string() })).await,
                |orders| orders.len() >= expected,
                next,
            )
        }
        outcome => outcome,
    }
}

async fn without_time(suite: &Suite) -> Outcome {
    let expected = numbers(&suite.orders);
    let next = format!(
        "a full refresh of {} work orders is due: nothing is said as null, \"null\", \"\" or not at all",
        expected.len()
    );
    for fields in [json!({ "timestamp": "" }), json!({ "timestamp": "null" }), json!({})] {
        let outcome = judge(import(suite, fields).await, |orders| numbers(orders) == expected, &next);
        if !matches!(outcome, Outcome::Pass(_)) {
            return outcome;
        }
    }
    Outcome::Pass(String::new())
}

fn judge(imported: Result<(Answer, Vec<Value>), Fault>, is_due: impl Fn(&[Value]) -> bool, next: &str) -> Outcome {
    Outcome::from(imported.and_then(|(answer, orders)| match is_due(&orders) {
        true => Ok(String::new()),
        false => Err(Fault::new(format!("sent {}; got {} work orders", answer.sent, orders.len()), next)),
    }))
}

/// What an incremental import has and the full one hasn't must be over.
fn all_there(full: &[Value], changed: &[Value]) -> Outcome {
    let held = numbers(full);
    let missing: Vec<String> = changed
        .iter()
        .filter(|order| !is_over(order))
        .filter_map(number)
        .filter(|number| !held.contains(number))
        .collect();
    let Some(first) = missing.first() else { return Outcome::Pass(format!("{} work orders", full.len())) };
    Outcome::Fail(Fault::new(
        format!(
            "{} work orders are in an import from timestamp 1 and not in a full refresh, {first:?} among them",
            missing.len()
        ),
        "in full refresh mode you should return all current work orders: a list that is cut short must not be sent as if it were whole",
    ))
}

fn is_over(order: &Value) -> bool {
    ["status", "clientStatus"].iter().any(|field| {
        let status = order.get(field).and_then(text).and_then(|text| OfficeStatus::parse(&text));
        status.is_some_and(OfficeStatus::ends_order)
    })
}

/// Somebody may change an order at just that moment, but not twice.
async fn again(suite: &mut Suite) -> Outcome {
    let mut outcome = Outcome::Pass(String::new());
    for _ in 0..2 {
        let expected = numbers(&suite.orders);
        let second = import(suite, json!({ "timestamp": null })).await;
        if let Ok((_, orders)) = &second {
            suite.orders.clone_from(orders);
        }
        let next = format!(
            "{} came a moment before, and not the same: all current work orders are due each time",
            expected.len()
        );
        outcome = judge(second, |orders| numbers(orders) == expected, &next);
        if matches!(outcome, Outcome::Pass(_)) {
            break;
        }
    }
    outcome
}

fn number(order: &Value) -> Option<String> {
    order.get("workOrderNumber").and_then(text)
}

fn numbers(orders: &[Value]) -> BTreeSet<String> {
    orders.iter().filter_map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_may_be_missing() {
        let order = |number: &str, status: &str| json!({ "workOrderNumber": number, "status": status });
        let full = [order("1", "assigned")];
        let over = [
            order("1", "assigned"),
            order("2", "Cancelled"),
            json!({ "workOrderNumber": "3", "clientStatus": "deleted" }),
        ];
        assert!(matches!(all_there(&full, &over), Outcome::Pass(_)));
        assert!(matches!(all_there(&full, &[order("4", "rush")]), Outcome::Fail(_)));
    }
}
