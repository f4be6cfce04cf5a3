//! What uploads look like from the field, one oddity a test: whatever the specification leaves open, and whatever live
//! integrations met.

use pruvan::integration::IntegrationType;
use serde_json::{Value, json};

use crate::harness::{Harness, PHOTO, SURVEY_PDF, encode};
use simulator::Integration;

const STORED: &str = r#"{"status":true,"error":null}"#;
const NUMBER: &str = "50010100";

async fn start() -> (Harness, Integration) {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", NUMBER, json!({})).await;
    (harness, vendor)
}

/// All fields that Pruvan sends with a photo, with `more` over them.
fn photo(uu_id: &str, more: Value) -> Value {
    let mut fields: Value = json!({
        "pictureId": "8817231", "uuId": uu_id, "parentUuid": "4411", "key1": "4411", "key2": NUMBER, "key3": "9920", "key4": "Grass Cut",
        "key5": null, "fileType": "picture", "fileExt": "jpg", "fileName": "1415913831993.jpg", "evidenceType": "before", "template": null,
        "survey": null, "notes": "back gate, left side", "authenticated": "1", "csrCertifiedLocation": "1", "csrCertifiedTime": "1",
        "csrLocationSource": "mobile", "csrPictureCount": "1", "csrTimeStampSource": "mobile", "locationDifference": "24",
        "gpsAccuracy": "10.0", "gpsLatitude": "30.50881246", "gpsLongitude": "-97.67852886", "gpsTimestamp": "1414434574",
        "creationDate": "2014-10-27 13:29:35", "workDay": "2014-10-27", "deviceId": "ios-81FE", "phoneNumber": "5125550100",
        "status": "published", "uploaderVersion": "mobile 3.12.4", "batchId": "1414434580", "clientCode": "SMC", "createdBy": "vendor1",
        "createdBySubUser": "crew7", "lastUpdatedBy": "crew7", "videoUri": null, "timestamp": 1_414_434_590,
    });
    for n in 1..=30 {
        fields[format!("attribute{n}")] = Value::Null;
    }
    if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more) {
        fields.extend(more);
    }
    fields
}

/// A survey of two questions, as an object.
fn survey(pictures: Value, names: Value) -> Value {
    json!({
        "meta": { "surveyId": "0a3d", "parentId": "4411", "surveyTemplateId": "someuser::routineInspectionFull-v1", "version": 3.1 },
        "answers": [
            { "id": "propertyVacant", "answer": ["yes"], "hint": "", "question": "Is the property vacant?", "answerType": "yesNo",
              "answerOptions": [{ "answer": "yes", "display": "Yes" }, { "answer": "no", "display": "No" }],
              "picIds": pictures, "picFileNames": names },
            { "id": "utilities", "answer": ["water", "gas"], "hint": "", "question": "Which are on?", "answerType": "chooseMany",
              "answerOptions": [], "picIds": [] },
        ],
    })
}

fn pdf(uu_id: &str, survey: Value) -> Value {
    let more = json!({ "fileType": "survey", "fileExt": "pdf", "evidenceType": "Survey", "fileName": "1415913839000.pdf",
        "template": "someuser::routineInspectionFull-v1", "authenticated": null, "csrPictureCount": null, "survey": survey });
    photo(uu_id, more)
}

async fn publish(vendor: &Integration, fields: Value, file: &[u8]) {
    let answer = vendor.publish(fields.clone(), Some(("1.jpg", file))).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, STORED), "{fields}");
}

async fn get(harness: &Harness, path: &str) -> Value {
    let (status, reply) = harness.host("GET", &format!("/accounts/vendor1/{path}"), None).await;
    assert_eq!(status, 200, "{reply}");
    reply
}

async fn uploads(harness: &Harness) -> Vec<Value> {
    get(harness, &format!("orders/{NUMBER}/uploads")).await["uploads"].as_array().unwrap().clone()
}

async fn bytes(harness: &Harness, link: &Value) -> Vec<u8> {
    harness.client.get(link.as_str().unwrap()).send().await.unwrap().bytes().await.unwrap().to_vec()
}

/// Sends a body as it is.
async fn send(harness: &Harness, path: &str, content_type: Option<&str>, body: Vec<u8>) -> (u16, String) {
    let mut request = harness.client.post(format!("{}{path}", harness.system.gateway_url)).body(body);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    let reply = request.send().await.unwrap();
    (reply.status().as_u16(), reply.text().await.unwrap())
}

fn with_credentials(vendor: &Integration, mut fields: Value) -> String {
    fields["username"] = json!("vendor1");
    fields["password"] = json!("d28069c84398483874d2cba15f10ffdd996ec6f5");
    fields["token"] = json!(vendor.token);
    fields.to_string()
}

#[tokio::test]
async fn a_payload_comes_as_multipart_urlencoded_or_plain_json() {
    let (harness, vendor) = start().await;
    let answers = |id: &str| with_credentials(&vendor, pdf(id, survey(json!([]), json!([]))));
    let urlencoded = |id: &str| format!("payload={}", encode(&answers(id))).into_bytes();
    let form = |id: &str| {
        let (header, body) = simulator::multipart(&answers(id), Some(("s.pdf", SURVEY_PDF)));
        (header.rsplit('=').next().unwrap().to_owned(), body)
    };
    for (id, header) in [("m1", "multipart/form-data; boundary="), ("m2", "MULTIPART/FORM-DATA; boundary=")] {
        let (boundary, body) = form(id);
        let reply = send(&harness, "/uploadPictures.html", Some(&format!("{header}{boundary}")), body).await;
        assert_eq!(reply, (200, STORED.to_owned()), "{header}");
    }
    for header in [Some("Mulipart/Form-Data"), Some("text/plain"), None] {
        let reply = send(&harness, "/uploadPictures.html", header, form(&format!("no boundary {header:?}")).1).await;
        assert_eq!(reply, (200, STORED.to_owned()), "{header:?}");
    }
    for (id, header, body) in [
        ("u1", Some("application/x-www-form-urlencoded"), urlencoded("u1")),
        ("u2", None, urlencoded("u2")),
        ("j1", Some("application/json"), answers("j1").into_bytes()),
        ("j2", Some("application/x-www-form-urlencoded"), answers("j2").into_bytes()),
    ] {
        assert_eq!(send(&harness, "/uploadPictures.html", header, body).await, (200, STORED.to_owned()), "{id}");
    }
    let uploads = uploads(&harness).await;
    assert_eq!(uploads.len(), 9);
    assert!(uploads.iter().all(|upload| upload["survey"] == survey(json!([]), json!([]))));
}

#[tokio::test]
async fn every_extension_that_a_vendor_may_have_typed_reaches_the_service() {
    let (harness, vendor) = start().await;
    for extension in ["", ".html", ".php", ".svc", ".aspx"] {
        let payload = with_credentials(&vendor, photo(&format!("p{extension}"), json!({})));
        let (header, body) = simulator::multipart(&payload, Some(("1.jpg", PHOTO)));
        let reply = send(&harness, &format!("/uploadPictures{extension}"), Some(&header), body).await;
        assert_eq!(reply, (200, STORED.to_owned()), "{extension}");
    }
    assert_eq!(uploads(&harness).await.len(), 5);
}

#[tokio::test]
async fn the_token_decides_who_publishes_and_never_the_sha1() {
    let (harness, vendor) = start().await;
    vendor.validate().await.unwrap();
    let before = harness.dump().await;
    let fields = photo("p", json!({}));
    let with = |username: &str, password: Value, token: Value| {
        let mut fields = fields.clone();
        fields["username"] = json!(username);
        fields["password"] = password;
        fields["token"] = token;
        simulator::multipart(&fields.to_string(), Some(("1.jpg", PHOTO)))
    };
    let sha1 = json!("d28069c84398483874d2cba15f10ffdd996ec6f5");
    for (username, password, token) in [
        ("vendor1", sha1.clone(), Value::Null),
        ("vendor1", json!(vendor.token), json!("")),
        ("vendor1", sha1.clone(), json!("dda25c60-4fce-11e4-916c-0800200c9a66")),
        ("vendor2", sha1.clone(), json!(vendor.token)),
        ("", sha1.clone(), json!(vendor.token)),
    ] {
        let (header, body) = with(username, password, token);
        let (status, reply) = send(&harness, "/uploadPictures.html", Some(&header), body).await;
        assert_eq!((status, reply.as_str()), (200, r#"{"status":false,"error":"invalid username or password"}"#));
    }
    assert_eq!(harness.dump().await, before);
    let (header, body) = with(" VENDOR1 ", Value::Null, json!(vendor.token));
    assert_eq!(send(&harness, "/uploadPictures.html", Some(&header), body).await, (200, STORED.to_owned()));
}

#[tokio::test]
async fn numbers_come_as_text_and_nothing_in_four_ways() {
    let (harness, vendor) = start().await;
    let strings = json!({ "timestamp": "1414434590", "key2": NUMBER, "gpsLatitude": "30.5", "gpsLongitude": "-97.5",
        "gpsTimestamp": "1414434574", "authenticated": "1", "csrPictureCount": "1" });
    let numbers = json!({ "timestamp": 1_414_434_590, "key2": 50_010_100, "gpsLatitude": 30.5, "gpsLongitude": -97.5,
        "gpsTimestamp": 1_414_434_574.0, "authenticated": 1, "csrPictureCount": 1 });
    for (id, more) in [("strings", strings), ("numbers", numbers)] {
        publish(&vendor, photo(id, more.clone()), PHOTO).await;
        let upload = get(&harness, &format!("uploads/{id}")).await;
        assert_eq!((&upload["workOrderNumber"], &upload["sent"]), (&json!(NUMBER), &json!("2014-10-27T18:29:50Z")));
        assert_eq!(upload["position"], json!({ "latitude": 30.5, "longitude": -97.5 }));
        assert_eq!((&upload["taken"], &upload["authenticated"]), (&json!("2014-10-27T18:29:34Z"), &json!(true)));
        assert_eq!(upload["fields"]["gpsLatitude"], more["gpsLatitude"], "as it came");
    }
    let optional =
        ["gpsTimestamp", "gpsLatitude", "authenticated", "notes", "timestamp", "videoUri", "survey", "evidenceType"];
    for (id, nothing) in
        [("nothing", Some(Value::Null)), ("word", Some(json!("null"))), ("empty", Some(json!(""))), ("missing", None)]
    {
        let mut fields = photo(id, json!({}));
        for name in optional {
            match &nothing {
                Some(nothing) => fields[name] = nothing.clone(),
                None => drop(fields.as_object_mut().unwrap().remove(name)),
            }
        }
        publish(&vendor, fields, PHOTO).await;
        let upload = get(&harness, &format!("uploads/{id}")).await;
        for name in ["taken", "position", "authenticated", "sent", "video", "survey", "evidenceType"] {
            assert_eq!(upload[name], Value::Null, "{id} {name}");
        }
    }
}

#[tokio::test]
async fn a_survey_is_an_object_a_string_twice_a_string_a_file_or_nothing() {
    let (harness, vendor) = start().await;
    let object = survey(json!([]), json!([]));
    let string = Value::from(object.to_string());
    for (id, shape) in [("object", object.clone()), ("string", string.clone()), ("twice", json!(string.to_string()))] {
        publish(&vendor, pdf(id, shape), SURVEY_PDF).await;
        assert_eq!(get(&harness, &format!("uploads/{id}")).await["survey"], object, "{id}");
    }
    // As a file, and nothing in the field.
    publish(&vendor, pdf("file", Value::Null), object.to_string().as_bytes()).await;
    let upload = get(&harness, "uploads/file").await;
    assert_eq!((&upload["survey"], &upload["contentType"]), (&object, &json!("application/json")));
    assert_eq!(upload["mismatch"], "fileType survey means pdf, the bytes are json");
    let answers = get(&harness, &format!("orders/{NUMBER}/answers")).await["answers"].as_array().unwrap().clone();
    assert_eq!(answers.len(), 8);
    assert!(
        answers
            .iter()
            .filter(|answer| answer["questionId"] == "utilities")
            .all(|answer| answer["answer"] == json!(["water", "gas"]))
    );
    for (id, nothing) in [("nothing", Value::Null), ("word", json!("null")), ("empty", json!(""))] {
        publish(&vendor, pdf(id, nothing), SURVEY_PDF).await;
        assert_eq!(get(&harness, &format!("uploads/{id}")).await["survey"], Value::Null, "{id}");
    }
    // What is no survey is kept as it came, and has no answers.
    for (id, odd) in
        [("broken", json!("{\"answers\":[")), ("list", json!([1, 2])), ("no answers", json!({ "meta": 1 }))]
    {
        publish(&vendor, pdf(id, odd), SURVEY_PDF).await;
        assert!(bytes(&harness, &get(&harness, &format!("uploads/{}", encode(id))).await["link"]).await == SURVEY_PDF);
    }
    let (_, again) = harness.host("GET", &format!("/accounts/vendor1/orders/{NUMBER}/answers"), None).await;
    assert_eq!(again["answers"].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn a_flag_of_a_photo_is_a_count_of_a_csr_and_every_csr_is_kept() {
    let (harness, vendor) = start().await;
    for n in 1..=3 {
        harness.advance(3600);
        let csr = json!({ "fileType": "csr", "evidenceType": "CSR", "key3": null, "key4": null, "authenticated": n.to_string(),
            "csrCertifiedTime": n, "csrCertifiedLocation": "0", "csrPictureCount": "14", "gpsTimestamp": null });
        publish(&vendor, photo(&format!("csr-{n}"), csr), PHOTO).await;
    }
    publish(&vendor, photo("p", json!({ "csrCertifiedLocation": "0" })), PHOTO).await;
    let csrs =
        get(&harness, &format!("orders/{NUMBER}/uploads?fileType=CSR")).await["uploads"].as_array().unwrap().clone();
    let shown: Vec<(&Value, &Value)> = csrs.iter().map(|csr| (&csr["authenticated"], &csr["pictureCount"])).collect();
    assert_eq!(shown, [(&json!(3), &json!(14)), (&json!(2), &json!(14)), (&json!(1), &json!(14))], "newest first");
    assert_eq!(csrs[0]["certifiedLocation"], 0);
    let photo = get(&harness, "uploads/p").await;
    assert_eq!((&photo["authenticated"], &photo["certifiedLocation"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn a_work_orders_number_comes_with_a_client_code_or_without() {
    let (harness, vendor) = start().await;
    let forms = [NUMBER, "SMC::50010100", " 50010100 ", "SMC:: 50010100", "MASTER::SMC::50010100"];
    for (n, key2) in forms.into_iter().enumerate() {
        publish(&vendor, photo(&n.to_string(), json!({ "key2": key2 })), PHOTO).await;
    }
    let uploads = uploads(&harness).await;
    assert_eq!(uploads.len(), 5);
    assert!(uploads.iter().all(|upload| upload["matched"] == true && upload["workOrderNumber"] == NUMBER));
}

#[tokio::test]
async fn a_parents_id_is_any_text_and_comes_back_as_it_came() {
    let (harness, vendor) = start().await;
    for (id, parent) in
        [("of order", json!("4411")), ("of survey", json!("0a3d-77")), ("number", json!(4411)), ("none", Value::Null)]
    {
        publish(&vendor, photo(id, json!({ "parentUuid": parent })), PHOTO).await;
        assert_eq!(get(&harness, &format!("uploads/{}", encode(id))).await["fields"]["parentUuid"], parent);
    }
}

#[tokio::test]
async fn file_names_are_not_unique_and_extensions_say_anything() {
    let (harness, vendor) = start().await;
    for (id, name, extension) in [
        ("1", json!("1415913831993.jpg"), json!("jpg")),
        ("2", json!("1415913831993.jpg"), json!(".jpg")),
        ("3", json!("1415913831993"), json!("JPG")),
        ("4", json!("1415913831993"), json!(".jpeg")),
        ("5", Value::Null, Value::Null),
    ] {
        publish(
            &vendor,
            photo(id, json!({ "fileName": name, "fileExt": extension })),
            &[PHOTO, id.as_bytes()].concat(),
        )
        .await;
        let upload = get(&harness, &format!("uploads/{id}")).await;
        assert_eq!((&upload["contentType"], &upload["mismatch"]), (&json!("image/jpeg"), &Value::Null), "{id}");
        assert!(bytes(&harness, &upload["link"]).await == [PHOTO, id.as_bytes()].concat(), "{id}");
    }
    publish(&vendor, photo("6", json!({ "fileType": "file", "fileExt": "docx" })), SURVEY_PDF).await;
    assert_eq!(get(&harness, "uploads/6").await["mismatch"], "fileExt says docx, the bytes are pdf");
}

#[tokio::test]
async fn file_types_are_an_open_set() {
    let (harness, vendor) = start().await;
    for (n, (file_type, shown, file)) in [
        (json!("report"), "report", SURVEY_PDF),
        (json!("pdf"), "pdf", SURVEY_PDF),
        (json!("Picture"), "picture", PHOTO),
        (json!("checkin"), "check-in", br#"{"provider":"pcn"}"#),
        (json!("Check-In"), "check-in", br#"{"provider":"ags"}"#),
        (json!("floor plan 3D"), "floor plan 3D", b"\x00\x01odd"),
        (json!(7), "7", PHOTO),
        (Value::Null, "", PHOTO),
    ]
    .into_iter()
    .enumerate()
    {
        publish(&vendor, photo(&n.to_string(), json!({ "fileType": file_type })), file).await;
        let upload = get(&harness, &format!("uploads/{n}")).await;
        assert_eq!(upload["fileType"].as_str().unwrap_or_default(), shown);
        assert_eq!(upload["fields"]["fileType"], file_type);
        assert!(bytes(&harness, &upload["link"]).await == file);
    }
}

#[tokio::test]
async fn what_no_order_is_known_for_is_kept_and_never_refused() {
    let (harness, vendor) = start().await;
    // Deleted here, made in the app with its + button, moved to a task that we don't know, or no number at all.
    for (id, more) in [
        ("deleted", json!({ "key2": "40000001" })),
        ("made in the app", json!({ "key2": "Mrs. O'Neil's fence / 2nd visit", "key4": "New Task" })),
        ("none", json!({ "key1": null, "key2": null, "key3": null, "key4": null })),
    ] {
        harness.advance(1);
        publish(&vendor, photo(id, more), PHOTO).await;
    }
    publish(&vendor, photo("task", json!({ "key3": "1", "key4": "a task that the order doesn't have" })), PHOTO).await;
    let unmatched = get(&harness, "unmatched").await["uploads"].as_array().unwrap().clone();
    let ids: Vec<&str> = unmatched.iter().map(|upload| upload["uuId"].as_str().unwrap()).collect();
    assert_eq!(ids, ["none", "made in the app", "deleted"]);
    assert_eq!(uploads(&harness).await[0]["uuId"], "task");
}

#[tokio::test]
async fn an_item_is_published_again_and_twice_at_the_same_moment() {
    let (harness, vendor) = start().await;
    let publish_again = |more: Value| publish(&vendor, photo("p", more), PHOTO);
    tokio::join!(publish_again(json!({})), publish_again(json!({})), publish_again(json!({ "batchId": "9" })));
    let first = get(&harness, "uploads/p").await;
    assert_eq!((&first["versions"], uploads(&harness).await.len()), (&json!(1), 1));
    publish_again(json!({ "evidenceType": "after", "timestamp": 1_414_434_700 })).await;
    let second = get(&harness, "uploads/p").await;
    assert_eq!((&second["versions"], &second["evidenceType"]), (&json!(2), &json!("after")));
    assert_eq!(second["earlierVersions"][0]["evidenceType"], "before");
    assert_eq!(uploads(&harness).await.len(), 1);
}

#[tokio::test]
async fn a_survey_finds_its_pictures_whichever_came_first_and_by_name_if_it_has_no_ids() {
    let (harness, vendor) = start().await;
    publish(&vendor, photo("early", json!({ "evidenceType": "propertyVacant" })), PHOTO).await;
    publish(&vendor, pdf("by id", survey(json!(["early", "late"]), json!(["1415913831993.jpg"]))), SURVEY_PDF).await;
    publish(&vendor, photo("late", json!({ "fileName": "1415913832000" })), PHOTO).await;
    let pictures = async |survey: &str| {
        let answers = get(&harness, &format!("orders/{NUMBER}/answers")).await["answers"].as_array().unwrap().clone();
        let answer = answers
            .iter()
            .find(|answer| answer["survey"] == survey && answer["questionId"] == "propertyVacant")
            .unwrap();
        let ids =
            answer["pictures"].as_array().unwrap().iter().map(|picture| picture["uuId"].as_str().unwrap().to_owned());
        ids.collect::<Vec<String>>()
    };
    assert_eq!(pictures("by id").await, ["early", "late"]);
    let by_name = json!({ "timestamp": 1_414_435_000 });
    let mut by_name = [pdf("by name", survey(json!([]), json!(["1415913832000.jpg", "unknown.jpg"]))), by_name];
    let more = by_name[1].take();
    by_name[0].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    publish(&vendor, by_name[0].take(), SURVEY_PDF).await;
    assert_eq!(pictures("by name").await, ["late"]);
    assert_eq!(get(&harness, "uploads/late").await["question"]["survey"], "by name");
    assert_eq!(get(&harness, "uploads/early").await["question"]["survey"], "by id");
}

#[tokio::test]
async fn only_the_gps_receivers_time_is_told_in_utc() {
    let (harness, vendor) = start().await;
    for (id, gps, taken) in [
        ("gps", json!("1414434574"), json!("2014-10-27T18:29:34Z")),
        ("web", Value::Null, Value::Null),
        ("off", json!("0"), Value::Null),
        ("odd", json!("yesterday"), Value::Null),
    ] {
        publish(&vendor, photo(id, json!({ "gpsTimestamp": gps })), PHOTO).await;
        let upload = get(&harness, &format!("uploads/{id}")).await;
        assert_eq!((&upload["taken"], &upload["creationDate"]), (&taken, &json!("2014-10-27 13:29:35")), "{id}");
    }
}

#[tokio::test]
async fn a_videos_link_to_anywhere_else_keeps_the_still_and_is_not_called() {
    let (harness, vendor) = start().await;
    for link in [
        "http://169.254.169.254/latest/meta-data/iam",
        "https://[::1]/v.mp4",
        "https://10.0.0.7/v.mp4",
        "https://storage.googleapis.com.evil.example/v.mp4",
        "file:///etc/passwd",
        "https://user:secret-of-theirs@s3.amazonaws.com/v.mp4",
    ] {
        harness.advance(1);
        let more = json!({ "videoUri": link, "timestamp": harness.now() });
        publish(&vendor, photo("v", more), PHOTO).await;
        harness.system.tick().await;
        let upload = get(&harness, "uploads/v").await;
        assert_eq!(upload["video"]["state"], "pending");
        assert!(upload["video"]["error"].as_str().unwrap().starts_with("the link is not called"), "{link} {upload}");
        assert!(!upload.to_string().contains(link) && !upload.to_string().contains("secret-of-theirs"));
        assert!(bytes(&harness, &upload["link"]).await == PHOTO);
    }
}

#[tokio::test]
async fn notes_in_any_alphabet_or_none_keep_no_photo_out() {
    let (harness, vendor) = start().await;
    let notes = "puerta ca\u{ed}da \u{2013} \u{201c}trasera\u{201d} \u{1f44d}";
    publish(&vendor, photo("utf-8", json!({ "notes": notes, "fileName": "c\u{e1}mara.jpg" })), PHOTO).await;
    assert_eq!(get(&harness, "uploads/utf-8").await["fields"]["notes"], notes);
    // Not UTF-8, and half a character.
    for (id, wrong) in [("latin-1", &b"ca\xEDda"[..]), ("half", b"cut \xF0\x9F\x91")] {
        let payload = with_credentials(&vendor, photo(id, json!({ "notes": "NOTES" })));
        let (header, body) = simulator::multipart(&payload, Some(("1.jpg", PHOTO)));
        let at = body.windows(5).position(|window| window == b"NOTES").unwrap();
        let body = [&body[..at], wrong, &body[at + 5..]].concat();
        assert_eq!(send(&harness, "/uploadPictures.html", Some(&header), body).await, (200, STORED.to_owned()));
        let upload = get(&harness, &format!("uploads/{id}")).await;
        assert!(upload["fields"]["notes"].as_str().unwrap().starts_with("c"));
        assert!(bytes(&harness, &upload["link"]).await == PHOTO);
    }
}

#[tokio::test]
async fn what_a_testing_page_sends_gets_the_documented_reply() {
    let (harness, vendor) = start().await;
    let form = |payload: &str, file| simulator::multipart(payload, file);
    // Invented uploads are uploads.
    publish(&vendor, photo("invented", json!({ "key2": "test-order", "key4": "test" })), b"test").await;
    publish(&vendor, json!({}), b"x").await;
    let before = harness.dump().await;
    let good = with_credentials(&vendor, photo("p", json!({})));
    let no_file =
        r#"{"status":false,"error":"the upload has no file: send it as multipart/form-data in the field file"}"#;
    for (what, (header, body), reply) in [
        ("no file", form(&good, None), Some(no_file)),
        ("an empty file", form(&good, Some(("1.jpg", b""))), Some(no_file)),
        ("no payload", ("multipart/form-data; boundary=X".to_owned(), b"--X--\r\n".to_vec()), None),
        ("an empty body", ("multipart/form-data; boundary=X".to_owned(), Vec::new()), None),
        ("broken JSON", form(&good[..good.len() - 9], Some(("1.jpg", PHOTO))), None),
        ("a list", form("[]", Some(("1.jpg", PHOTO))), None),
        (
            "no end",
            (
                "multipart/form-data; boundary=X".to_owned(),
                b"--X\r\nContent-Disposition: form-data; name=\"payload\"\r\n\r\n{".to_vec(),
            ),
            None,
        ),
    ] {
        let (status, body) = send(&harness, "/uploadPictures.html", Some(&header), body).await;
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (status, &answer["status"], answer.as_object().unwrap().len()),
            (200, &json!(false), 2),
            "{what}: {body}"
        );
        assert!(answer["error"].as_str().unwrap().len() > 10 && body.is_ascii(), "{what}: {body}");
        assert!(reply.is_none_or(|reply| reply == body), "{what}: {body}");
        assert!(!body.contains(&vendor.token), "{what}: {body}");
    }
    assert_eq!(harness.dump().await, before);
}

#[tokio::test]
async fn success_says_error_null_and_nothing_else() {
    let (harness, vendor) = start().await;
    for _ in 0..2 {
        let answer = vendor.publish(photo("p", json!({})), Some(("1.jpg", PHOTO))).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"status":true,"error":null}"#));
    }
    assert_eq!(uploads(&harness).await.len(), 1);
}

#[tokio::test]
async fn attributes_are_thirty_texts_and_come_back_as_they_came() {
    let (harness, vendor) = start().await;
    let ours = r#"{"order_id":7,"vendor_id":"v-1"}"#;
    let more = json!({ "attribute1": "110 East Main Street", "attribute7": ours, "attribute16": 5, "attribute30": "last",
        "attribute31": "beyond", "attribute{7-30}": "" });
    publish(&vendor, photo("p", more.clone()), PHOTO).await;
    let fields = get(&harness, "uploads/p").await["fields"].clone();
    for (name, value) in more.as_object().unwrap() {
        assert_eq!(fields[name], *value, "{name}");
    }
    assert_eq!(fields["attribute8"], Value::Null);
}

/// Names that would lead elsewhere if they were taken for paths.
fn tricks() -> Vec<String> {
    let long = "x".repeat(2000);
    let mut tricks: Vec<String> = [
        "../../victim/1/p.jpg",
        "..",
        ".",
        "/",
        "//victim/1",
        "/etc/passwd",
        "..\\..\\victim",
        "a/../../b",
        "%2e%2e%2fvictim",
        "..%00.jpg",
        "nul\0byte",
        "\0",
        "C:\\Windows\\x",
        "CON",
        "a\r\nSet-Cookie: x=1",
        "\u{202e}gpj.exe",
        "\u{ff0e}\u{ff0e}\u{ff0f}victim",
        "\u{1f4a9}/\u{0301}",
        "~",
        "-rf",
        "victim#0",
        "version:victim",
    ]
    .map(str::to_owned)
    .into();
    tricks.extend([long.clone(), "../".repeat(700), "\u{e9}".repeat(2000), format!("{long}/../victim")]);
    tricks
}

#[tokio::test]
async fn no_name_from_the_field_leads_out_of_the_accounts_prefix() {
    let (harness, vendor) = start().await;
    harness.account("victim", IntegrationType::Internal).await;
    harness.put("victim", "1", json!({})).await;
    let mut published = 0;
    for trick in tricks() {
        for name in ["uuId", "key2", "fileName", "fileExt", "all"] {
            let mut fields = photo(&format!("id-{published}"), json!({}));
            for field in ["uuId", "key2", "fileName", "fileExt", "key4", "evidenceType"] {
                if name == field || name == "all" {
                    fields[field] = json!(trick);
                }
            }
            // Its own file and notes, so that each is an item or a version of its own.
            fields["notes"] = json!(published);
            fields["timestamp"] = json!(1_414_434_590 + published);
            publish(&vendor, fields, &[PHOTO, published.to_string().as_bytes()].concat()).await;
            published += 1;
        }
    }
    let files = bridge::files::Files::new(&harness.dependencies()).unwrap();
    let rows = harness.dump().await["UploadsTable"].clone();
    let mut paths = std::collections::BTreeSet::new();
    for row in &rows {
        let row: Value = serde_json::from_str(row).unwrap();
        assert_eq!(row["username"], "vendor1");
        assert!(row["order"].as_str().is_none_or(|order| order.starts_with("vendor1#")), "{row}");
        let path = row["path"].as_str().unwrap();
        let parts: Vec<&str> = path.split('/').collect();
        assert!(parts.len() == 4 && parts[0] == "vendor1" && path.is_ascii() && path.len() <= 1024, "{path}");
        assert!(
            parts.iter().all(|part| !part.is_empty() && !part.starts_with('.')) && !path.contains(['\0', '\\']),
            "{path}"
        );
        let bytes = files.get(path).await.unwrap();
        assert_eq!(row["sha256"], bridge::secrets::sha256_hex(&bytes));
        paths.insert(path.to_owned());
    }
    assert_eq!((rows.len(), paths.len()), (published, published), "none took another's place");
    let (_, of_victim) = harness.host("GET", "/accounts/victim/orders/1/uploads", None).await;
    assert_eq!(of_victim["uploads"], json!([]));
    // Nor out of the folder that they are downloaded into.
    let host = host_client::HostClient::new(&harness.system.gateway_url).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("here");
    let downloaded = host_client::download::run(&host, "vendor1", NUMBER, &into).await.unwrap();
    let listed =
        get(&harness, &format!("orders/{NUMBER}/uploads?limit=500")).await["uploads"].as_array().unwrap().len();
    assert!(listed > 50 && downloaded.fetched == listed, "{downloaded:?} of {listed}");
    let beside: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside, ["here"]);
}
