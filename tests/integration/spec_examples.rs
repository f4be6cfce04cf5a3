//! Every example in the specification, as a fixture: what Pruvan sends is read, what we send is printed as it stands
//! there.

use insta::assert_json_snapshot;
use pruvan::credentials::INVALID_CREDENTIALS;
use pruvan::get_work_orders::{GetWorkOrdersError, GetWorkOrdersRequest, Mode, WorkOrdersReply};
use pruvan::push::{PushReply, PushRequest};
use pruvan::status::{StatusError, StatusReply, StatusRequest};
use pruvan::survey::Survey;
use pruvan::upload::{Certified, FileType, UploadReply, UploadRequest};
use pruvan::validate::{ValidateReply, ValidateRequest};
use pruvan::work_order::WorkOrder;
use serde_json::{Map, Value};

fn fixture(name: &str) -> Value {
    let path = format!("{}/fixtures/spec/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn payload(name: &str) -> Map<String, Value> {
    pruvan::payload::parse(&fixture(name).to_string()).unwrap()
}

fn text(reply: impl serde::Serialize) -> String {
    serde_json::to_string(&reply).unwrap()
}

#[test]
fn validate() {
    let request = ValidateRequest::from_payload(payload("validate"));
    assert_eq!(request.credentials.username, "someuser");
    assert!(request.push_key.is_some());
    insta::assert_snapshot!(text(ValidateReply::validated()), @r#"{"error":"","validated":true}"#);
    insta::assert_snapshot!(text(ValidateReply::refused(INVALID_CREDENTIALS)), @r#"{"error":"invalid username or password","validated":false}"#);
}

#[test]
fn get_work_orders() {
    let request = GetWorkOrdersRequest::from_payload(payload("get-work-orders"));
    assert_eq!(request.mode, Mode::Since(jiff::Timestamp::from_second(1393278236).unwrap()));
    let orders = fixture("work-orders");
    let mut reply = WorkOrdersReply::default();
    for order in orders["workOrders"].as_array().unwrap() {
        let number = order["workOrderNumber"].as_str().unwrap();
        let (order, warnings) = WorkOrder::parse(number, order.as_object().unwrap().clone()).unwrap();
        assert_eq!(warnings, []);
        reply.push(&order.document(), "");
    }
    let reply = reply.finish();
    assert_eq!(serde_json::from_str::<Value>(&reply).unwrap(), orders);
    insta::assert_snapshot!(reply, @r#"{"workOrders":[{"workOrderNumber":"Simple","address1":"110 East Main Street","city":"Round Rock","state":"TX","zip":"78664","services":[{"serviceName":"Task"}]}],"error":""}"#);
    insta::assert_snapshot!(WorkOrdersReply::default().finish(), @r#"{"workOrders":[],"error":""}"#);
    insta::assert_snapshot!(text(GetWorkOrdersError::new("error message")), @r#"{"error":"error message"}"#);
}

#[test]
fn options_of_orders_and_services() {
    let given = &fixture("options")["workOrders"][0];
    let (order, warnings) = WorkOrder::parse("Simple", given.as_object().unwrap().clone()).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(serde_json::from_str::<Value>(&order.document()).unwrap(), *given);
}

#[test]
fn upload_pictures() {
    let upload = UploadRequest::from_payload(payload("upload-pictures")).upload;
    assert_eq!(upload.file_type, FileType::Picture);
    assert_eq!(upload.work_order_number(), Some("50010100"));
    assert_eq!(upload.authenticated(), Some(Certified::Item(true)));
    assert_eq!(upload.attributes.len(), 6);
    assert_eq!(upload.survey_template().unwrap().to_string(), "vendor1::PRVQCINSP-v1");
    // The zone-less creationDate is kept as it came; the receiver's time is the one in UTC.
    assert_eq!(upload.creation_date.as_deref(), Some("2014-10-27 13:29:35"));
    assert_eq!(upload.taken(jiff::Timestamp::now()).0.unwrap().to_string(), "2014-10-27T18:29:34Z");
    let mut kept = fixture("upload-pictures");
    for credential in pruvan::credentials::CREDENTIAL_FIELDS {
        kept.as_object_mut().unwrap().remove(credential);
    }
    assert_eq!(Value::Object(upload.fields), kept);
    insta::assert_snapshot!(text(UploadReply::stored()), @r#"{"status":true,"error":null}"#);
    insta::assert_snapshot!(text(UploadReply::refused("error msg")), @r#"{"status":false,"error":"error msg"}"#);
}

#[test]
fn survey() {
    let json = fixture("survey");
    let survey = Survey::parse(&json).unwrap();
    assert_eq!(survey.json, json);
    assert_eq!(survey.template.unwrap().version.as_deref(), Some("1"));
    let answer = &survey.answers[0];
    assert_eq!((answer.answer.as_slice(), answer.answer_options.len()), (&["blue".to_owned()][..], 2));
    assert_eq!(answer.pic_ids, ["a52eafbf-cfd2-45f6-8351-2cff2bec1d3b"]);
    let once = Value::String(json.to_string());
    let twice = Value::String(once.to_string());
    for form in [once, twice] {
        assert_eq!(Survey::parse(&form).unwrap().json, json);
    }
}

#[test]
fn status() {
    let request = StatusRequest::from_payload(payload("status"));
    let entry = &request.work_orders[0];
    assert_eq!(entry.host_number(), "Simple");
    assert_json_snapshot!(entry.field_status, @r#""viewed""#);
    assert_eq!(entry.due_date.unwrap().day().to_string(), "2014-10-27");
    insta::assert_snapshot!(text(StatusReply::new(vec![])), @r#"{"status":true,"error":null}"#);
    let failure = StatusError::new("Simple1", "work order does not exist");
    insta::assert_snapshot!(text(StatusReply::new(vec![failure])), @r#"{"status":false,"error":[{"workOrderNumber":"Simple1","error":"work order does not exist"}]}"#);
}

#[test]
fn push() {
    for name in ["push-update", "push-force"] {
        let given = fixture(name);
        let mut order = given["workOrders"][0].clone();
        let force = order.as_object_mut().unwrap().remove("force").is_some();
        let mut request = PushRequest::default();
        request.push(&order.to_string(), "", force);
        assert_eq!(serde_json::from_str::<Value>(&request.finish()).unwrap(), given);
    }
    let reply = fixture("push-reply").to_string();
    let taken = PushReply::Counted { created: 0, updated: 1, deleted: 0, errors: vec![], error: None };
    assert_eq!(PushReply::parse(reply.as_bytes()), taken);
}
