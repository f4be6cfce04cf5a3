//! Photos, surveys and all else that a crew publishes: stored before it is acknowledged, and given back byte for byte.

use local::gateway::Variant;
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};

use crate::harness::{Harness, PHOTO, SURVEY_PDF, picture};

const STORED: &str = r#"{"status":true,"error":null}"#;

async fn uploads(harness: &Harness, number: &str) -> Vec<Value> {
    let (status, reply) = harness.host("GET", &format!("/accounts/vendor1/orders/{number}/uploads"), None).await;
    assert_eq!(status, 200, "{reply}");
    reply["uploads"].as_array().unwrap().clone()
}

async fn download(harness: &Harness, upload: &Value) -> Vec<u8> {
    let reply = harness.client.get(upload["link"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.headers()["content-type"].to_str().unwrap(), upload["contentType"].as_str().unwrap());
    assert!(reply.headers()["content-disposition"].to_str().unwrap().starts_with("attachment; filename="));
    reply.bytes().await.unwrap().to_vec()
}

/// A real JPEG of `size` bytes: the fixture, and behind its end marker bytes that no text decoding survives.
fn large_photo(size: usize) -> Vec<u8> {
    let mut photo = PHOTO.to_vec();
    let mut noise: u32 = 1;
    photo.resize_with(size, || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.to_be_bytes()[0]
    });
    photo
}

#[tokio::test]
async fn a_four_megabyte_photo_comes_back_byte_for_byte() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    let photo = large_photo(4_400_000);
    let item = picture("a52eafbf", "SMC::1", json!({}));
    assert_eq!(vendor.publish(item, Some(("1.jpg", &photo))).await.unwrap().body, STORED);
    let uploads = uploads(&harness, "1").await;
    assert_eq!((&uploads[0]["size"], &uploads[0]["matched"]), (&json!(4_400_000), &json!(true)));
    assert!(download(&harness, &uploads[0]).await == photo);
}

/// Between Lambda's 6 MB and API Gateway's 10 MB the template's gateway response speaks, or API Gateway by itself: both
/// are reported. Above that it is the latter in any case.
#[tokio::test]
async fn what_is_too_large_is_refused_by_the_gateway_in_one_shape_or_another() {
    for has_its_own_too_long in [false, true] {
        let harness = Harness::with_gateway(Variant { has_its_own_too_long, reads_on: false }).await;
        let vendor = harness.account("vendor1", IntegrationType::Internal).await;
        let publish = async |size| {
            let answer = vendor.publish(picture("a", "1", json!({})), Some(("1.jpg", &large_photo(size)))).await;
            answer.map(|answer| (answer.status, answer.body)).unwrap()
        };
        let (status, body) = publish(4_900_000).await;
        assert_eq!(status, 413);
        if has_its_own_too_long {
            assert_eq!(body, r#"{"message":"Request Too Long"}"#);
        } else {
            let reply: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(reply["status"], false);
            assert!(reply["error"].as_str().unwrap().contains("photo_size"), "{body}");
        }
        assert_eq!(publish(11_000_000).await, (413, "HTTP content length exceeded 10485760 bytes.".to_owned()));
        assert_eq!(harness.dump().await["UploadsTable"].len(), 0);
    }
}

#[tokio::test]
async fn a_missing_or_empty_file_is_refused_and_changes_nothing() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    let before = harness.dump().await;
    for file in [None, Some(("1.jpg", &b""[..]))] {
        let answer = vendor.publish(picture("a", "1", json!({})), file).await.unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.body,
            r#"{"status":false,"error":"the upload has no file: send it as multipart/form-data in the field file"}"#
        );
    }
    assert_eq!(harness.dump().await, before);
    // Answers are worth keeping even if their PDF is missing.
    let survey =
        picture("s", "1", json!({ "fileType": "survey", "survey": { "answers": [{ "id": "q1", "answer": "yes" }] } }));
    assert_eq!(vendor.publish(survey, None).await.unwrap().body, STORED);
    // Several surveys of one task without a uuId and a PDF are several surveys, whatever form their answers have.
    for survey in [json!({ "answers": [1] }), json!({ "answers": [2] }), json!([3]), json!("{broken")] {
        let survey = picture("s", "1", json!({ "uuId": null, "fileType": "survey", "survey": survey }));
        for _ in 0..2 {
            assert_eq!(vendor.publish(survey.clone(), None).await.unwrap().body, STORED);
        }
    }
    assert_eq!(harness.dump().await["UploadsTable"].len(), 5);
}

#[tokio::test]
async fn a_repeat_changes_nothing_and_a_change_replaces() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    let publish = async |more: Value, file: &[u8]| {
        let answer = vendor.publish(picture("a", "1", more), Some(("1.jpg", file))).await.unwrap();
        assert_eq!(answer.body, STORED);
    };
    publish(json!({}), PHOTO).await;
    let first = harness.dump().await;
    harness.advance(60);
    publish(json!({ "timestamp": 1_414_434_999, "batchId": "7", "lastUpdatedBy": "x", "status": "published" }), PHOTO)
        .await;
    // But for the time, so that what was sent between the two doesn't replace it.
    let mut second = harness.dump().await;
    assert!(second["UploadsTable"][0].contains("\"sentAt\":1414434999000"));
    second.insert("UploadsTable".to_owned(), first["UploadsTable"].clone());
    assert_eq!(second, first);
    assert_eq!(
        (&uploads(&harness, "1").await[0]["versions"], &uploads(&harness, "1").await[0]["sent"]),
        (&json!(1), &json!("2014-10-27T18:36:39Z"))
    );
    let publish = async |mut more: Value, file: &[u8]| {
        more["timestamp"] = json!(1_414_435_999);
        publish(more, file).await;
    };
    publish(json!({ "notes": "gate was locked" }), PHOTO).await;
    let changed = uploads(&harness, "1").await;
    assert_eq!((changed.len(), &changed[0]["fields"]["notes"]), (1, &json!("gate was locked")));
    publish(json!({ "notes": "gate was locked" }), &large_photo(30_000)).await;
    let changed = uploads(&harness, "1").await;
    assert_eq!((changed.len(), &changed[0]["size"]), (1, &json!(30_000)));
    // Without a uuId, the content stands in for it.
    for _ in 0..2 {
        publish(json!({ "uuId": null }), PHOTO).await;
    }
    assert_eq!(uploads(&harness, "1").await.len(), 2);
}

#[tokio::test]
async fn every_file_type_is_kept_with_all_its_fields_and_told_by_its_bytes() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    let survey = json!({ "meta": { "surveyId": "s" }, "answers": [{ "id": "q1", "answer": ["blue"], "hint": "x" }] });
    let check_in = json!({ "type": "arrival", "at": 1414434574 }).to_string();
    for (file_type, more, file, content_type) in [
        ("picture", json!({ "attribute7": "{\"order_id\":7}", "notes": "caf\u{e9}" }), PHOTO, "image/jpeg"),
        ("csr", json!({ "authenticated": "12", "csrPictureCount": "14" }), PHOTO, "image/jpeg"),
        ("survey", json!({ "survey": survey.to_string(), "evidenceType": "Survey" }), SURVEY_PDF, "application/pdf"),
        ("survey", json!({ "survey": survey }), SURVEY_PDF, "application/pdf"),
        ("check-in", json!({}), check_in.as_bytes(), "application/json"),
        ("file", json!({ "fileExt": ".pdf" }), SURVEY_PDF, "application/pdf"),
        ("projectReport", json!({ "unheardOf": { "deep": [1, 2.5, null] } }), SURVEY_PDF, "application/pdf"),
        ("picture", json!({ "fileName": "../../../etc/passwd" }), b"not a picture", "application/octet-stream"),
    ] {
        harness.advance(1);
        let id = format!("{file_type} {more}");
        let mut fields = picture(&id, "1", more);
        fields["fileType"] = json!(file_type);
        assert_eq!(vendor.publish(fields.clone(), Some(("x.bin", file))).await.unwrap().body, STORED);
        let newest = uploads(&harness, "1").await[0].clone();
        assert_eq!((&newest["fileType"], &newest["contentType"]), (&json!(file_type), &json!(content_type)));
        let survey = fields.as_object_mut().unwrap().remove("survey").unwrap_or_default();
        let survey = survey.as_str().map_or(survey.clone(), |json| serde_json::from_str(json).unwrap());
        assert_eq!((&newest["fields"], &newest["survey"]), (&fields, &survey), "every field as it came");
        assert_eq!(newest["taken"], "2014-10-27T18:29:34Z");
        assert!(download(&harness, &newest).await == file);
    }
}

#[tokio::test]
async fn a_payload_that_no_row_can_hold_goes_beside_the_file() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    let answer = "x".repeat(500_000);
    let fields = picture(
        "s",
        "1",
        json!({ "fileType": "survey", "survey": { "answers": [{ "id": "q", "answer": [answer] }] } }),
    );
    assert_eq!(vendor.publish(fields.clone(), Some(("s.pdf", SURVEY_PDF))).await.unwrap().body, STORED);
    let upload = uploads(&harness, "1").await[0].clone();
    assert_eq!((&upload["survey"], &upload["fieldsLink"]), (&Value::Null, &Value::Null));
    assert_eq!(upload["fields"]["key4"], "Task");
    let kept = harness.client.get(upload["surveyLink"].as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap(), fields["survey"]);
    let (_, answers) = harness.host("GET", "/accounts/vendor1/orders/1/answers", None).await;
    assert_eq!(answers["answers"][0]["answer"][0].as_str().unwrap().len(), 500_000);
    // And so does the rest, if it is the larger part.
    let notes = "y".repeat(300_000);
    let item = picture("t", "1", json!({ "notes": notes, "survey": { "answers": [] } }));
    assert_eq!(vendor.publish(item, Some(("s.pdf", SURVEY_PDF))).await.unwrap().body, STORED);
    let upload = harness.host("GET", "/accounts/vendor1/uploads/t", None).await.1;
    assert_eq!((&upload["fields"], &upload["survey"]), (&Value::Null, &json!({ "answers": [] })));
    let kept = harness.client.get(upload["fieldsLink"].as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap()["notes"], notes);
}

#[tokio::test]
async fn nothing_is_acknowledged_that_is_not_stored() {
    // A bucket that doesn't exist stands for an S3 that fails.
    let harness = Harness::with_environment(vec![("FILES_BUCKET".to_owned(), "Nowhere".to_owned())]).await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    let answer = vendor.publish(picture("a", "1", json!({})), Some(("1.jpg", PHOTO))).await.unwrap();
    assert_eq!(
        answer.body,
        r#"{"status":false,"error":"the order system is not available at the moment: please try again in a few minutes"}"#
    );
    assert_eq!(harness.dump().await["UploadsTable"].len(), 0);
    assert_eq!(harness.permissions.refused(), ["upload-pictures: s3:PutObject Nowhere/*".to_owned()].into());
}

#[tokio::test]
async fn links_are_signed_and_lists_are_paged_newest_first() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    for n in 0..5 {
        harness.advance(1);
        vendor.publish(picture(&n.to_string(), "1", json!({})), Some(("1.jpg", PHOTO))).await.unwrap();
    }
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/accounts/vendor1/orders/1/uploads?limit=2{cursor}");
        let (_, page) = harness.host("GET", &path, None).await;
        ids.extend(
            page["uploads"].as_array().unwrap().iter().map(|upload| upload["uuId"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(ids, ["4", "3", "2", "1", "0"]);
    let link = uploads(&harness, "1").await[0]["link"].as_str().unwrap().to_owned();
    for tampered in
        [link.split('?').next().unwrap().to_owned(), link.replace("X-Amz-Expires=3600", "X-Amz-Expires=99999")]
    {
        assert_eq!(harness.client.get(tampered).send().await.unwrap().status(), 403);
    }
}
