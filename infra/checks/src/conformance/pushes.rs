//! *Pruvan Push API*: what comes to the push key.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pruvan::lenient::text;
use pruvan::status::OfficeStatus;
use serde_json::Value;
use simulator::spec::{self, PUSHKEY};

use super::receiver::Push;
use super::suite::Suite;
use crate::report::{Fault, Outcome};

const PUSH: &str = "Pruvan Push API";

/// How often to look.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until what the implementation had to tell of itself has been told, so that what comes later has another cause.
pub async fn settle(suite: &mut Suite) {
    let waits = suite.options.waits;
    let Ok(receiver) = &suite.receiver else { return };
    let (began, watch) = (Instant::now(), suite.watch());
    let latest = began + watch + waits.retry + 10 * waits.quiet;
    suite.marks.restless = loop {
        let pushes = receiver.pushes();
        let last = pushes.last().map(|push| push.at);
        let is_owed = last.is_some_and(|last| last.elapsed() < waits.retry) && !owed(&pushes).is_empty();
        match last {
            None if began.elapsed() >= watch => break false,
            Some(last) if !is_owed && last.elapsed() >= waits.quiet => break false,
            _ if Instant::now() > latest => break true,
            _ => tokio::time::sleep(LOOK).await,
        }
    };
    suite.marks.reported = receiver.count();
}

/// Orders whose last push failed.
fn owed(pushes: &[Push]) -> BTreeSet<String> {
    let mut owed = BTreeSet::new();
    for push in pushes {
        for number in push.orders.iter().filter_map(|order| order.get("workOrderNumber").and_then(text)) {
            match push.failed {
                Some(_) => owed.insert(number),
                None => owed.remove(&number),
            };
        }
    }
    owed
}

/// The rows; waits for what may still come.
pub async fn checks(suite: &mut Suite) {
    let waits = suite.options.waits;
    let watched = match &suite.receiver {
        Ok(receiver) => {
            let failed = receiver.pushes().iter().filter(|push| push.failed.is_some()).map(|push| push.at).max();
            let until = failed.map(|at| at + waits.doubt).into_iter().chain([Instant::now() + suite.watch()]).min();
            while until.is_some_and(|until| Instant::now() < until) {
                tokio::time::sleep(LOOK).await;
            }
            Ok((receiver.pushes(), receiver.to_bait()))
        }
        Err(why) => Err(why.clone()),
    };
    let judged = watched.map(|(pushes, to_bait)| {
        let none = || {
            Outcome::Skip(format!(
                "none came within {} s of the validate: change an order meanwhile, or --watch for longer",
                suite.watch().as_secs()
            ))
        };
        let came = |outcome: Outcome| if pushes.is_empty() { none() } else { outcome };
        [
            came(as_documented(&pushes)),
            came(again(&pushes)),
            came(not_used(to_bait)),
            echo(suite, &pushes),
            stale(suite, &pushes),
        ]
    });
    let rows = [
        (PUSHKEY, "pushes are as documented"),
        (PUSH, "a push that failed is sent again"),
        (PUSH, "a push key from somebody with a wrong key is not used"),
        (PUSH, "reports and uploads are not pushed back"),
        (PUSH, "once an order is complete, no older status is pushed"),
    ];
    let outcomes = judged.unwrap_or_else(|why| [(); 5].map(|()| Outcome::Skip(why.clone())));
    for ((section, check), outcome) in rows.into_iter().zip(outcomes) {
        suite.row(section, check, outcome);
    }
}

fn as_documented(pushes: &[Push]) -> Outcome {
    let breaches: Vec<_> =
        pushes.iter().flat_map(|push| spec::push(push.content_type.as_deref(), &push.body)).collect();
    match breaches.as_slice() {
        [] => Outcome::Pass(format!("{} pushes", pushes.len())),
        [first, rest @ ..] => {
            let also: Vec<String> =
                rest.iter().filter(|breach| *breach != first).map(|breach| breach.what.clone()).take(3).collect();
            let also = if also.is_empty() { String::new() } else { format!("; also: {}", also.join("; ")) };
            let next = format!("see {} in the specification{also}", first.section);
            Outcome::Fail(Fault::new(format!("a push came: {}", first.what), next))
        }
    }
}

fn again(pushes: &[Push]) -> Outcome {
    let failed: Vec<&str> = pushes.iter().filter_map(|push| push.failed).collect();
    let owed = owed(pushes);
    match (owed.first(), pushes.iter().rfind(|push| push.failed.is_some())) {
        (Some(order), Some(last)) => Outcome::Fail(Fault::new(
            format!(
                "{} came to the push of order {order:?}, and within {} s no other push of it",
                failed.join(", "),
                last.at.elapsed().as_secs()
            ),
            "during Pruvan's maintenance pushes fail, and are to wait at the host until they go through; anything but the documented reply is a failure",
        )),
        _ => Outcome::Pass(format!("after {}", failed.join(", "))),
    }
}

fn not_used(to_bait: usize) -> Outcome {
    match to_bait {
        0 => Outcome::Pass(String::new()),
        count => Outcome::Fail(Fault::new(
            format!("{count} pushes came to the push key that a validate with a wrong key brought"),
            "ANYBODY can have the orders sent to himself: keep a push key only if the key beside it is right",
        )),
    }
}

/// Statuses that an order has before it is complete.
fn is_older(order: &Value) -> bool {
    let status = order.get("status").and_then(text).and_then(|text| OfficeStatus::parse(&text));
    status.is_some_and(|status| {
        matches!(
            status,
            OfficeStatus::Unassigned | OfficeStatus::Assigned | OfficeStatus::Accepted | OfficeStatus::Rejected
        )
    })
}

/// What was pushed of the order since the first report; what has an older status has a row of its own.
fn echo(suite: &Suite, pushes: &[Push]) -> Outcome {
    let Some(target) = suite.target() else { return suite.no_order() };
    let echoes = pushes[suite.marks.reported.min(pushes.len())..].iter().filter_map(|push| push.of(&target.number));
    let count = echoes.filter(|order| !is_older(order)).count();
    match count {
        _ if suite.marks.restless => Outcome::Skip(
            "pushes never ceased before the first report, so that no cause can be told from another".to_owned(),
        ),
        0 => Outcome::Pass(format!("watched for {} s", suite.watch().as_secs())),
        _ => Outcome::Fail(Fault::new(
            format!("order {:?} was pushed {count} times after it was reported on and published for", target.number),
            "what Pruvan reports is no change of the host's: pushing it back undoes what people did there meanwhile. If somebody changed this order in the host's system just then, run this again",
        )),
    }
}

fn stale(suite: &Suite, pushes: &[Push]) -> Outcome {
    let Some(target) = suite.target() else { return suite.no_order() };
    let Some(completed) = suite.marks.completed else {
        return Outcome::Skip("no report of complete was taken".to_owned());
    };
    let since = pushes[completed.min(pushes.len())..].iter();
    match since.filter_map(|push| push.of(&target.number)).find(|order| is_older(order)) {
        None => Outcome::Pass(format!("watched for {} s", suite.watch().as_secs())),
        Some(order) => {
            let status = order.get("status").and_then(text).unwrap_or_default();
            Outcome::Fail(Fault::new(
                format!(
                    "order {:?} was reported as complete, and then pushed with the status {status:?}",
                    target.number
                ),
                "this takes the crew's work back: leave status out of a push, unless somebody has just set it",
            ))
        }
    }
}
