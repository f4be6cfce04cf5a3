//! The rules, one by one.

use serde_json::json;

use super::*;

const NOW: i64 = 1_795_435_200_000;

fn account(settings: Value) -> Account {
    let mut row = json!({ "username": "vendor1", "madeAt": 0, "pushKeySerial": 1 });
    row.as_object_mut().unwrap().extend(settings.as_object().cloned().unwrap());
    serde_json::from_value(row).unwrap()
}

fn internal() -> Account {
    account(json!({ "integration": "internal" }))
}

fn given(more: Value) -> WorkOrder {
    let mut body = json!({
        "address1": "110 East Main Street", "city": "Round Rock", "state": "TX", "zip": "78664",
        "services": [{ "serviceName": "Grass cut", "survey": "master::lawn-v1" }, { "serviceName": "Lock change" }],
    });
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    WorkOrder::parse("1001", body.as_object().cloned().unwrap()).unwrap().0
}

fn made(known: Option<&Order>, more: Value, now: i64) -> Option<Order> {
    next(&internal(), known, &given(more), Intent::State, false, now)
}

fn first() -> Order {
    made(None, json!({ "status": "assigned" }), NOW).unwrap()
}

/// The row that says that Pruvan doesn't have the order as it is.
fn queued(before: FirstPush) -> Option<QueueRow> {
    Some(QueueRow { work_order_number: "1001".to_owned(), first_push: before, ..QueueRow::default() })
}

fn planned(known: &Order, next: &Order, row: Option<QueueRow>, replace: bool) -> Result<Write, Vec<Remark>> {
    let instructions = Instructions { replace_survey: replace, ..Instructions::default() };
    plan(&internal(), Some(known), next.clone(), row, Intent::State, instructions).unwrap()
}

fn without(write: &Write) -> Vec<&str> {
    let first = write.preparation.as_ref();
    first.map(|(before, _)| before.without.iter().map(String::as_str).collect()).unwrap_or_default()
}

#[test]
fn an_order_given_again_as_it_is_changes_nothing_unless_it_is_forced() {
    let known = first();
    assert!(made(Some(&known), json!({ "status": "assigned" }), NOW + 1).is_none());
    let forced = next(&internal(), Some(&known), &given(json!({ "status": "assigned" })), Intent::State, true, NOW + 1);
    assert_eq!(forced.unwrap().revision, 2);
}

#[test]
fn every_change_raises_the_revision_and_the_time_never_goes_back() {
    let known = first();
    let next = made(Some(&known), json!({ "city": "Hutto" }), NOW - 60_000).unwrap();
    assert_eq!((next.revision, next.version, next.changed_at, next.made_at), (2, 2, NOW, NOW));
}

#[test]
fn an_order_ends_once_and_begins_again_with_another_status() {
    let ended = made(Some(&first()), json!({ "status": "canceled" }), NOW + 1).unwrap();
    assert_eq!(ended.ended_at, Some(NOW + 1));
    let still = made(Some(&ended), json!({ "status": "canceled", "city": "Hutto" }), NOW + 2).unwrap();
    assert_eq!(still.ended_at, Some(NOW + 1));
    assert_eq!(made(Some(&still), json!({ "status": "assigned" }), NOW + 3).unwrap().ended_at, None);
}

#[test]
fn a_deleted_order_says_so_in_both_statuses_and_begins_anew_with_what_was_reported() {
    let mut known = first();
    known.reports.push(crate::order::Report { at: NOW, ..Default::default() });
    let deleted = deletion(&known, NOW + 1).unwrap().next;
    let document: Value = serde_json::from_str(&deleted.document).unwrap();
    assert_eq!((&document["status"], &document["clientStatus"]), (&json!("deleted"), &json!("Deleted")));
    assert_eq!((deleted.deleted_at, deleted.ended_at, deleted.revision), (Some(NOW + 1), Some(NOW + 1), 2));
    let again = made(Some(&deleted), json!({}), NOW + 2).unwrap();
    assert_eq!((again.made_at, again.revision, again.reports.len(), again.deleted_at), (NOW + 2, 3, 1, None));
}

#[test]
fn rushes_cancellations_deletions_and_what_is_forced_are_urgent() {
    let of = |status: &str| urgency(&made(None, json!({ "status": status }), NOW).unwrap(), false);
    assert_eq!((of("rush"), of("canceled"), of("assigned")), (Urgency::Urgent, Urgency::Urgent, Urgency::Normal));
    assert_eq!(urgency(&first(), true), Urgency::Urgent);
    assert_eq!(urgency(&deletion(&first(), NOW).unwrap().next, false), Urgency::Urgent);
}

#[test]
fn a_survey_changes_under_its_service_only_if_the_host_says_to_replace_it() {
    let known = first();
    let services =
        json!([{ "serviceName": "Grass cut", "survey": "master::lawn-v2" }, { "serviceName": "Lock change" }]);
    let next = made(Some(&known), json!({ "status": "assigned", "services": services }), NOW + 1).unwrap();
    let faults = planned(&known, &next, None, false).err().unwrap();
    assert!(faults[0].detail.contains("replaceSurvey"), "{faults:?}");
    let write = planned(&known, &next, None, true).ok().unwrap();
    assert_eq!(without(&write), ["Grass cut"], "the order goes without it first");
}

#[test]
fn an_order_keeps_a_service_while_others_are_replaced() {
    let services = |survey: &str| json!([{ "serviceName": "Grass cut", "survey": survey }]);
    let known = made(None, json!({ "services": services("master::lawn-v1") }), NOW).unwrap();
    let next = made(Some(&known), json!({ "services": services("master::lawn-v2") }), NOW + 1).unwrap();
    let faults = planned(&known, &next, None, true).err().unwrap();
    assert!(faults[0].detail.contains("at least one service"), "{faults:?}");
}

#[test]
fn a_service_that_left_and_comes_back_with_another_survey_before_pruvan_knew_goes_twice() {
    let lock = json!([{ "serviceName": "Lock change" }]);
    let known = first();
    let left = made(Some(&known), json!({ "status": "assigned", "services": lock }), NOW + 1).unwrap();
    let write = planned(&known, &left, queued(FirstPush::default()), false).ok().unwrap();
    let (before, _) = write.preparation.clone().unwrap();
    assert_eq!(before.removed_unsent.get("Grass cut").map(String::as_str), Some("master::lawn-v1"));
    let services =
        json!([{ "serviceName": "Grass cut", "survey": "master::lawn-v2" }, { "serviceName": "Lock change" }]);
    let back = made(Some(&left), json!({ "status": "assigned", "services": services }), NOW + 2).unwrap();
    assert_eq!(without(&planned(&left, &back, queued(before), true).ok().unwrap()), ["Grass cut"]);
    // Once Pruvan has the order without it, nothing has to go first.
    assert_eq!(without(&planned(&left, &back, None, true).ok().unwrap()), Vec::<&str>::new());
}

#[test]
fn a_service_that_leaves_while_it_is_to_be_made_anew_is_made_anew_if_it_comes_back() {
    let task = json!({ "serviceName": "Lock change" });
    let services = |survey: &str| json!([{ "serviceName": "Grass cut", "survey": survey }, task]);
    let lawn =
        |known: Option<&Order>, survey: &str, at| made(known, json!({ "services": services(survey) }), at).unwrap();
    let known = lawn(None, "master::lawn-v1", NOW);
    let changed = lawn(Some(&known), "master::lawn-v2", NOW + 1);
    let (before, _) = planned(&known, &changed, queued(FirstPush::default()), true).ok().unwrap().preparation.unwrap();
    let left = made(Some(&changed), json!({ "services": [task] }), NOW + 2).unwrap();
    let (before, _) = planned(&changed, &left, queued(before), true).ok().unwrap().preparation.unwrap();
    assert!(before.without.is_empty(), "it is left out as it is");
    // Pruvan still has the first survey, though the last one here was the second.
    let back = lawn(Some(&left), "master::lawn-v2", NOW + 3);
    assert_eq!(without(&planned(&left, &back, queued(before), true).ok().unwrap()), ["Grass cut"]);
}

#[test]
fn an_order_deleted_and_made_anew_before_pruvan_knew_is_deleted_there_first_where_deleting_deletes() {
    let deleted = deletion(&first(), NOW + 1).unwrap().next;
    let again = made(Some(&deleted), json!({}), NOW + 2).unwrap();
    let first_of = |account: &Account, row| what_goes_first(account, &deleted, &again, row).unwrap();
    let (before, _) = first_of(&internal(), queued(FirstPush::default())).unwrap();
    assert!(before.delete_first);
    assert!(first_of(&internal(), None).is_none(), "Pruvan knows of the deletion");
    let external = account(json!({ "integration": "external" }));
    assert!(first_of(&external, queued(FirstPush::default())).is_none(), "a deletion deletes nothing there");
    let lawn = json!([{ "serviceName": "Grass cut", "survey": "master::lawn-v2" }, { "serviceName": "Lock change" }]);
    let other = made(Some(&deleted), json!({ "services": lawn }), NOW + 2).unwrap();
    let (before, _) = what_goes_first(&external, &deleted, &other, None).unwrap().unwrap();
    assert!(!before.delete_first && before.without.contains("Grass cut"), "it is made anew by itself");
}

#[test]
fn what_is_found_for_an_earlier_push_key_does_not_count() {
    let known = first();
    let next = made(Some(&known), json!({ "status": "assigned", "city": "Hutto" }), NOW + 1).unwrap();
    let of =
        |serial| FirstPush { for_push_key: serial, without: ["Grass cut".to_owned()].into(), ..FirstPush::default() };
    let first_of = |serial| what_goes_first(&internal(), &known, &next, queued(of(serial))).unwrap().unwrap().0;
    assert_eq!(first_of(1).without.len(), 1);
    assert!(first_of(0).without.is_empty());
}

#[test]
fn kept_services_are_those_that_are_here() {
    let known = first();
    let bare = given(json!({ "services": [{ "serviceName": "Task" }] }));
    let keep = Instructions { keep_services: true, ..Instructions::default() };
    let kept = with_kept_services(&bare, Some(&known), keep).unwrap().document();
    assert!(kept.contains("Lock change") && !kept.contains("Task"), "{kept}");
    assert!(
        with_kept_services(&bare, None, keep).unwrap().document().contains("Task"),
        "a new order has what is given"
    );
}
