//! What the four web services of Pruvan are given: `shared/pruvan/src/payload.rs` and the request of each. An input is
//! a payload.

use bridge::files;
use bridge::format;
use bridge::uploads::{fingerprint, item_id};
use pruvan::get_work_orders::{GetWorkOrdersError, GetWorkOrdersRequest, Mode, WorkOrdersReply};
use pruvan::lenient::{list, structure, text};
use pruvan::payload::{self, MAX_FIELDS};
use pruvan::status::{FieldStatus, OfficeStatus, StatusEntry, StatusReply, StatusRequest};
use pruvan::upload::{Certified, UploadReply, UploadRequest};
use pruvan::validate::{ValidateReply, ValidateRequest};
use pruvan::work_order::Directives;
use pruvan::{Credentials, PayloadError};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use crate::choices::Choices;
use crate::{Target, Whole};

/// What takes long to parse, or much room once it is parsed.
const FLOODS: &[(&str, &str, &str)] = &[
    ("", "[", ""),
    ("{\"a\":", "{\"a\":", ""),
    ("{\"a\":[", "{\"a\":1},", "1]}"),
    ("{\"workOrders\":[", "{},", "{}]}"),
    ("{\"workOrders\":\"[", "{},", "{}]\"}"),
    ("{\"survey\":\"", "[", "\"}"),
    ("{\"survey\":{\"answers\":[", "{\"answer\":[\"a\"]},", "1]}}"),
    ("{", "\"a\":1,", "\"a\":1}"),
    ("{\"username\":\"", "\u{130}", "\"}"),
    ("{\"token\":\"", "\\u0000", "\"}"),
    ("{\"token\":\"", "\\ud800", "\"}"),
    ("{\"key2\":\"", "::", "\"}"),
    ("{\"timestamp\":", "9", "}"),
    ("{\"timestamp\":\"", "9", "\"}"),
    ("\"", "\\\\", "\""),
    ("\u{feff}", "\u{feff} ", "{}"),
];

const fn target(
    name: &'static str,
    about: &'static str,
    make: fn(&mut Choices) -> (Vec<u8>, Whole),
    any: fn(&[u8]),
) -> Target {
    Target { name, about, make, any, floods: FLOODS, most: 500_000 }
}

pub const VALIDATE: Target = target("validate", "the payload of validate", make_validate, any_validate);
pub const GET_WORK_ORDERS: Target =
    target("getWorkOrders", "the payload of getWorkOrders, and its reply", make_get_work_orders, any_get_work_orders);
pub const STATUS: Target = target("status", "the payload of status, and its reply", make_status, any_status);
pub const UPLOAD_PICTURES: Target =
    target("uploadPictures", "the payload of uploadPictures, and where its file goes", make_upload, any_upload);

/// As a vendor sees it: a line of ASCII that says what to do.
pub fn error_holds(error: &PayloadError) {
    let text = error.to_string();
    assert!(text.is_ascii() && (30..200).contains(&text.len()) && text.contains(": "), "{text}");
}

/// The payload, if it is one.
fn read(input: &[u8]) -> Option<Map<String, Value>> {
    match payload::parse(&String::from_utf8_lossy(input)) {
        Ok(payload) => {
            assert!(payload.len() <= MAX_FIELDS);
            Some(payload)
        }
        Err(error) => {
            error_holds(&error);
            None
        }
    }
}

fn whole(text: &str) -> Map<String, Value> {
    payload::parse(text).unwrap_or_else(|error| panic!("a whole payload is refused: {error}"))
}

fn credentials_hold(credentials: &Credentials) {
    let name = &credentials.username;
    assert_eq!(*name, name.trim(), "names are trimmed");
    for secret in [&credentials.token, &credentials.password].into_iter().flatten() {
        assert!(!secret.expose_secret().is_empty());
    }
}

/// A reply is ASCII JSON with just these fields.
fn reply_holds(reply: &impl serde::Serialize, fields: &[&str]) -> Value {
    let text = serde_json::to_string(reply).unwrap_or_default();
    assert!(text.is_ascii(), "{text}");
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    let names: Vec<&String> = value.as_object().into_iter().flat_map(Map::keys).collect();
    assert_eq!(names, fields, "{text}");
    value
}

/// A payload's name and key as Pruvan sends them, and the fields that hold them.
fn credentials(choices: &mut Choices) -> (String, String, Map<String, Value>) {
    let (name, token) = (choices.word(), format!("{:032x}", choices.next()));
    let space = *choices.one(&["", " ", "\n"]);
    let fields = json!({
        "username": format!("{space}{name}{space}"), "token": token, "password": "d28069c84398483874d2cba15f10ffdd996ec6f5",
    });
    let Value::Object(fields) = fields else { unreachable!() };
    (name.to_lowercase(), token, fields)
}

fn some_fields(choices: &mut Choices, payload: &mut Map<String, Value>) {
    for _ in 0..choices.below(3) {
        payload.insert(choices.text(), choices.value(3));
    }
}

fn make_validate(choices: &mut Choices) -> (Vec<u8>, Whole) {
    let (name, token, mut payload) = credentials(choices);
    let push_key = format!("https://direct.pruvan.com/api/?apiKey={:016x}", choices.next());
    payload.insert("pushkey".to_owned(), json!(push_key));
    some_fields(choices, &mut payload);
    // One of them may have been replaced.
    let exact = ["username", "token", "pushkey"].iter().all(|field| payload[*field].is_string());
    let (text, same) = choices.written(&payload);
    let input = text.clone().into_bytes();
    let check = move || {
        if !same || !exact {
            return;
        }
        let request = ValidateRequest::from_payload(whole(&text));
        assert_eq!(request.credentials.username, name);
        assert_eq!(request.credentials.token.as_ref().map(|token| token.expose_secret()), Some(token.as_str()));
        assert_eq!(request.push_key.as_ref().map(|key| key.expose_secret()), Some(push_key.as_str()));
        let printed = format!("{request:?}");
        assert!(!printed.contains(&token) && !printed.contains("d28069c8") && !printed.contains("apiKey"), "{printed}");
    };
    (input, Box::new(check))
}

fn any_validate(input: &[u8]) {
    let Some(payload) = read(input) else { return };
    let request = ValidateRequest::from_payload(payload);
    credentials_hold(&request.credentials);
    let reply = reply_holds(&ValidateReply::refused(&request.credentials.username), &["error", "validated"]);
    assert_eq!(reply["validated"], false);
}

fn make_get_work_orders(choices: &mut Choices) -> (Vec<u8>, Whole) {
    let (_, _, mut payload) = credentials(choices);
    // What is larger is milliseconds.
    let seconds = choices.within(1, 100_000_000_000);
    let milliseconds = choices.within(100_000_000_001, 4_000_000_000_000);
    let (timestamp, at): (Value, Option<i64>) = match choices.below(8) {
        0 => (json!(seconds), Some(seconds * 1000)),
        1 => (json!(format!(" {seconds}")), Some(seconds * 1000)),
        2 => (json!(seconds as f64), Some(seconds * 1000)),
        3 => (json!(milliseconds), Some(milliseconds)),
        4 => (json!(milliseconds.to_string()), Some(milliseconds)),
        5 => (json!(*choices.one(&["", "null", "soon", "0", "-1", "1e400"])), None),
        6 => (json!(-seconds), None),
        _ => (Value::Null, None),
    };
    payload.insert("timestamp".to_owned(), timestamp);
    let (text, same) = choices.written(&payload);
    let orders: Vec<(String, Directives)> = (0..choices.below(4))
        .map(|_| {
            let directives = [("status".to_owned(), choices.plain(20)), ("assignedTo".to_owned(), choices.plain(20))];
            let directives = directives.into_iter().take(choices.below(3)).collect();
            (json!({ "workOrderNumber": choices.plain(20) }).to_string(), Directives(directives))
        })
        .collect();
    let input = text.clone().into_bytes();
    let check = move || {
        if same {
            let request = GetWorkOrdersRequest::from_payload(whole(&text));
            let since = match request.mode {
                Mode::Full => None,
                Mode::Since(instant) => Some(instant.as_millisecond()),
            };
            assert_eq!(since, at);
        }
        let (mut reply, mut sent) = (WorkOrdersReply::default(), String::new());
        for (document, directives) in &orders {
            reply.push(document, &directives.fragment());
            if document.len() % 2 == 0 {
                sent.push_str(&reply.take(100));
            }
        }
        assert_eq!(reply.len(), orders.len());
        let reply: Value = serde_json::from_str(&(sent + &reply.finish())).unwrap_or_default();
        assert_eq!(reply["error"], "");
        let listed = reply["workOrders"].as_array().map_or(0, Vec::len);
        assert_eq!(listed, orders.len());
        for ((document, directives), sent) in orders.iter().zip(reply["workOrders"].as_array().into_iter().flatten()) {
            let mut expected: Map<String, Value> = serde_json::from_str(document).unwrap_or_default();
            expected.extend(directives.0.iter().map(|(name, directive)| (name.clone(), json!(directive))));
            assert_eq!(sent.as_object(), Some(&expected));
        }
    };
    (input, Box::new(check))
}

fn any_get_work_orders(input: &[u8]) {
    let Some(payload) = read(input) else { return };
    let request = GetWorkOrdersRequest::from_payload(payload);
    credentials_hold(&request.credentials);
    if let Mode::Since(instant) = request.mode {
        assert!(instant.as_millisecond() > 0);
    }
    reply_holds(&GetWorkOrdersError::new(&request.credentials.username), &["error"]);
}

fn make_status(choices: &mut Choices) -> (Vec<u8>, Whole) {
    let (_, _, mut payload) = credentials(choices);
    let mut expected = Vec::new();
    let entries: Vec<Value> = (0..choices.below(5))
        .map(|_| {
            let (number, status) = (choices.word(), choices.one(OfficeStatus::ALL).as_str());
            let field_status = choices.one(FieldStatus::ALL).as_str();
            let displayed = format!("{}{number}", choices.one(&["", "SMC::", "A::B::"]));
            let (day, due) = (choices.within(10, 28), choices.once_in(2));
            let mut entry = json!({
                "workOrderNumber": displayed, "clientStatus": number, "source_wo_id": 7,
                "status": if choices.once_in(2) { status.to_uppercase() } else { status.to_owned() },
                "fieldStatus": if choices.once_in(2) { field_status.replace('-', " ") } else { field_status.to_owned() },
            });
            if due {
                entry["dueDate"] = json!(format!("2026-05-{day}"));
            }
            expected.push((number, displayed, status, field_status, due.then_some(day)));
            entry
        })
        .collect();
    let entries = match (choices.below(4), entries.as_slice()) {
        (0, [single]) => single.clone(),
        (1, _) => Value::from(Value::from(entries).to_string()),
        _ => Value::from(entries),
    };
    payload.insert("workOrders".to_owned(), entries);
    let (text, same) = choices.written(&payload);
    let input = text.clone().into_bytes();
    let check = move || {
        if !same {
            return;
        }
        let request = StatusRequest::from_payload(whole(&text));
        assert_eq!(request.work_orders.len(), expected.len());
        for (entry, (number, displayed, status, field_status, day)) in request.work_orders.iter().zip(&expected) {
            assert_eq!((entry.host_number(), &entry.work_order_number), (number.as_str(), displayed));
            assert_eq!((entry.status.as_deref(), entry.field_status.as_deref()), (Some(*status), Some(*field_status)));
            assert_eq!(entry.client_status.as_ref(), Some(number));
            assert_eq!(entry.due_date.map(|date| i64::from(date.day().day())), *day);
            assert_eq!(Value::Object(entry.other.clone()), json!({ "source_wo_id": 7 }));
        }
    };
    (input, Box::new(check))
}

fn any_status(input: &[u8]) {
    let Some(payload) = read(input) else { return };
    let given = payload.get("workOrders").and_then(structure);
    let listed = payload.get("workOrders").and_then(list).map(|entries| entries.len());
    let entries = listed.unwrap_or_else(|| usize::from(given.is_some()));
    let request = StatusRequest::from_payload(payload);
    credentials_hold(&request.credentials);
    assert_eq!(request.work_orders.len(), entries, "each entry is answered for");
    for entry in &request.work_orders {
        let number = entry.host_number();
        assert!(!number.contains("::") && number.trim() == number, "{number:?}");
        let known = |status: &String| OfficeStatus::parse(status).is_none_or(|known| known.as_str() == status);
        assert!(entry.status.as_ref().is_none_or(known), "{entry:?}");
        assert!(
            !["workOrderNumber", "status", "fieldStatus", "clientStatus"]
                .iter()
                .any(|name| entry.other.contains_key(*name))
        );
    }
    let reply =
        reply_holds(&StatusReply::refused(&request.work_orders, "work order does not exist"), &["error", "status"]);
    assert_eq!(reply["status"], false);
    let failures = reply["error"].as_array().cloned().unwrap_or_default();
    assert_eq!(failures.len(), entries.max(1));
    let named = |entry: &StatusEntry| pruvan::ascii::ascii(&entry.work_order_number).into_owned();
    for (failure, entry) in failures.iter().zip(&request.work_orders) {
        assert_eq!(*failure, json!({ "workOrderNumber": named(entry), "error": "work order does not exist" }));
    }
    assert_eq!(
        reply_holds(&StatusReply::new(Vec::new()), &["error", "status"]),
        json!({ "status": true, "error": null })
    );
}

fn survey(choices: &mut Choices) -> Value {
    let answers: Vec<Value> = (0..choices.below(4))
        .map(|_| {
            let options = match choices.below(3) {
                0 => choices.value(2),
                1 => json!([{ "answer": choices.text() }, 7]),
                _ => json!([{ "answer": choices.text(), "display": choices.text() }]),
            };
            json!({
                "id": choices.value(0), "answer": choices.value(1), "picIds": choices.value(1), "answerOptions": options,
            })
        })
        .collect();
    let mut survey =
        json!({ "meta": { "surveyId": choices.text(), "surveyTemplateId": choices.text() }, "answers": answers });
    if choices.once_in(6) {
        survey["answers"] = Value::from(survey["answers"].to_string());
    }
    match choices.below(5) {
        0 => choices.value(3),
        1 => Value::from(survey.to_string()),
        2 => Value::from(Value::from(survey.to_string()).to_string()),
        3 => Value::from(choices.deep()),
        _ => survey,
    }
}

/// The fields of an upload, of which any may be missing or odd.
pub fn upload(choices: &mut Choices) -> Map<String, Value> {
    let mut payload = Map::new();
    for name in
        ["username", "token", "uuId", "key2", "key4", "fileName", "fileExt", "evidenceType", "notes", "attribute7"]
    {
        if !choices.once_in(8) {
            let value = if choices.once_in(6) { choices.value(2) } else { json!(choices.text()) };
            payload.insert(name.to_owned(), value);
        }
    }
    if choices.once_in(2) {
        payload.insert("fileExt".to_owned(), json!(*choices.one(&["jpg", ".JPG", "jpeg", "pdf", ".json", "mov"])));
    }
    let types = ["picture", "CSR", "survey", "check-in", "checkin", "file", "report", ""];
    payload.insert("fileType".to_owned(), json!(*choices.one(&types)));
    if choices.once_in(8) {
        payload.insert(choices.one(&["pushkey", "password", "username"]).to_string(), json!(choices.text()));
    }
    let scalars = [
        "timestamp",
        "gpsTimestamp",
        "gpsLatitude",
        "gpsLongitude",
        "authenticated",
        "csrCertifiedTime",
        "csrPictureCount",
        "template",
        "videoUri",
    ];
    for name in scalars {
        if !choices.once_in(3) {
            payload.insert(name.to_owned(), choices.value(1));
        }
    }
    if choices.once_in(3) {
        payload.insert("survey".to_owned(), survey(choices));
    }
    payload
}

fn make_upload(choices: &mut Choices) -> (Vec<u8>, Whole) {
    let fields = upload(choices);
    let (text, same) = choices.written(&fields);
    let input = text.clone().into_bytes();
    let check = move || {
        if !same {
            return;
        }
        let request = UploadRequest::from_payload(whole(&text));
        let mut kept = fields.clone();
        kept.retain(|name, _| !["username", "password", "token", "pushkey"].contains(&name.as_str()));
        assert_eq!(request.upload.fields, kept, "all but the credentials is kept as it came");
        assert_eq!(request.upload.notes, fields.get("notes").and_then(text_of));
        assert_eq!(request.upload.attributes.get(&7).cloned(), fields.get("attribute7").and_then(text_of));
    };
    (input, Box::new(check))
}

fn text_of(value: &Value) -> Option<String> {
    text(value)
}

fn any_upload(input: &[u8]) {
    let Some(payload) = read(input) else { return };
    // Beside the fields as they were read, the survey as it stood there.
    let verbatim = payload::verbatim(&String::from_utf8_lossy(input), "survey");
    let read: Option<Value> = verbatim.as_deref().and_then(|survey| serde_json::from_str(survey).ok());
    assert_eq!(read.as_ref(), payload.get("survey"), "{verbatim:?}");
    upload_holds(payload, input);
}

/// Whatever an upload says, it is stored where it belongs, and without credentials.
pub fn upload_holds(payload: Map<String, Value>, file: &[u8]) {
    let request = UploadRequest::from_payload(payload);
    credentials_hold(&request.credentials);
    let upload = request.upload;
    let format = format::sniff(file, upload.file_ext.as_deref().unwrap_or_default());
    let _ = (upload.picture_count(), format::mismatch(format, &upload));
    for certified in [upload.authenticated(), upload.certified_time(), upload.certified_location()] {
        let count = matches!(certified, Some(Certified::Count(_)));
        assert!(!count || upload.file_type == pruvan::upload::FileType::Csr, "{certified:?}");
    }
    let now = jiff::Timestamp::from_second(1_795_435_200).unwrap_or_default();
    assert!(upload.taken(now).0.is_none_or(|at| pruvan::dates::can_be_true(at, now)));
    assert!(upload.position().is_none_or(|(north, east)| north.abs() <= 90.0 && east.abs() <= 180.0));
    assert!(upload.attributes.keys().all(|number| (1..=30).contains(number)));
    if let Some(template) = upload.survey_template() {
        let again = pruvan::survey::SurveyTemplate::parse(&template.to_string());
        assert_eq!(again.to_string(), template.to_string());
    }
    assert!(!["token", "password", "pushkey", "username"].iter().any(|secret| upload.fields.contains_key(*secret)));
    let (id, number) = (item_id(&upload, None), upload.work_order_number().unwrap_or_default());
    assert!((1..=200).contains(&id.len()) && !matches!(id.as_str(), "." | ".."), "{id:?}");
    for text in [&upload.file_name, &upload.key4, &upload.evidence_type].into_iter().flatten() {
        let name = files::part_of_name(text);
        assert!(!name.starts_with('.') && !name.contains(['/', '\\', '\0', ':']) && name.len() <= 120, "{name:?}");
    }
    let path = files::path("user", number, &id, &fingerprint(&upload, None), format.extension);
    let parts: Vec<&str> = path.split('/').collect();
    assert!(
        parts.len() == 4 && parts[0] == "user" && !path.contains("..") && path.is_ascii() && path.len() < 1024,
        "{path}"
    );
    assert_eq!(reply_holds(&UploadReply::refused(number), &["error", "status"])["status"], false);
}
