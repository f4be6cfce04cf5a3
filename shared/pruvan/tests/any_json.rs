//! Any JSON in any field of what Pruvan sends: no panic, and nothing lost but credentials.

use proptest::prelude::*;
use pruvan::credentials::CREDENTIAL_FIELDS;
use pruvan::get_work_orders::GetWorkOrdersRequest;
use pruvan::lenient;
use pruvan::payload;
use pruvan::status::StatusRequest;
use pruvan::survey::Survey;
use pruvan::upload::{TEXT_FIELDS, UploadRequest};
use pruvan::validate::ValidateRequest;
use serde_json::{Map, Value, json};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        prop::sample::select(vec![
            "",
            " ",
            "null",
            "1",
            "0",
            "2014-10-27 13:29:35",
            "SMC::1",
            "{\"a\":1}",
            "[]",
            "complete"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,8}", inner.clone(), 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
            inner.prop_map(|value| Value::from(value.to_string())),
        ]
    })
}

/// An object with some of these fields, and some that nobody knows.
fn any_object(names: Vec<String>) -> impl Strategy<Value = Map<String, Value>> {
    let name = prop_oneof![4 => prop::sample::select(names), 1 => ".{0,12}"];
    prop::collection::vec((name, any_json()), 0..12).prop_map(|fields| fields.into_iter().collect())
}

fn upload_fields() -> Vec<String> {
    let further = ["fileType", "survey", "timestamp", "username", "token", "password"].into_iter();
    let attributes = (1..=31).map(|n| format!("attribute{n}"));
    TEXT_FIELDS.iter().copied().chain(further).map(str::to_owned).chain(attributes).collect()
}

fn status_fields() -> Vec<String> {
    ["workOrderNumber", "clientStatus", "status", "fieldStatus", "dueDate", "source_wo_id"].map(str::to_owned).to_vec()
}

fn without_credentials(mut payload: Map<String, Value>) -> Map<String, Value> {
    payload.retain(|name, _| !CREDENTIAL_FIELDS.contains(&name.as_str()));
    payload
}

proptest! {
    #[test]
    fn uploads(given in any_object(upload_fields())) {
        // As it comes: through the text of the payload.
        let read = payload::parse(&Value::Object(given.clone()).to_string()).unwrap();
        prop_assert_eq!(&read, &given);
        let upload = UploadRequest::from_payload(read).upload;
        prop_assert_eq!(&upload.fields, &without_credentials(given));
        let _ = (upload.taken(jiff::Timestamp::UNIX_EPOCH), upload.position(), upload.authenticated(), upload.certified_time(), upload.picture_count());
        let _ = (upload.certified_location(), upload.survey_template(), upload.work_order_number());
        if let Some(survey) = upload.survey {
            prop_assert_eq!(Some(survey.json), lenient::structure(&upload.fields["survey"]));
        }
    }

    #[test]
    fn statuses(entries in prop::collection::vec(any_object(status_fields()), 0..4), encoded in any::<bool>()) {
        let list = Value::from(entries.iter().cloned().map(Value::Object).collect::<Vec<_>>());
        let list = if encoded { Value::from(list.to_string()) } else { list };
        let Value::Object(payload) = json!({ "workOrders": list }) else { unreachable!() };
        let request = StatusRequest::from_payload(payload);
        prop_assert_eq!(request.work_orders.len(), entries.len());
        for (entry, given) in request.work_orders.iter().zip(&entries) {
            for (name, value) in given {
                let text = lenient::text(value);
                let kept = match name.as_str() {
                    "workOrderNumber" => entry.work_order_number == text.unwrap_or_default(),
                    "clientStatus" => entry.client_status == text,
                    "status" => entry.status.is_some() == text.is_some(),
                    "fieldStatus" => entry.field_status.is_some() == text.is_some(),
                    "dueDate" if entry.due_date.is_some() => true,
                    _ => entry.other.get(name) == Some(value),
                };
                prop_assert!(kept, "{} {}", name, value);
            }
        }
    }

    #[test]
    fn any_list_of_work_orders(value in any_json()) {
        let Value::Object(payload) = json!({ "workOrders": value }) else { unreachable!() };
        let _ = StatusRequest::from_payload(payload);
    }

    #[test]
    fn the_small_payloads(given in any_object(vec!["username".into(), "token".into(), "pushkey".into(), "timestamp".into()])) {
        let _ = ValidateRequest::from_payload(given.clone());
        let _ = GetWorkOrdersRequest::from_payload(given);
    }

    #[test]
    fn surveys(value in any_json()) {
        if let Some(survey) = Survey::parse(&value) {
            prop_assert_eq!(Some(survey.json), lenient::structure(&value));
        }
    }

    #[test]
    fn any_text_as_a_payload(text in ".*") {
        let _ = payload::parse(&text);
    }
}
