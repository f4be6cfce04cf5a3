//! `status`, `assignedTo` and `dueDate` are wishes: each goes out until Pruvan has it, and then no more, so that a
//! crew's *complete* is never undone by our yesterday's *assigned* (rule 4: no echo, no regress).

use local::gateway::Variant;
use proptest::prelude::*;
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use simulator::{Integration, Weather};

use crate::harness::{Harness, order};

fn status(vendor: &Integration, number: &str) -> String {
    vendor.project(number).and_then(|project| project["status"].as_str().map(str::to_owned)).unwrap_or_default()
}

#[tokio::test]
async fn complete_survives_every_later_push_and_pull() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({ "status": "assigned", "assignedTo": "crew1" })).await;
    harness.system.tick().await;
    assert_eq!(status(&vendor, "1"), "assigned");
    harness.advance(3600);
    vendor.change_status("1", "complete", "complete").await.unwrap();
    // A change of another field, the same order put again by a nightly job, full and incremental pulls.
    for step in 0..4 {
        harness.advance(60);
        match step {
            0 => drop(harness.host("PATCH", "/accounts/vendor1/orders/1", Some(json!({ "clientStatus": "x" }))).await),
            1 => drop(
                harness
                    .put("vendor1", "1", json!({ "status": "assigned", "assignedTo": "crew1", "reference": "y" }))
                    .await,
            ),
            2 => drop(vendor.import(None).await.unwrap()),
            _ => drop(vendor.import(Some(harness.now() - 7200)).await.unwrap()),
        }
        harness.system.tick().await;
        assert_eq!(status(&vendor, "1"), "complete", "step {step}");
    }
    assert_eq!(vendor.project("1").unwrap()["reference"], "y");
    // What the host sets anew goes out again: another value, or the same one by a PATCH that names it.
    for directive in ["rework", "assigned"] {
        harness.advance(60);
        harness.host("PATCH", "/accounts/vendor1/orders/1", Some(json!({ "status": directive }))).await;
        harness.system.tick().await;
        assert_eq!(status(&vendor, "1"), directive);
    }
    vendor.change_status("1", "complete", "complete").await.unwrap();
    harness.advance(60);
    harness.host("PATCH", "/accounts/vendor1/orders/1", Some(json!({ "status": "assigned" }))).await;
    harness.system.tick().await;
    assert_eq!(status(&vendor, "1"), "assigned");
}

#[tokio::test]
async fn a_pull_alone_tells_a_directive_too() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await; // no push key
    harness.put("vendor1", "1", json!({ "status": "assigned" })).await;
    harness.advance(1);
    vendor.import(None).await.unwrap();
    harness.advance(1);
    vendor.change_status("1", "complete", "complete").await.unwrap();
    vendor.import(None).await.unwrap();
    assert_eq!(status(&vendor, "1"), "complete");
}

/// What it costs that nobody says whether a pull was read: a directive that was told by none other is taken as told,
/// and any report answers it, until the host sets it again. The other way round each report that follows a pull would
/// be undone.
#[tokio::test]
async fn a_directive_in_a_pull_that_nobody_read_is_taken_as_told() {
    for has_push_key in [true, false] {
        let harness = Harness::with_gateway(Variant { reads_on: true, ..Variant::default() }).await;
        let vendor = harness.account("vendor1", IntegrationType::Internal).await;
        if has_push_key {
            vendor.validate().await.unwrap();
        }
        harness.put("vendor1", "1", json!({ "status": "assigned" })).await;
        vendor.import(None).await.unwrap();
        harness.system.tick().await;
        let set = async |status: &str| {
            let change = Some(json!({ "status": status }));
            assert_eq!(harness.host("PATCH", "/accounts/vendor1/orders/1", change).await.0, 200);
        };
        // Told by the next push or pull, as long as nothing is reported.
        set("rush").await;
        harness.pull_that_nobody_reads(&vendor).await;
        let next = async || {
            harness.advance(400);
            harness.system.tick().await;
            if !has_push_key {
                vendor.import(None).await.unwrap();
            }
            status(&vendor, "1")
        };
        assert_eq!(next().await, "rush");
        // Reported meanwhile: not told, until it is set again.
        set("rework").await;
        harness.pull_that_nobody_reads(&vendor).await;
        vendor.change_status("1", "rush", "viewed").await.unwrap();
        assert_eq!(next().await, "rush");
        set("rework").await;
        assert_eq!(next().await, "rework");
    }
}

#[tokio::test]
async fn complete_survives_a_push_whose_answer_was_lost() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({ "status": "assigned" })).await;
    // Pruvan took it, as an import shows, but said 500: the push stays queued.
    vendor.import(None).await.unwrap();
    harness.pruvan.forecast([Weather::Answer(500, String::new())]);
    harness.system.tick().await;
    harness.advance(1);
    vendor.change_status("1", "complete", "complete").await.unwrap();
    harness.advance(3600);
    harness.system.tick().await;
    assert_eq!(vendor.pushes().len(), 1);
    assert_eq!(status(&vendor, "1"), "complete");
}

#[tokio::test]
async fn a_report_that_no_directive_can_be_behind_takes_none_back() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({ "status": "assigned" })).await;
    harness.system.tick().await;
    harness.advance(60);
    // The host asks for a rush; before it is pushed, Pruvan repeats what was known.
    harness.host("PATCH", "/accounts/vendor1/orders/1", Some(json!({ "status": "rush" }))).await;
    vendor.change_status("1", "assigned", "viewed").await.unwrap();
    harness.system.tick().await;
    assert_eq!(status(&vendor, "1"), "rush");
    // News overtakes a directive that was never sent: the crew's complete stands.
    harness.advance(60);
    harness.host("PATCH", "/accounts/vendor1/orders/1", Some(json!({ "status": "rework" }))).await;
    vendor.change_status("1", "complete", "complete").await.unwrap();
    harness.system.tick().await;
    assert_eq!(status(&vendor, "1"), "complete");
}

/// That other orders were pushed says nothing about one that waits.
#[tokio::test]
async fn a_repeat_takes_no_directive_back_that_waits_behind_the_limit() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({ "status": "assigned" })).await;
    harness.put("vendor1", "2", json!({ "status": "assigned" })).await;
    harness.system.tick().await;
    harness.advance(4000);
    vendor.change_status("2", "complete", "complete").await.unwrap();
    harness.advance(1);
    harness.host("PUT", "/accounts/vendor1", Some(json!({ "pushLimitPerHour": 1 }))).await;
    harness.host("PATCH", "/accounts/vendor1/orders/1", Some(json!({ "status": "rush" }))).await;
    harness.host("PATCH", "/accounts/vendor1/orders/2", Some(json!({ "status": "rework" }))).await;
    harness.advance(1);
    harness.system.tick().await;
    assert_eq!((status(&vendor, "1"), status(&vendor, "2")), ("rush".to_owned(), "complete".to_owned()));
    harness.advance(1);
    vendor.change_status("2", "complete", "complete").await.unwrap();
    for _ in 0..3 {
        harness.advance(4000);
        harness.system.tick().await;
    }
    assert_eq!(status(&vendor, "2"), "rework");
}

#[tokio::test]
async fn an_integration_made_anew_is_told_everything_again() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({ "status": "assigned", "dueDate": "2026-12-01" })).await;
    harness.system.tick().await;
    harness.advance(60);
    vendor.change_status("1", "complete", "complete").await.unwrap();
    let anew = harness.pruvan.integrate(
        &vendor.web_service_url,
        "php",
        "vendor1",
        &vendor.token,
        IntegrationType::Internal,
        false,
    );
    harness.advance(60);
    anew.validate().await.unwrap();
    anew.import(None).await.unwrap();
    let project = anew.project("1").unwrap();
    assert_eq!((&project["status"], &project["dueDate"]), (&json!("assigned"), &json!("2026-12-01 1200 +0")));
}

#[derive(Debug, Clone)]
enum Step {
    Put(&'static str),
    Patch(&'static str),
    Reference(u8),
    Crew(&'static str),
    Tick,
    LostTick,
    Pull,
    Refresh,
    Advance(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wishes = prop::sample::select(vec!["assigned", "rework", "rush"]);
    let edits = prop::sample::select(vec!["accepted", "complete", "submitted"]);
    let step = prop_oneof![
        3 => wishes.clone().prop_map(Step::Put),
        2 => wishes.prop_map(Step::Patch),
        2 => any::<u8>().prop_map(Step::Reference),
        3 => edits.prop_map(Step::Crew),
        3 => Just(Step::Tick),
        1 => Just(Step::LostTick),
        2 => Just(Step::Pull),
        1 => Just(Step::Refresh),
        2 => (1..900u16).prop_map(Step::Advance),
    ];
    prop::collection::vec(step, 1..25)
}

/// Runs the steps; after each transfer, checks that what Pruvan's people set was not undone by an older directive.
async fn run(steps: &[Step]) {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    // The last word of the host that was a directive of its own, and the last word of Pruvan's people, by when it was
    // said.
    let (mut last_set, mut put, mut edited) = ((0, ""), "", (0, ""));
    // The last transfer, and whether a repeated report has since left it open who had the last word: Pruvan's repeat of
    // a status is an answer to a directive that it got, and nothing new if it didn't, and a call that failed may have
    // been either.
    let (mut transferred, mut open) = (0, false);
    let mut reference = String::new();
    for (at, step) in steps.iter().enumerate() {
        let at = at + 1;
        harness.advance(1);
        let whole = |status: &str, reference: &str| {
            let status = if status.is_empty() { Value::Null } else { json!(status) };
            order(json!({ "status": status, "reference": reference }))
        };
        match step {
            Step::Put(status) => {
                drop(harness.host("PUT", "/accounts/vendor1/orders/1", Some(whole(status, &reference))).await);
                if put != *status {
                    last_set = (at, *status);
                    open = false;
                }
                put = status;
            }
            Step::Patch(status) => {
                let (code, _) =
                    harness.host("PATCH", "/accounts/vendor1/orders/1", Some(json!({ "status": status }))).await;
                if code == 200 {
                    last_set = (at, *status);
                    open = false;
                    put = status;
                }
            }
            Step::Reference(n) => {
                reference = n.to_string();
                drop(harness.host("PUT", "/accounts/vendor1/orders/1", Some(whole(put, &reference))).await);
            }
            Step::Crew(status) => {
                if vendor.project("1").is_some() {
                    let before = self::status(&vendor, "1");
                    assert_eq!(
                        vendor.change_status("1", status, "viewed").await.unwrap().body,
                        r#"{"status":true,"error":null}"#
                    );
                    if before != *status {
                        (edited, open) = ((at, *status), false);
                    } else if transferred > last_set.0 && edited.0 < last_set.0 {
                        open = true;
                    }
                }
            }
            Step::Tick => harness.system.tick().await,
            Step::LostTick => {
                harness.pruvan.forecast([Weather::Answer(503, String::new())]);
                harness.system.tick().await;
                harness.pruvan.clear_forecast();
            }
            Step::Pull => drop(vendor.import(Some(harness.now() - 60)).await.unwrap()),
            Step::Refresh => drop(vendor.import(None).await.unwrap()),
            Step::Advance(seconds) => harness.advance(i64::from(*seconds)),
        }
        if matches!(step, Step::Tick | Step::LostTick | Step::Pull | Step::Refresh) {
            transferred = at;
        }
        if edited.0 > last_set.0 {
            assert_eq!(status(&vendor, "1"), edited.1, "undone at step {at} of {steps:?}");
        }
    }
    // In the end all that the host set last has arrived, unless Pruvan's people had the last word.
    for _ in 0..3 {
        harness.advance(3600);
        harness.system.tick().await;
    }
    if last_set.0 > 0 && !open {
        let last = if edited.0 > last_set.0 { edited.1 } else { last_set.1 };
        assert_eq!(status(&vendor, "1"), last, "at the end of {steps:?}");
    }
}

#[tokio::test]
async fn what_was_pulled_after_a_gap_is_answered_by_a_repeat_too() {
    let (put, crew) = (Step::Put, Step::Crew);
    run(&[put("assigned"), Step::Tick, crew("accepted"), put("rework"), Step::Pull, crew("accepted")]).await;
}

#[test]
fn no_sequence_of_steps_undoes_what_pruvans_people_set() {
    let config =
        ProptestConfig { cases: 40, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(steps in steps())| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(&steps));
    });
}
