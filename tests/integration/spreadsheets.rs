//! Our list as CSV, there and back: what a spreadsheet makes of it comes in unchanged or is refused, and never makes an
//! order that wasn't there. `fixtures/spreadsheets/make.sh` had LibreOffice open and save the list.

use std::path::{Path, PathBuf};

use bridge::import::{Choices, DateOrder};
use host_client::HostClient;
use host_client::import::{Imported, rows, run};
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};

use crate::harness::Harness;

/// Orders full of what spreadsheets like to change.
fn orders() -> Vec<Value> {
    let order = |number: &str, more: Value| {
        let mut order = json!({
            "workOrderNumber": number, "address1": "12 1/2 Oak Street", "city": "Boston", "state": "MA", "zip": "02134",
            "services": [{ "serviceName": "Grass cut" }],
        });
        for (name, value) in more.as_object().unwrap() {
            order[name] = value.clone();
        }
        order
    };
    vec![
        order("00123", json!({ "reference": "=SUM(A1)", "attribute7": "TRUE", "attribute8": "10%" })),
        order("1-2", json!({ "reference": "1/2", "startDate": "2026-03-04", "dueDate": "2026-03-04" })),
        order("12345678901234567", json!({ "attribute9": "1e5", "attribute10": "1.50", "attribute11": "$5" })),
        order("MAR-15", json!({ "gpsLatitude": 30.50881246, "gpsLongitude": -97.67852886, "attribute12": "12:30" })),
        order("123", json!({ "instructions": "Gate \"4411\"\nsay 'ni\u{f1}o'", "description": "@home, +1 555 0100" })),
        order(
            "WO 7",
            json!({
                "attribute13": "'quoted", "attribute14": "#N/A", "attribute15": "0017; 2-Jan",
                "services": [{ "serviceName": "Photos", "attribute1": "007" }, { "serviceName": "2-Jan", "instructions": "-1" }],
            }),
        ),
    ]
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/spreadsheets")
}

/// An account with the orders, and its list as CSV.
async fn listed() -> (Harness, String) {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    let (_, reply) = harness.host("POST", "/accounts/vendor1/orders", Some(Value::from(orders()))).await;
    assert_eq!(reply["created"], 6, "{reply}");
    let url = format!("{}/accounts/vendor1/orders?format=csv", harness.system.gateway_url);
    let bytes = harness.client.get(url).send().await.unwrap().bytes().await.unwrap();
    (harness, String::from_utf8(bytes.to_vec()).unwrap())
}

async fn import(harness: &Harness, file: &Path) -> Imported {
    let host = HostClient::new(&harness.system.gateway_url).unwrap();
    let choices = Choices::default();
    let rows = rows(file, &choices).unwrap_or_else(|fault| panic!("{fault}"));
    run(&host, "vendor1", rows, &choices).await.map_err(|(_, error)| error).unwrap()
}

#[tokio::test]
async fn our_list_is_what_the_spreadsheet_was_given() {
    let (harness, csv) = listed().await;
    let file = fixtures().join("list.csv");
    if std::env::var_os("WRITE_FIXTURES").is_some() {
        std::fs::write(&file, &csv).unwrap();
    }
    assert!(csv.starts_with('\u{feff}'), "Excel takes it for UTF-8 by that");
    assert!(
        std::fs::read_to_string(&file).unwrap() == csv,
        "run WRITE_FIXTURES=1, and then fixtures/spreadsheets/make.sh"
    );
    let done = import(&harness, &file).await;
    assert_eq!((done.counts["unchanged"], done.counts.len()), (6, 1), "{}", done.report());
}

#[tokio::test]
async fn what_libreoffice_saves_comes_in_unchanged_or_is_refused() {
    let (harness, _) = listed().await;
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(fixtures().join("saved")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let done = import(&harness, &file).await;
        let of = |name: &str| done.counts.get(name).copied().unwrap_or(0);
        assert_eq!((of("created"), of("changed")), (0, 0), "{}: {}", file.display(), done.report());
        assert!(of("unchanged") > 0, "{}: {}", file.display(), done.report());
    }
    let (_, list) = harness.host("GET", "/accounts/vendor1/orders", None).await;
    assert_eq!(list["orders"].as_array().unwrap().len(), 6);
}

/// A spreadsheet that takes the `'` away, and makes numbers and dates of what is left.
#[tokio::test]
async fn a_number_that_lost_its_zeros_changes_no_other_order() {
    let (harness, csv) = listed().await;
    let mangled = csv
        .replace("'00123", "123")
        .replace("'1-2", "2-Jan")
        .replace("'12345678901234567", "1.23457E+16")
        .replace("'MAR-15", "15-Mar");
    let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    std::fs::write(file.path(), mangled).unwrap();
    let before = harness.order("vendor1", "123").await;
    let done = import(&harness, file.path()).await;
    let of = |name: &str| done.counts.get(name).copied().unwrap_or(0);
    assert_eq!((of("created"), of("changed"), of("refused"), of("unchanged")), (0, 0, 4, 2), "{}", done.report());
    assert_eq!(harness.order("vendor1", "123").await, before);
}

#[tokio::test]
async fn a_request_says_how_its_dates_are_read_and_in_which_encoding_it_is() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    let csv =
        "Project Number;Address 1;City;State;Zip Code;Due Date;Task\n1;Caf\u{e9} 1;Boston;MA;2134;03/04/2026;Photos\n";
    let post = async |query: &str, content_type: &str, body: Vec<u8>| {
        let url = format!("{}/accounts/vendor1/orders{query}", harness.system.gateway_url);
        let reply = harness.client.post(url).header("content-type", content_type).body(body).send().await.unwrap();
        let (status, bytes) = (reply.status().as_u16(), reply.bytes().await.unwrap());
        (status, serde_json::from_slice::<Value>(&bytes).unwrap())
    };
    for content_type in ["text/csv", "text/plain", "text/tab-separated-values", "application/x-www-form-urlencoded"] {
        let (status, reply) = post("", content_type, csv.into()).await;
        assert_eq!((status, &reply["refused"], &reply["notAttempted"]), (200, &json!(0), &json!(0)), "{reply}");
    }
    let (_, reply) = post("", "text/csv", csv.into()).await;
    let told = |field: &str| {
        let warnings = reply["results"][0]["warnings"].as_array().unwrap();
        warnings.iter().find(|warning| warning["field"] == field).cloned().unwrap_or_default()
    };
    assert_eq!(told("/zip")["altered"], json!([{ "before": "2134", "after": "02134" }]));
    assert_eq!(told("/dueDate")["altered"], json!([{ "before": "03/04/2026", "after": "2026-03-04" }]));
    assert_eq!(told("/address1")["altered"], json!([{ "before": "Caf\u{e9}", "after": "Cafe" }]));
    let (_, reply) = post("?dates=dmy", "text/csv", csv.into()).await;
    assert_eq!(
        (&reply["changed"], &reply["results"][0]["warnings"][1]["field"]),
        (&json!(1), &json!("/address1")),
        "{reply}"
    );
    assert_eq!(harness.order("vendor1", "1").await["workOrder"]["dueDate"], "2026-04-03 1200 +0");
    assert_eq!(post("?dates=ymd", "text/csv", csv.into()).await.0, 400);
    let (status, problem) = post("", "application/vnd.ms-excel", b"PK\x03\x04workbook".to_vec()).await;
    assert!(status == 400 && problem["detail"].as_str().unwrap().contains("CSV UTF-8"), "{problem}");
    let utf_16: Vec<u8> = format!("\u{feff}{csv}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (status, reply) = post("", "text/csv", utf_16).await;
    // The gateway takes text for UTF-8, so that it may be garbled before it is here: then it is told.
    assert!(status == 200 || reply["detail"].as_str().unwrap().contains("CSV UTF-8"), "{status} {reply}");
}

#[tokio::test]
async fn a_workbook_is_read_by_the_types_of_its_cells() {
    let (harness, _) = listed().await;
    let choices = Choices { dates: Some(DateOrder::DayFirst), ..Choices::default() };
    let rows = rows(&fixtures().join("typed.xlsx"), &choices).unwrap();
    let orders: Vec<Value> = rows.into_iter().map(|row| row.order.map_or_else(Value::from, Value::Object)).collect();
    assert_eq!(
        orders,
        [
            json!({
                "workOrderNumber": "00123", "address1": "12 Oak", "city": "Boston", "state": "MA", "zip": "02134",
                "dueDate": "2026-03-04", "services": [{ "serviceName": "Photos" }],
            }),
            json!({
                "workOrderNumber": "123456789012", "address1": "2-Jan", "city": "Austin", "state": "TX", "zip": "78664",
                "dueDate": "2026-12-01", "services": [{ "serviceName": "Photos" }],
            }),
            json!(
                "has a \"City\" that is \"#VALUE!\", which a spreadsheet writes where a formula failed or a column is too narrow: mend the cell"
            ),
        ]
    );
    drop(harness);
}
