//! `cargo run -p local -- import`: files as hosts have them, calls of the right size, and a report that says what to
//! mend.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Request, Response};
use bridge::import::Choices;
use host_client::HostClient;
use host_client::import::{Imported, rows, run};
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};

use crate::harness::Harness;

async fn import(url: &str, name: &str, content: impl AsRef<[u8]>, choices: &Choices) -> Result<Imported, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, content).unwrap();
    let rows = rows(&file, choices).map_err(|error| error.to_string())?;
    let host = HostClient::new(url).unwrap();
    run(&host, "vendor1", rows, choices).await.map_err(|(_, error)| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_kind_come_in() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    let url = &harness.system.gateway_url;
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/pruvan-export.csv"));
    let host = HostClient::new(url).unwrap();
    let done = run(&host, "vendor1", rows(file, &Choices::default()).unwrap(), &Choices::default())
        .await
        .map_err(|(_, error)| error)
        .unwrap();
    insta::assert_snapshot!(done.report(), @r#"
           4  created
           0  changed
           0  unchanged
           0  refused

    Accepted, but:
      orders  what
           4  names no service, and has "Task": 2026-0101, 2026-0102, 2026-0103, 2026-0104
    "#);
    // More than a call takes, with some that can't be taken.
    let mut csv = "Project Number;Address 1;City;State;Zip Code;serviceName\r\n".to_owned();
    for n in 0..1_300 {
        let zip = if n % 500 == 0 { "" } else { "78664" };
        let street = if n < 3 { "Stra\u{df}e" } else { "Oak Street" };
        csv.push_str(&format!("L{n};{street} {n};Round Rock;TX;{zip};Photos\r\n"));
    }
    // As Excel saves it on Windows.
    let windows: Vec<u8> = csv.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let done = import(url, "orders.CSV", windows, &Choices::default()).await.unwrap();
    insta::assert_snapshot!(done.report(), @r#"
        1297  created
           0  changed
           0  unchanged
           3  refused

    Refused:
        line  number  why
           2  L0      /zip is required
         502  L500    /zip is required
        1002  L1000   /zip is required

    Taken, but not as it stood there:
        line  number  what it became
           3  L1      /address1 holds characters that Pruvan doesn't take; they were replaced by similar ASCII ones: "Straße" became "Strasse"
           4  L2      /address1 holds characters that Pruvan doesn't take; they were replaced by similar ASCII ones: "Straße" became "Strasse"
    "#);
    assert_eq!(harness.order("vendor1", "L2").await["workOrder"]["address1"], "Strasse 2");
    let lines = "{\"workOrderNumber\":\"L7\"}\n{oops\n{\"workOrderNumber\":\"L7\"}\n";
    let done = import(url, "orders.jsonl", lines, &Choices::default()).await.unwrap();
    let refused: Vec<(Option<u64>, &str)> =
        done.refused.iter().map(|refused| (refused.line, refused.number.as_str())).collect();
    assert_eq!(refused, [(Some(1), "L7"), (Some(2), ""), (Some(3), "L7")]);
    // By what it is, whatever its name.
    let done = import(url, "orders.txt", "workOrderNumber\tcity\nL7\tHutto\n", &Choices::default()).await.unwrap();
    assert_eq!(done.counts["refused"], 1);
}

#[tokio::test]
async fn what_cannot_be_imported_is_said_with_the_next_step() {
    let harness = Harness::start().await;
    let url = &harness.system.gateway_url;
    let order = "workOrderNumber,address1,city,state,zip\n1,Main,R,TX,1\n";
    let fault = import(url, "o.csv", order, &Choices::default()).await.unwrap_err();
    assert!(fault.contains("404") && fault.contains("PUT /accounts/{username} makes one"), "{fault}");
    assert!(fault.ends_with("1 orders are not in yet: mend that, and run it again"), "{fault}");
    let fault = import(url, "o.csv", "workOrderNumber,Crew Chief\n1,x\n", &Choices::default()).await.unwrap_err();
    assert!(fault.contains("(--ignore \"Crew Chief\")"), "{fault}");
    assert!(import(url, "o.csv", "workOrderNumber\n", &Choices::default()).await.unwrap_err().contains("no orders"));
    assert!(rows(Path::new("no/such/file.csv"), &Choices::default()).is_err());
}

/// A host's API that is down, then has no time, then takes half of each call.
async fn moody(State(calls): State<Arc<AtomicUsize>>, request: Request<Body>) -> Response<Body> {
    let call = calls.fetch_add(1, Ordering::SeqCst);
    let body: Value = serde_json::from_slice(&to_bytes(request.into_body(), usize::MAX).await.unwrap()).unwrap();
    let orders = body.as_array().unwrap();
    if call == 0 {
        return Response::builder().status(503).body(Body::from("{\"detail\":\"not available\"}")).unwrap();
    }
    let result = |(index, order): (usize, &Value)| {
        let taken = call > 1 && index < orders.len().div_ceil(2);
        json!({
            "workOrderNumber": order["workOrderNumber"], "result": if taken { "created" } else { "notAttempted" }, "warnings": [],
        })
    };
    Response::new(Body::from(
        json!({ "results": orders.iter().enumerate().map(result).collect::<Vec<_>>() }).to_string(),
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_attempted_is_sent_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let app = axum::Router::new().fallback(moody).with_state(calls.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let orders: String = (0..7).map(|n| format!("{{\"workOrderNumber\":\"{n}\"}}\n")).collect();
    let done = import(&url, "orders.ndjson", orders, &Choices::default()).await.unwrap();
    // Down, no time, and then 4 + 2 + 1 of them.
    assert_eq!((done.counts["created"], calls.load(Ordering::SeqCst)), (7, 5));
}
