//! `cargo run -p local -- conformance`: ours and another sound host pass, and each fault planted in the other is told
//! by its own rows.

use std::time::Duration;

use checks::conformance::{Format, Options, Waits, run};
use checks::report::{Outcome, Report};
use futures_util::future::join_all;
use local::gateway::Variant;
use serde_json::{Value, json};

use crate::harness::Harness;
use crate::harness::broken_host::{BrokenHost, KEY, Planted, USER};

/// Waits are long where something must come, and short where nothing may.
fn options(url: &str, username: &str, key: &str) -> Options {
    let seconds = Duration::from_secs;
    let waits = Waits {
        watch: Some(seconds(1)),
        quiet: Duration::from_millis(400),
        retry: seconds(20),
        doubt: seconds(60),
        read_back: Duration::from_millis(200),
    };
    Options {
        url: url.to_owned(),
        username: username.to_owned(),
        token: Some(key.into()),
        extension: "html".to_owned(),
        format: Format::Text,
        client_code: "SMC".to_owned(),
        orders: None,
        order: None,
        push_url: None,
        push_port: None,
        watch: 20,
        read_back: Some(format!("{url}/uploads/{{uuId}}")),
        waits,
    }
}

/// Names of the rows that failed.
fn failed(report: &Report) -> Vec<&str> {
    let failed = report.rows.iter().filter(|row| matches!(row.outcome, Outcome::Fail(_)));
    failed.map(|row| row.check.as_str()).collect()
}

fn shown(report: &Report) -> String {
    let lines = report.rows.iter().map(|row| {
        let place = format!("{}: {}", row.section.unwrap(), row.check);
        match &row.outcome {
            Outcome::Pass(_) => format!("PASS {place}"),
            Outcome::Fail(fault) => format!("FAIL {place} {fault:?}"),
            Outcome::Warn(fault) => format!("WARN {place} {fault:?}"),
            Outcome::Skip(why) => format!("SKIP {place}: {why}"),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

async fn of_broken(planted: Option<Planted>) -> Report {
    let host = BrokenHost::with_orders(planted).await;
    let mut options = options(&host.url, USER, KEY);
    if planted == Some(Planted::NeverPushesAgain) || planted == Some(Planted::MaintenanceIsSuccess) {
        options.waits.retry = Duration::from_secs(1);
    }
    run(&options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_passes_and_a_second_run_stores_nothing_new() {
    let harness = Harness::with_real_time().await;
    let (_, made) = harness.host("PUT", "/accounts/checks", None).await;
    for number in ["1001", "1002", "1003"] {
        harness.put("checks", number, json!({ "status": "assigned", "dueDate": "2026-12-01" })).await;
    }
    let url = &harness.system.gateway_url;
    let mut options = options(url, "checks", made["apiKey"].as_str().unwrap());
    options.read_back = Some(format!("{url}/accounts/checks/uploads/{{uuId}}"));
    options.orders = Some(3);
    let report = run(&options).await.unwrap();
    insta::assert_snapshot!(shown(&report), @r#"
    SKIP URL format: it answers, by https with a valid certificate: plain http, on this machine only
    PASS URL format: Content-Type: Mulipart/Form-Data, as documented
    PASS URL format: Content-Type: multipart/form-data
    PASS URL format: a payload that says its charset
    PASS URL format: urlencoded, as test tools do
    PASS URL format: replies are text/plain or application/json
    PASS The validate Web Service: replies of validate have the documented shapes
    PASS Authentication: validate lets the right key in
    PASS Authentication: validate refuses a wrong key
    PASS Authentication: getWorkOrders refuses a wrong key
    PASS Authentication: uploadPictures refuses a wrong key
    PASS Authentication: status refuses a wrong key
    PASS Authentication: an unknown user is refused by all services
    PASS Authentication: an empty token is refused by all services
    PASS The getWorkOrders Web Service: a full refresh gives a list
    PASS The getWorkOrders Web Service: at least 3 work orders, as --orders says
    PASS The getWorkOrders Web Service: replies of getWorkOrders have the documented shapes
    PASS getWorkOrders Modes: an incremental import gives a list
    PASS getWorkOrders Modes: a time to come gives nothing, or what changed lately
    PASS getWorkOrders Modes: the time may be a text, such as "1393278236"
    PASS getWorkOrders Modes: a time of "", "null" or none is a full refresh
    PASS getWorkOrders Modes: a full refresh has all that changed since 1970
    PASS getWorkOrders Modes: two full refreshes agree
    PASS Available workOrder Object Fields: work orders have their fields, in the documented types
    PASS Available workOrder service Object Fields: services have their fields, in the documented types
    PASS Numbered Attributes: attribute1 to attribute6 of work orders are left to Pruvan
    PASS Requirements: no work order number is there twice
    PASS Limits: at most 5000 work orders in a reply
    PASS The uploadPictures Web Service: a picture
    PASS The uploadPictures Web Service: an order that isn't known (any more)
    PASS The uploadPictures Web Service: a service that isn't known
    PASS The uploadPictures Web Service: a byte order mark before the payload
    PASS The uploadPictures Web Service: lines that end in LF alone
    PASS The uploadPictures Web Service: the payload may come after the file
    PASS The uploadPictures Web Service: an item may be published again
    PASS The uploadPictures Web Service: an item may be published again with another file
    PASS The uploadPictures Web Service: an upload without a file gets a documented reply
    PASS The uploadPictures Web Service: an empty file gets a documented reply
    PASS The uploadPictures Web Service: an item may come twice at once
    PASS The uploadPictures Web Service: a body that breaks off is not acknowledged
    PASS The uploadPictures Web Service: files that were acknowledged are there, as they were sent
    PASS The uploadPictures Web Service: replies of uploadPictures have the documented shapes
    PASS Available uploadPictures Object Fields: a Certified Service Record (csr)
    PASS Available uploadPictures Object Fields: a survey, its answers as JSON in a text
    PASS Available uploadPictures Object Fields: a survey, its answers as an object
    PASS Available uploadPictures Object Fields: a survey, its answers encoded twice
    PASS Available uploadPictures Object Fields: a survey whose lists became objects
    PASS Available uploadPictures Object Fields: a check-in
    PASS Available uploadPictures Object Fields: a file
    PASS Available uploadPictures Object Fields: a fileType never heard of
    PASS Available uploadPictures Object Fields: an evidenceType never heard of
    PASS Available uploadPictures Object Fields: numbers as texts, nothing as null, "null" or missing
    PASS Available uploadPictures Object Fields: notes that are not ASCII
    PASS Available uploadPictures Object Fields: notes that are no UTF-8 either
    PASS Available uploadPictures Object Fields: notes that were cut within an emoji
    PASS Pruvan Status Values: statuses are Pruvan's
    PASS The status Web Service: numbers come with Pruvan's client code before them
    PASS The status Web Service: statuses may be written as the web page shows them
    PASS The status Web Service: a status never heard of is taken
    PASS The status Web Service: dueDate may be a number, a text, null or missing
    PASS The status Web Service: nothing may be said as null or "null"
    PASS The status Web Service: there may be more fields than are documented
    PASS The status Web Service: workOrders may have become an object
    PASS The status Web Service: an unknown order is named, and it alone
    PASS The status Web Service: an order may be complete any number of times
    PASS The status Web Service: replies of status have the documented shapes
    PASS Pruvan Push API: a push that failed is sent again
    PASS Pruvan Push API: a push key from somebody with a wrong key is not used
    PASS Pruvan Push API: reports and uploads are not pushed back
    PASS Pruvan Push API: once an order is complete, no older status is pushed
    PASS Using the pushkey: pushes are as documented
    PASS General: replies are ASCII
    PASS General: replies are JSON, with HTTP status 200
    PASS General: replies hold no token, password or push key
    PASS Date Fields: dates can be read
    "#);
    // The item that is published again with other bytes changes to and fro, and each change is a version.
    let stored = async || {
        let mut dump = harness.dump().await;
        let files = dump["files"].iter().filter(|name| name.ends_with(".json")).cloned().collect::<Vec<_>>();
        (files, dump.remove("UploadsTable").unwrap().len(), dump["OrdersTable"].len())
    };
    let (files, uploads, orders) = stored().await;
    let again = run(&options).await.unwrap();
    assert_eq!(failed(&again), [""; 0], "{}", again.table(false));
    assert_eq!(stored().await, (files, uploads + 2, orders));
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_passes_behind_a_gateway_that_has_its_own_words_and_reads_on() {
    let harness = Harness::with_real_time_behind(Variant { has_its_own_too_long: true, reads_on: true }).await;
    let (_, made) = harness.host("PUT", "/accounts/checks", None).await;
    harness.put("checks", "1001", json!({ "status": "assigned", "dueDate": "2026-12-01" })).await;
    let url = &harness.system.gateway_url;
    let mut options = options(url, "checks", made["apiKey"].as_str().unwrap());
    options.read_back = Some(format!("{url}/accounts/checks/uploads/{{uuId}}"));
    let report = run(&options).await.unwrap();
    assert!(report.is_healthy(), "{}", report.table(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sound_host_passes() {
    let host = BrokenHost::with_orders(None).await;
    let report = run(&options(&host.url, USER, KEY)).await.unwrap();
    assert_eq!(failed(&report), [""; 0], "{}", report.table(false));
    let [_, _, skipped, _] = report.counts();
    assert_eq!(skipped, 1, "{}", report.table(false));
    let files = host.files();
    run(&options(&host.url, USER, KEY)).await.unwrap();
    assert_eq!(host.files(), files);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_planted_fault_fails_its_own_rows() {
    use Planted::*;
    const AGAIN: &str = "an item may be published again";
    const OTHER: &str = "an item may be published again with another file";
    const THERE: &str = "files that were acknowledged are there, as they were sent";
    let expected: [(Planted, &[&str]); 40] = [
        (WrongShape, &["replies of uploadPictures have the documented shapes"]),
        (HtmlType, &["replies are text/plain or application/json"]),
        (CutList, &["a full refresh has all that changed since 1970"]),
        (TimeAsTextIsNoTime, &["the time may be a text, such as \"1393278236\""]),
        (EmptyTimeFails, &["a time of \"\", \"null\" or none is a full refresh"]),
        (NoNewsIsNull, &["replies of getWorkOrders have the documented shapes"]),
        (NotAscii, &["replies are ASCII"]),
        (NumberTwice, &["no work order number is there twice"]),
        (OwnStatus, &["statuses are Pruvan's"]),
        (ServiceWithoutName, &["services have their fields, in the documented types"]),
        (LostUpload, &[THERE]),
        (RuinedUpload, &[THERE]),
        (UnknownTypeRefused, &["a fileType never heard of"]),
        (UnknownOrderRefused, &["an order that isn't known (any more)"]),
        (SurveyObjectFails, &["a survey, its answers as an object"]),
        (Latin1Refused, &["notes that are no UTF-8 either"]),
        (ByteOrderMarkRefused, &["a byte order mark before the payload"]),
        (BareLineFeedsRefused, &["lines that end in LF alone"]),
        (HalfAnEmojiRefused, &["notes that were cut within an emoji"]),
        (GapsRefused, &["workOrders may have become an object"]),
        (RepublishRefused, &[AGAIN, OTHER, "an item may come twice at once"]),
        (KeepsTheFirstFile, &[THERE]),
        (HalfAFileIsTaken, &["a body that breaks off is not acknowledged"]),
        (
            CrashWithoutFile,
            &[
                "replies are text/plain or application/json",
                "an upload without a file gets a documented reply",
                "an empty file gets a documented reply",
                "replies are JSON, with HTTP status 200",
            ],
        ),
        (NotPrefixed, &["numbers come with Pruvan's client code before them"]),
        (AllOrNothing, &["an unknown order is named, and it alone", "replies of status have the documented shapes"]),
        (SpellingsRefused, &["statuses may be written as the web page shows them"]),
        (DueDateOnlyANumber, &["dueDate may be a number, a text, null or missing"]),
        (WrongKeyAtStatus, &["status refuses a wrong key"]),
        (AnyUserValidates, &["an unknown user is refused by all services"]),
        (EmptyTokenTaken, &["an empty token is refused by all services"]),
        (SecretsEchoed, &["replies hold no token, password or push key"]),
        (MulipartRefused, &["Content-Type: Mulipart/Form-Data, as documented"]),
        (NoUrlencoded, &["urlencoded, as test tools do"]),
        (PushKeyOfAnybody, &["a push key from somebody with a wrong key is not used"]),
        (NeverPushesAgain, &["a push that failed is sent again"]),
        (MaintenanceIsSuccess, &["a push that failed is sent again"]),
        (PushesAnObject, &["pushes are as documented"]),
        (Echo, &["reports and uploads are not pushed back"]),
        (Stale, &["once an order is complete, no older status is pushed"]),
    ];
    let reports = join_all(expected.map(|(planted, _)| of_broken(Some(planted)))).await;
    for ((planted, rows), report) in expected.into_iter().zip(reports) {
        let (mut rows, mut found) = (rows.to_vec(), failed(&report));
        rows.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, rows, "{planted:?}\n{}", report.table(false));
        let printed = [Format::Text, Format::Json, Format::Junit].map(|format| format.print(&report, false)).concat();
        assert!(!printed.contains(KEY) && printed.is_ascii(), "{planted:?}\n{printed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_checked_is_said() {
    let host = BrokenHost::start(None).await;
    let mut options = options(&host.url, USER, KEY);
    options.read_back = None;
    let report = run(&options).await.unwrap();
    assert_eq!(failed(&report), [""; 0]);
    let text = report.table(false);
    assert!(text.contains("no work orders: put one in, and run it again"), "{text}");
    assert!(format!("{report:?}").contains("none came within 1 s of the validate"), "{text}");
    let json: Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(json["failed"], 0);
    // A wrong key is told once, and a server that isn't there.
    options.token = Some("conformance-of-nothing".into());
    let report = run(&options).await.unwrap();
    assert_eq!(failed(&report), ["validate lets the right key in"]);
    options.url = "http://127.0.0.1:1".to_owned();
    assert_eq!(failed(&run(&options).await.unwrap()), ["it answers, by https with a valid certificate"]);
    for (url, token, why) in [
        ("http://pruvan.example.com", Some(KEY), "must begin with https://"),
        (host.url.as_str(), None, "PRUVAN_KEY is not set"),
        (host.url.as_str(), Some("short"), "less than 6 characters"),
    ] {
        let options = Options { url: url.to_owned(), token: token.map(Into::into), ..options.clone() };
        assert!(run(&options).await.unwrap_err().to_string().contains(why), "{why}");
    }
    options.read_back = Some(host.url.clone());
    assert!(run(&options).await.unwrap_err().to_string().contains("{uuId}"));
}
