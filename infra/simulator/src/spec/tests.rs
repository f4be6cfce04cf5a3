//! Each rule with a good and a bad example, and the specification's own examples.

use serde_json::{Value, json};

use super::*;

const JSON: Option<&str> = Some("application/json");
const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

fn fixture(name: &str) -> Value {
    let path = format!("{}/../../tests/fixtures/spec/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What is told of a reply, as `section: sentence`.
fn told(service: Service, body: &str) -> Vec<String> {
    lines(reply(service, 200, JSON, body.as_bytes()))
}

fn lines(breaches: Vec<Breach>) -> Vec<String> {
    let lines: Vec<String> =
        breaches.into_iter().map(|breach| format!("{}: {}", breach.section, breach.what)).collect();
    assert!(lines.iter().all(|line| line.is_ascii()), "{lines:?}");
    lines
}

/// What is told of a list of orders.
fn of_list(orders: Value) -> Vec<String> {
    told(Service::GetWorkOrders, &json!({ "workOrders": orders, "error": "" }).to_string())
}

fn simple(more: Value) -> Value {
    let mut order = fixture("work-orders")["workOrders"][0].clone();
    if let (Value::Object(order), Value::Object(more)) = (&mut order, more) {
        order.extend(more);
    }
    order
}

/// What is told of one order with these fields.
fn of(more: Value) -> Vec<String> {
    of_list(json!([simple(more)]))
}

fn without(field: &str) -> Value {
    let mut order = simple(json!({}));
    order.as_object_mut().unwrap().remove(field);
    order
}

fn form(json: &Value) -> Vec<u8> {
    form_urlencoded::Serializer::new(String::new()).append_pair("workOrders", &json.to_string()).finish().into_bytes()
}

fn of_push(json: &Value) -> Vec<String> {
    lines(push(FORM, &form(json)))
}

#[test]
fn the_examples_of_the_specification_are_clean() {
    assert_eq!(told(Service::GetWorkOrders, &fixture("work-orders").to_string()), [""; 0]);
    let mut options = fixture("options");
    options["error"] = json!("");
    assert_eq!(told(Service::GetWorkOrders, &options.to_string()), [""; 0]);
    for (service, text) in [
        (Service::Validate, r#"{ "error":"", "validated":true }"#),
        (Service::Validate, r#"{ "error": "invalid username or password", "validated":false }"#),
        (Service::GetWorkOrders, r#"{"workOrders": [],"error": ""}"#),
        (Service::GetWorkOrders, r#"{"error":"error message"}"#),
        (Service::UploadPictures, r#"{"status":true,"error":null}"#),
        (Service::UploadPictures, r#"{"status":false,"error":"error msg"}"#),
        (Service::Status, r#"{"status":true,"error":null}"#),
        (
            Service::Status,
            r#"{"status":false, "error": [{ "workOrderNumber": "Simple1", "error": "work order does not exist" }]}"#,
        ),
    ] {
        assert_eq!(told(service, text), [""; 0], "{text}");
    }
    for name in ["push-update", "push-force", "options", "work-orders"] {
        assert_eq!(of_push(&fixture(name)), [""; 0], "{name}");
    }
}

#[test]
fn other_shapes() {
    for (service, text, what) in [
        (Service::Validate, r#"{"error":null,"validated":true}"#, "error is null, validated is true"),
        (Service::Validate, r#"{"error":"","validated":"true"}"#, "error is an empty text, validated is a text"),
        (Service::Validate, r#"{"error":"","validated":false}"#, "error is an empty text, validated is false"),
        (Service::Validate, r#"{"error":"","validated":true,"id":1}"#, "validated is true, and there is \"id\""),
        (Service::Validate, "true", "is true or false and no object"),
        (Service::GetWorkOrders, r#"{"workOrders":null,"error":""}"#, "workOrders is null"),
        (Service::GetWorkOrders, r#"{"workOrders":[]}"#, "workOrders is an array, error is missing"),
        (Service::GetWorkOrders, r#"{"workOrders":[],"error":"no"}"#, "workOrders is an array, error is a text"),
        (Service::GetWorkOrders, r#"[]"#, "is an array and no object"),
        (Service::UploadPictures, r#"{"status":true,"error":""}"#, "status is true, error is an empty text"),
        (Service::UploadPictures, r#"{"status":1,"error":null}"#, "status is a number"),
        (
            Service::UploadPictures,
            r#"{"status":false,"error":[{"workOrderNumber":"1","error":"no"}]}"#,
            "error is an array",
        ),
        (Service::Status, r#"{"status":false,"error":"no"}"#, "error is a text"),
        (Service::Status, r#"{"status":false,"error":{"workOrderNumber":"1","error":"no"}}"#, "error is an object"),
        (Service::Status, r#"{"status":false,"error":[]}"#, "error is an array"),
        (Service::Status, r#"{"status":false,"error":[{"workOrderNumber":"1"}]}"#, "error is an array"),
    ] {
        let [only] = told(service, text).try_into().unwrap();
        assert!(only.starts_with(&format!("{}: the reply ", service.section())) && only.contains(what), "{only}");
        assert!(only.contains("documented is {"), "{only}");
    }
}

#[test]
fn the_envelope() {
    let good = br#"{"error":"","validated":true}"#;
    for kind in ["application/json", "text/plain; charset=utf-8", "Application/JSON"] {
        assert_eq!(reply(Service::Validate, 200, Some(kind), good), [], "{kind}");
    }
    let html = lines(reply(Service::Validate, 401, Some("text/html"), good));
    assert_eq!(
        html,
        [
            "General: HTTP status 401 is not 200: errors are told in the JSON",
            "URL format: Content-Type \"text/html\" is neither application/json nor text/plain",
        ]
    );
    assert_eq!(lines(reply(Service::Validate, 200, None, good)), ["URL format: the reply has no Content-Type"]);
    assert_eq!(told(Service::Validate, "<html>"), ["General: the reply is not valid JSON (line 1, column 1)"]);
    assert_eq!(told(Service::Validate, " "), ["General: the reply is empty, where JSON is due"]);
}

#[test]
fn ascii_only() {
    let told = told(Service::Validate, "{\"error\":\"caf\u{e9}\",\"validated\":false}");
    assert_eq!(told, ["General: error holds characters that are not ASCII"]);
    // Escaped, the bytes are ASCII and the strings still aren't.
    let escaped = r#"{"error":"caf\u00e9","validated":false}"#;
    assert_eq!(self::told(Service::Validate, escaped), told);
    let orders = of(json!({ "city": "Montr\u{e9}al", "services": [{ "serviceName": "\u{201c}x\u{201d}" }] }));
    assert_eq!(orders, ["General: order \"Simple\": city holds characters that are not ASCII (and 1 more like it)"]);
    assert_eq!(
        self::told(Service::Validate, "\u{feff}{\"error\":\"\",\"validated\":true}"),
        ["General: the reply holds characters that are not ASCII"]
    );
    assert!(
        of_push(&json!({ "workOrders": [{ "workOrderNumber": "1", "city": "\u{e9}" }] }))[0]
            .starts_with("General: order \"1\": city")
    );
}

#[test]
fn fields_that_are_required() {
    for field in ["address1", "city", "state", "zip"] {
        let what = format!("Available workOrder Object Fields: order \"Simple\" has no {field}, which is required");
        assert_eq!(of_list(json!([without(field)])).concat(), what);
        assert_eq!(of(json!({ field: "" })), [what]);
    }
    assert_eq!(
        of_list(json!([without("workOrderNumber")])),
        ["Available workOrder Object Fields: order 1 of the list has no workOrderNumber, which is required"]
    );
    assert_eq!(
        of_list(json!([without("services")])),
        ["Available workOrder Object Fields: order \"Simple\" has no services: at least one is required"]
    );
    assert_eq!(
        of(json!({ "services": [{ "serviceName": "A" }, { "survey": "x" }] })),
        [
            "Available workOrder service Object Fields: order \"Simple\", service 2 has no serviceName, which is required"
        ]
    );
    assert!(of(json!({ "services": [] }))[0].contains("empty array of services"));
    assert!(of(json!({ "services": { "serviceName": "A" } }))[0].contains("has an object as services"));
    assert!(of(json!({ "services": ["A"] }))[0].contains("service 1 is a text and no object"));
    assert!(of_list(json!([7]))[0].contains("order 1 of the list is a number and no object"));
}

#[test]
fn types_of_fields() {
    let fine = json!({
        "clientStatus": "Expedite", "reference": 5, "address2": null, "survey": null, "status": "rush", "gpsLatitude": "30.5",
        "gpsLongitude": -97.6, "options": "{\"photo_size\":\"1024\"}", "attribute7": "{\"id\":1}", "unknownToPruvan": [1],
    });
    assert_eq!(of(fine), [""; 0]);
    for (field, value, what) in [
        ("clientStatus", json!({ "id": 1 }), "has an object as clientStatus, where a text is due"),
        ("instructions", json!(["a"]), "has an array as instructions"),
        ("zip", json!(true), "has true or false as zip"),
        ("options", json!("landscape"), "has a text as options"),
        ("options", json!([]), "has an array as options"),
        ("gpsLatitude", json!(97.6), "degrees from -90 to 90"),
        ("workOrderNumber", json!("SMC::Simple"), "with \"::\" in it"),
        ("force", json!("true"), "has a text as force"),
        ("attribute3", json!("Round Rock"), "Numbered Attributes: order \"Simple\" has attribute3, which is reserved"),
        ("services", json!([{ "serviceName": "A", "options": 1 }]), "service 1 has a number as options"),
    ] {
        let [only] = of(json!({ field: value })).try_into().unwrap();
        assert!(only.contains(what), "{only}");
    }
}

#[test]
fn statuses_and_dates() {
    let rush = of(json!({ "status": "Rush" }));
    assert_eq!(rush, ["Pruvan Status Values: order \"Simple\": status \"Rush\" is none of Pruvan's: write \"rush\""]);
    assert!(of(json!({ "status": "On Hold" }))[0].ends_with("an own status belongs in clientStatus"));
    for date in [json!(1_464_177_600), json!("1464177600"), json!("2016-05-25 1200 +0"), json!("2016-05-25"), json!("")]
    {
        assert_eq!(of(json!({ "dueDate": date, "startDate": date, "clientDueDate": date })), [""; 0], "{date}");
    }
    assert_eq!(
        of(json!({ "clientDueDate": "soon" })),
        ["Date Fields: order \"Simple\" has a clientDueDate that can't be read as a date"]
    );
    assert!(of(json!({ "dueDate": "2016-05-25 12:00" }))[0].contains("no time zone"));
}

#[test]
fn lists_of_orders() {
    let numbered = |count: usize| -> Vec<Value> {
        (0..count).map(|number| simple(json!({ "workOrderNumber": number.to_string() }))).collect()
    };
    assert_eq!(of_list(json!(numbered(5000))), [""; 0]);
    assert_eq!(
        of_list(json!(numbered(5001))),
        ["Limits: the reply, with 5001 work orders, has more than the 5000 of a single call"]
    );
    assert_eq!(
        of_list(json!([simple(json!({})), simple(json!({}))])),
        ["Requirements: order \"Simple\" is there twice: numbers must be unique"]
    );
    let same: Vec<Value> = numbered(100)
        .into_iter()
        .enumerate()
        .map(|(index, mut order)| {
            order["zip"] = json!("");
            order["status"] = json!(format!("on hold {index}"));
            order
        })
        .collect();
    let told = of_list(json!(same));
    assert_eq!(
        told,
        [
            "Available workOrder Object Fields: order \"0\" has no zip, which is required (and 99 more like it)",
            "Pruvan Status Values: order \"0\": status \"on hold 0\" is none of Pruvan's: an own status belongs in clientStatus (and 99 more like it)",
        ]
    );
}

#[test]
fn pushes() {
    let body = br#"{"workOrders":[{"workOrderNumber":"1","clientStatus":"rush"}]}"#;
    let good: Value = serde_json::from_slice(body).unwrap();
    let multipart =
        [b"--X\r\nContent-Disposition: form-data; name=\"workOrders\"\r\n\r\n".as_slice(), body, b"\r\n--X--\r\n"]
            .concat();
    let kind = Some("multipart/form-data; boundary=X");
    assert_eq!(lines(push(kind, &multipart)), [""; 0]);
    assert_eq!(of_push(&good), [""; 0]);
    for (kind, body) in [(kind, multipart), (FORM, form(&good))] {
        assert_eq!(pushed_orders(kind, &body), *good["workOrders"].as_array().unwrap());
    }
    let told = lines(push(JSON, body));
    assert_eq!(
        told,
        [
            "Using the pushkey: Content-Type \"application/json\" is neither application/x-www-form-urlencoded nor multipart/form-data"
        ]
    );
    assert_eq!(lines(push(FORM, b"payload=1")), ["Using the pushkey: the push has no form field workOrders"]);
    assert!(lines(push(FORM, b"workOrders=nope"))[0].starts_with("General: the field workOrders is not valid JSON"));
    for (json, what) in [
        (json!([{ "workOrderNumber": "1" }]), "holds an array"),
        (json!({ "workOrders": { "workOrderNumber": "1" } }), "an object without an array workOrders"),
        (json!({ "workOrders": [] }), "is empty"),
        (json!({ "workOrders": [{ "status": "rush" }] }), "has no workOrderNumber"),
        (json!({ "workOrders": [{ "workOrderNumber": "SMC::1" }] }), "with \"::\" in it"),
        (json!({ "workOrders": [{ "workOrderNumber": "1", "services": [{ "survey": "x" }] }] }), "has no serviceName"),
        (json!({ "workOrders": [{ "workOrderNumber": "1", "status": "onhold" }] }), "is none of Pruvan's"),
    ] {
        let [only] = of_push(&json).try_into().unwrap();
        assert!(only.contains(what), "{only}");
    }
}

#[test]
fn long_values_are_not_shown() {
    let key = "dda25c60-4fce-11e4-916c-0800200c9a66";
    let shown = [
        of(json!({ "workOrderNumber": key, "zip": "" })),
        of(json!({ "status": key })),
        told(Service::Validate, &json!({ key: 1 }).to_string()),
        lines(reply(Service::Validate, 200, Some(key), b"{}")),
    ];
    assert!(shown.iter().all(|lines| !lines.is_empty() && !lines.concat().contains(key)), "{shown:?}");
}
