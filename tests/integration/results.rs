//! What crews sent, as the host gets it out: versions, answers with their pictures, items of no order, and all files by
//! name.

use pruvan::integration::IntegrationType;
use serde_json::{Value, json};

use crate::harness::{Harness, PHOTO, SURVEY_PDF, picture};
use simulator::Integration;

const STORED: &str = r#"{"status":true,"error":null}"#;

async fn start() -> (Harness, Integration) {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    for number in ["1", "2"] {
        harness.put("vendor1", number, json!({})).await;
    }
    (harness, vendor)
}

async fn publish(vendor: &Integration, id: &str, number: &str, more: Value, file: &[u8]) {
    let answer = vendor.publish(picture(id, number, more), Some(("1.jpg", file))).await.unwrap();
    assert_eq!(answer.body, STORED);
}

async fn get(harness: &Harness, path: &str) -> Value {
    let (status, reply) = harness.host("GET", &format!("/accounts/vendor1/{path}"), None).await;
    assert_eq!(status, 200, "{reply}");
    reply
}

fn survey(answers: Value) -> Value {
    json!({ "fileType": "survey", "fileExt": "pdf", "evidenceType": "Survey", "key4": "Inspection", "survey": {
        "meta": { "surveyId": "s", "surveyTemplateId": "vendor1::Simple-v1" }, "answers": answers,
    } })
}

#[tokio::test]
async fn an_older_version_never_replaces_a_newer_one_and_all_are_kept() {
    let (harness, vendor) = start().await;
    for (notes, sent) in [("first", 100), ("third", 300), ("second", 200), ("second", 200), ("fourth", 400)] {
        harness.advance(1);
        let more = json!({ "notes": notes, "timestamp": 1_414_434_000 + sent });
        publish(&vendor, "a", "1", more, PHOTO).await;
    }
    let upload = get(&harness, "uploads/a").await;
    let notes = |upload: &Value| upload["fields"]["notes"].as_str().unwrap().to_owned();
    assert_eq!((notes(&upload), &upload["versions"]), ("fourth".to_owned(), &json!(4)));
    let mut earlier: Vec<String> = upload["earlierVersions"].as_array().unwrap().iter().map(notes).collect();
    earlier.sort();
    assert_eq!(earlier, ["first", "second", "third"]);
    assert!(upload["earlierVersions"].as_array().unwrap().iter().all(|version| version["uuId"] == "a"));
    assert_eq!(get(&harness, "orders/1/uploads").await["uploads"].as_array().unwrap().len(), 1);
    let (status, _) = harness.host("GET", "/accounts/vendor1/uploads/none", None).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn the_latest_survey_says_where_a_picture_belongs_whichever_came_first() {
    let (harness, vendor) = start().await;
    let question = |id: &str, pictures: Value| {
        json!({
            "id": id, "question": id, "answer": ["blue"], "answerType": "chooseOne", "picIds": pictures,
            "answerOptions": [{ "answer": "blue", "display": "Blue" }, { "answer": "red", "display": "Red" }],
        })
    };
    // The survey before its pictures, one of which came long ago for another order.
    publish(&vendor, "old", "2", json!({}), PHOTO).await;
    let answers = json!([question("color", json!(["p1", "old", "never"])), question("roof", json!([]))]);
    publish(&vendor, "s1", "1", survey(answers), SURVEY_PDF).await;
    publish(&vendor, "p1", "1", json!({ "evidenceType": "color" }), PHOTO).await;
    let answers = get(&harness, "orders/1/answers").await;
    let first = &answers["answers"][0];
    assert_eq!((&first["questionId"], &first["answer"]), (&json!("color"), &json!(["blue"])));
    assert_eq!((&first["template"], &first["service"]), (&json!("vendor1::Simple-v1"), &json!("Inspection")));
    let pictures = first["pictures"].as_array().unwrap();
    assert_eq!((&pictures[0]["workOrderNumber"], &pictures[1]["workOrderNumber"]), (&json!("1"), &json!("2")));
    for picture in &pictures[..2] {
        let bytes = harness.client.get(picture["link"].as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
        assert!(bytes == PHOTO);
    }
    assert_eq!(pictures[2], json!({ "uuId": "never", "workOrderNumber": null, "fileName": null, "link": null }));
    let place = async || {
        let uploads = get(&harness, "orders/1/uploads?fileType=Picture").await;
        assert_eq!(uploads["uploads"].as_array().unwrap().len(), 1);
        uploads["uploads"][0]["question"]["questionId"].clone()
    };
    assert_eq!(place().await, "color");
    // The crew moves the picture to another question: only a new survey comes.
    harness.advance(60);
    let mut moved = survey(json!([question("color", json!([])), question("roof", json!(["p1"]))]));
    moved["timestamp"] = json!(1_414_435_000);
    publish(&vendor, "s2", "1", moved, SURVEY_PDF).await;
    assert_eq!(place().await, "roof");
    let reply =
        harness.client.get(format!("{}/accounts/vendor1/orders/1/answers?format=csv", harness.system.gateway_url));
    let csv = reply.send().await.unwrap().text().await.unwrap();
    assert!(csv.starts_with(
        "\u{feff}workOrderNumber,service,survey,template,received,questionId,question,answer,answerText,answerType,pictures,pictureNames\n"
    ));
    assert!(
        csv.contains(",roof,roof,blue,Blue,chooseOne,p1,")
            && csv.contains(",blue,Blue,chooseOne,p1; old; never,1415913831993.jpg; 1415913831993.jpg; never\n"),
        "{csv}"
    );
}

#[tokio::test]
async fn a_survey_is_kept_verbatim_in_every_shape_it_comes_in() {
    let (harness, vendor) = start().await;
    let text =
        r#"{"meta": {"surveyId":"z"}, "answers":[{"id":"q","answer":["1.50"],"hint":"h","picIds":[],"n":1.50}]}"#;
    let once = Value::from(text).to_string();
    for (id, shape) in [("object", text.to_owned()), ("string", once.clone()), ("twice", Value::from(once).to_string())]
    {
        let credentials = format!(r#""username":"vendor1","token":"{}""#, vendor.token);
        let payload = format!(r#"{{{credentials},"uuId":"{id}","key2":"1","fileType":"survey","survey":{shape}}}"#);
        let (content_type, body) = simulator::multipart(&payload, Some(("s.pdf", SURVEY_PDF)));
        let url = format!("{}/uploadPictures.html", harness.system.gateway_url);
        let reply = harness.client.post(url).header("content-type", content_type).body(body).send().await.unwrap();
        assert_eq!(reply.text().await.unwrap(), STORED);
        let row = harness.dump().await["UploadsTable"]
            .iter()
            .find(|row| row.contains(&format!("\"uuId\":\"{id}\"")))
            .cloned();
        let row: Value = serde_json::from_str(&row.unwrap()).unwrap();
        assert_eq!(row["survey"], text, "{id}");
    }
    let answers = get(&harness, "orders/1/answers").await;
    assert_eq!(answers["answers"].as_array().unwrap().len(), 3);
    // What is no survey at all is there to be seen, too.
    publish(&vendor, "odd", "1", json!({ "fileType": "survey", "survey": "hello" }), SURVEY_PDF).await;
    assert_eq!(get(&harness, "uploads/odd").await["survey"], "hello");
}

#[tokio::test]
async fn what_belongs_to_no_order_is_listed_and_assigned() {
    let (harness, vendor) = start().await;
    for (n, number) in ["77", "78", ""].iter().enumerate() {
        harness.advance(1);
        publish(&vendor, &format!("lost-{n}"), number, json!({}), PHOTO).await;
    }
    publish(&vendor, "found", "1", json!({}), PHOTO).await;
    let listed = async || {
        let list = get(&harness, "unmatched").await["uploads"].as_array().unwrap().clone();
        list.iter().map(|upload| upload["uuId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed().await, ["lost-2", "lost-1", "lost-0"]);
    // An order that comes later has its uploads at once.
    harness.put("vendor1", "77", json!({})).await;
    assert_eq!(get(&harness, "orders/77/uploads").await["uploads"][0]["uuId"], "lost-0");
    assert_eq!(listed().await, ["lost-2", "lost-1"]);
    assert_eq!(get(&harness, "uploads/lost-0").await["matched"], true);
    let assign = async |id: &str, body: Value| {
        harness.host("POST", &format!("/accounts/vendor1/unmatched/{id}/assign"), Some(body)).await
    };
    for (id, body, status) in [
        ("lost-1", json!({}), 400),
        ("lost-1", json!({ "workOrderNumber": "none" }), 404),
        ("nothing", json!({ "workOrderNumber": "1" }), 404),
    ] {
        assert_eq!(assign(id, body).await.0, status);
    }
    let before = harness.dump().await["files"].clone();
    let (status, moved) = assign("lost-1", json!({ "workOrderNumber": "2" })).await;
    assert_eq!((status, &moved["workOrderNumber"], &moved["published"]), (200, &json!("2"), &json!("78")));
    assert_eq!(assign("lost-1", json!({ "workOrderNumber": "2" })).await.0, 200);
    assert_eq!(listed().await, ["lost-2"]);
    assert_eq!(get(&harness, "orders/2/uploads").await["uploads"].as_array().unwrap().len(), 1);
    assert_eq!(harness.dump().await["files"], before, "a file is never moved");
    // Pruvan still has it under the old number: publishing it again, changed or not, doesn't take it away.
    for notes in [Value::Null, json!("changed")] {
        publish(&vendor, "lost-1", "78", json!({ "notes": notes }), PHOTO).await;
        let upload = get(&harness, "uploads/lost-1").await;
        assert_eq!((&upload["workOrderNumber"], &upload["matched"]), (&json!("2"), &json!(true)));
    }
}

#[tokio::test]
async fn types_are_told_from_the_bytes_and_meanings_from_the_type() {
    let (harness, vendor) = start().await;
    let more = json!({ "fileType": "csr", "authenticated": "12", "csrCertifiedTime": 11, "csrPictureCount": "14" });
    publish(&vendor, "csr", "1", more, PHOTO).await;
    let more = json!({ "gpsLatitude": "30.5", "gpsLongitude": "-97.6", "csrCertifiedLocation": "null" });
    publish(&vendor, "photo", "1", more, PHOTO).await;
    publish(&vendor, "odd", "1", json!({}), SURVEY_PDF).await;
    let check_in = json!({ "type": "arrival", "at": 1_414_434_574 });
    let more = json!({ "fileType": "Check-In", "fileExt": "json" });
    publish(&vendor, "check-in", "1", more, check_in.to_string().as_bytes()).await;
    let csr = get(&harness, "uploads/csr").await;
    assert_eq!(
        (&csr["authenticated"], &csr["certifiedTime"], &csr["pictureCount"]),
        (&json!(12), &json!(11), &json!(14))
    );
    let photo = get(&harness, "uploads/photo").await;
    assert_eq!(
        (&photo["authenticated"], &photo["certifiedLocation"], &photo["mismatch"]),
        (&json!(true), &Value::Null, &Value::Null)
    );
    assert_eq!(photo["position"], json!({ "latitude": 30.5, "longitude": -97.6 }));
    assert_eq!(
        (&photo["creationDate"], &photo["taken"]),
        (&json!("2014-10-27 13:29:35"), &json!("2014-10-27T18:29:34Z"))
    );
    let odd = get(&harness, "uploads/odd").await;
    assert_eq!(
        (&odd["contentType"], &odd["mismatch"]),
        (&json!("application/pdf"), &json!("fileType picture means jpg, the bytes are pdf"))
    );
    let came = get(&harness, "uploads/check-in").await;
    assert_eq!((&came["checkIn"], &came["fileType"]), (&check_in, &json!("check-in")));
    for (filter, count) in
        [("fileType=csr", 1), ("service=task&evidenceType=BEFORE", 4), ("service=none", 0), ("fileType=checkin", 0)]
    {
        assert_eq!(
            get(&harness, &format!("orders/1/uploads?{filter}")).await["uploads"].as_array().unwrap().len(),
            count,
            "{filter}"
        );
    }
}

#[tokio::test]
async fn the_manifest_names_every_file_by_task_and_kind() {
    let (harness, vendor) = start().await;
    publish(&vendor, "p1", "1", json!({ "key4": "../Grass: cut/", "evidenceType": "after" }), PHOTO).await;
    publish(&vendor, "s1", "1", survey(json!([])), SURVEY_PDF).await;
    // A name of which nothing is left, and two that differ only in what is replaced.
    for (id, service) in [("a/b", "..."), ("a:b", "...")] {
        let item = picture(id, "2", json!({ "key4": service, "evidenceType": "\u{200b}" }));
        vendor.publish(item, Some(("1.jpg", PHOTO))).await.unwrap();
    }
    let manifest = get(&harness, "orders/2/manifest").await;
    let names: Vec<&str> =
        manifest["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert!(
        names.iter().all(|name| name.starts_with("no task/picture/2014-10-27T182934Z-a_b-")) && names[0] != names[1],
        "{names:?}"
    );
    let manifest = get(&harness, "orders/1/manifest").await;
    let files = manifest["files"].as_array().unwrap();
    let names: Vec<&str> = files.iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Inspection/Survey/2014-10-27T182934Z-s1.pdf", "_Grass_ cut_/after/2014-10-27T182934Z-p1.jpg"]);
    for (file, bytes) in files.iter().zip([SURVEY_PDF, PHOTO]) {
        let got = harness.client.get(file["link"].as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
        assert!(got == bytes && file["size"] == bytes.len());
    }
}

#[tokio::test]
async fn a_download_fetches_the_manifest_into_folders_and_goes_on_where_it_broke_off() {
    let (harness, vendor) = start().await;
    publish(&vendor, "p1", "1", json!({ "evidenceType": "after" }), PHOTO).await;
    publish(&vendor, "s1", "1", survey(json!([])), SURVEY_PDF).await;
    let host = host_client::HostClient::new(&harness.system.gateway_url).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let download = async || host_client::download::run(&host, "vendor1", "1", folder.path()).await.unwrap();
    let bytes = (PHOTO.len() + SURVEY_PDF.len()) as u64;
    assert_eq!(download().await, host_client::download::Downloaded { fetched: 2, there: 0, bytes });
    let photo = folder.path().join("Task/after/2014-10-27T182934Z-p1.jpg");
    assert!(std::fs::read(&photo).unwrap() == PHOTO);
    std::fs::write(&photo, b"broken").unwrap();
    assert_eq!(download().await, host_client::download::Downloaded { fetched: 1, there: 1, bytes });
    let error = host_client::download::run(&host, "vendor1", "none", folder.path()).await.unwrap_err();
    assert!(error.to_string().contains("there is no work order \"none\""), "{error}");
}

#[tokio::test]
async fn the_deployments_photo_size_is_for_orders_that_give_none() {
    let harness = Harness::with_environment(vec![("PHOTO_SIZE".to_owned(), "1024x768".to_owned())]).await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    harness.put("vendor1", "2", json!({ "options": { "photo_size": "640x480", "auto_relay": "off" } })).await;
    harness.put("vendor1", "3", json!({ "options": { "auto_relay": "off" } })).await;
    harness.host("PATCH", "/accounts/vendor1/orders/3", Some(json!({ "reference": "x" }))).await;
    vendor.import(None).await.unwrap();
    for (number, size) in [("1", "1024x768"), ("2", "640x480"), ("3", "1024x768")] {
        assert_eq!(vendor.project(number).unwrap()["options"]["photo_size"], size);
    }
}

/// A survey with so many answers, of which each tenth names two of the photos.
fn large_survey(count: usize) -> Value {
    let answer = |n: usize| {
        let pictures = if n.is_multiple_of(10) { json!([format!("p{}", n % 3), "never"]) } else { json!([]) };
        json!({ "id": format!("q{n}"), "question": "Is it?", "answer": ["yes"], "picIds": pictures })
    };
    let mut item = survey((0..count).map(answer).collect());
    // As text, as Pruvan sends it: a payload itself has fewer values.
    item["survey"] = Value::from(item["survey"].to_string());
    item
}

#[tokio::test]
async fn a_survey_of_forty_thousand_answers_comes_in_pages_and_hides_no_other() {
    let (harness, vendor) = start().await;
    for id in ["p0", "p1", "p2"] {
        publish(&vendor, id, "1", json!({ "evidenceType": "x" }), PHOTO).await;
    }
    let small = survey(json!([{ "id": "only", "answer": ["a"] }]));
    publish(&vendor, "oldest", "1", small.clone(), SURVEY_PDF).await;
    harness.advance(1);
    publish(&vendor, "large", "1", large_survey(40_000), SURVEY_PDF).await;
    harness.advance(1);
    publish(&vendor, "newest", "1", small, SURVEY_PDF).await;
    let path = "/accounts/vendor1/orders/1/answers";
    let expected: Vec<String> = std::iter::once("newest only".to_owned())
        .chain((0..40_000).map(|n| format!("large q{n}")))
        .chain(["oldest only".to_owned()])
        .collect();
    let (mut seen, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let url = format!("{}{path}?limit=5000{cursor}", harness.system.gateway_url);
        let reply = harness.client.get(url).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        let text = reply.text().await.unwrap();
        assert!(text.len() < 5_000_000, "{} bytes", text.len());
        let page: Value = serde_json::from_str(&text).unwrap();
        for answer in page["answers"].as_array().unwrap() {
            seen.push(format!("{} {}", answer["survey"].as_str().unwrap(), answer["questionId"].as_str().unwrap()));
            if !answer["pictures"].as_array().unwrap().is_empty() {
                assert!(answer["pictures"][0]["link"].is_string() && answer["pictures"][1]["link"].is_null());
            }
        }
        pages += 1;
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert!(seen == expected && pages > 8, "{} answers on {pages} pages", seen.len());
    // One at a time, over the edge between two surveys.
    let (mut one_by_one, mut cursor) = (Vec::new(), String::new());
    for _ in 0..3 {
        let page = get(&harness, &format!("orders/1/answers?limit=1{cursor}")).await;
        one_by_one.push(page["answers"][0]["questionId"].as_str().unwrap().to_owned());
        cursor = format!("&cursor={}", page["next"].as_str().unwrap());
    }
    assert_eq!(one_by_one, ["only", "q0", "q1"]);
    let csv = harness.client.get(format!("{}{path}?format=csv", harness.system.gateway_url)).send().await.unwrap();
    assert!(csv.headers().contains_key("x-next-cursor"));
    assert_eq!(csv.text().await.unwrap().lines().count(), 1001);
    // Where a photo belongs is told by the same survey.
    let uploads = get(&harness, "orders/1/uploads?fileType=picture").await;
    assert!(uploads["uploads"].as_array().unwrap().iter().all(|photo| photo["question"]["survey"] == "large"));
}

#[tokio::test]
async fn an_answer_of_many_pictures_shows_some_and_says_how_many_it_left_out() {
    let (harness, vendor) = start().await;
    let pictures: Vec<String> = (0..3000).map(|n| format!("p{n}")).collect();
    let answers = json!([{ "id": "q", "picIds": pictures }, { "id": "next" }]);
    publish(&vendor, "s", "1", survey(answers), SURVEY_PDF).await;
    let page = get(&harness, "orders/1/answers").await;
    let first = &page["answers"][0];
    assert_eq!((first["pictures"].as_array().unwrap().len(), &first["picturesLeftOut"]), (500, &json!(2500)));
    assert_eq!(
        (&page["answers"][1]["questionId"], &page["answers"][1]["picturesLeftOut"]),
        (&json!("next"), &json!(0))
    );
}

#[tokio::test]
async fn thousands_of_versions_of_one_item_come_in_pages() {
    let (harness, vendor) = start().await;
    for sent in [200, 300, 100] {
        let more = json!({ "notes": format!("sent {sent}"), "timestamp": 1_414_434_000 + sent });
        publish(&vendor, "a", "1", more, PHOTO).await;
    }
    // As if it had been published some thousand times.
    let client = harness.system.dynamodb().unwrap();
    let rows = client.scan().table_name("UploadsTable").send().await.unwrap().items.unwrap();
    let version =
        rows.iter().find(|row| row.contains_key("versionOf") && row["version"].as_n().unwrap() == "1").unwrap();
    let key = version["uuId"].as_s().unwrap().strip_suffix("000001").unwrap().to_owned();
    for chunk in (4..4600).collect::<Vec<u32>>().chunks(25) {
        let puts = chunk.iter().map(|number| {
            use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
            let mut row = version.clone();
            row.insert("uuId".to_owned(), AttributeValue::S(format!("{key}{number:06}")));
            row.insert("version".to_owned(), AttributeValue::N(number.to_string()));
            WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(row)).build().unwrap()).build()
        });
        client.batch_write_item().request_items("UploadsTable", puts.collect()).send().await.unwrap();
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&harness, &format!("uploads/a?limit=500{cursor}")).await;
        assert_eq!((&page["uuId"], &page["fields"]["notes"]), (&json!("a"), &json!("sent 300")));
        let versions = page["earlierVersions"].as_array().unwrap();
        assert!(versions.len() <= 500);
        seen.extend(versions.iter().map(|version| version["version"].as_u64().unwrap()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let all: Vec<u64> = (1..4600).rev().filter(|number| *number != 2).collect();
    assert_eq!(seen, all);
    assert_eq!(get(&harness, "uploads/a").await["earlierVersions"].as_array().unwrap().len(), 100);
    // A late one that was there before is known among them all, and a new one isn't.
    for (notes, counted) in [("sent 100", 3), ("another", 4)] {
        publish(&vendor, "a", "1", json!({ "notes": notes, "timestamp": 1_414_434_100 }), PHOTO).await;
        assert_eq!(get(&harness, "uploads/a?limit=1").await["versions"], counted, "{notes}");
    }
}
