//! *The uploadPictures Web Service*: photos, surveys, check-ins and files.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use simulator::spec::Service;

use super::call::{Answer, Call, EMOJI, NO_ORDER, Slip};
use super::suite::{Suite, Target};
use crate::report::{Fault, Outcome};

const UPLOAD: &str = "The uploadPictures Web Service";
const FIELDS: &str = "Available uploadPictures Object Fields";

/// Begins and ends like a JPEG.
pub const PHOTO: &[u8] = b"\xFF\xD8\xFF\xE0\0\x10JFIF\0\x01 pruvan conformance, a photo \xFF\xD9";
const OTHER_PHOTO: &[u8] =
    b"\xFF\xD8\xFF\xE0\0\x10JFIF\0\x01 pruvan conformance, the photo as it was published again \xFF\xD9";
const PDF: &[u8] = b"%PDF-1.4\n% pruvan conformance\n%%EOF\n";
const CHECK_IN: &[u8] = br#"{"provider":"pcn","checkedIn":true}"#;

/// A file that has all bytes in it, line ends and dashes among them.
pub fn every_byte() -> Vec<u8> {
    [PHOTO, b"\r\n--\r\n", &(0..=255).collect::<Vec<u8>>()].concat()
}

/// An item as the specification shows it, with `more` put over it. `name` makes its `uuId`, the same in each run.
pub fn item(suite: &Suite, name: &str, more: Value) -> Call {
    let shown = more.clone();
    let target = suite.target().unwrap_or(Target { number: NO_ORDER.to_owned(), service: "Task".to_owned() });
    let mut fields = json!({
        "uuId": uu_id(name), "parentUuid": "77", "pictureId": "1", "key1": "77", "key2": target.number, "key3": "78",
        "key4": target.service, "attribute1": "110 East Main Street", "attribute2": null, "attribute3": "Round Rock",
        "attribute4": "TX", "attribute5": "78664", "attribute6": "USA", "notes": null, "authenticated": "1",
        "csrCertifiedLocation": "1", "csrCertifiedTime": "1", "csrLocationSource": "mobile", "csrPictureCount": null,
        "csrTimeStampSource": "mobile",
    });
    let rest = json!({
        "locationDifference": "24", "gpsAccuracy": "10.0", "gpsLatitude": "30.50881246",
        "gpsLongitude": "-97.67852886", "gpsTimestamp": "1414434574", "creationDate": "2014-10-27 13:29:35",
        "evidenceType": "before", "fileType": "picture", "fileExt": "jpg", "fileName": "1414434574000.jpg", "template": null,
        "survey": null, "uploaderVersion": "mobile 3.12.4", "workDay": "2014-10-27", "timestamp": 1_414_434_590,
        "deviceId": "ios-1", "phoneNumber": null, "status": "approved", "batchId": "1", "clientCode": suite.options.client_code,
        "createdBy": "conformance", "createdBySubUser": "conformance", "videoUri": null,
    });
    if let (Value::Object(fields), Value::Object(rest), Value::Object(more)) = (&mut fields, rest, more) {
        fields.extend(rest);
        fields.extend((7..=30).map(|n| (format!("attribute{n}"), Value::Null)));
        fields.extend(more);
    }
    Call { about: format!("uuId {}", uu_id(name)), shown, ..Call::new(Service::UploadPictures, fields) }
}

/// Looks like a UUID, and is made of a name.
fn uu_id(name: &str) -> String {
    let hash = hex::encode(&Sha1::digest(format!("pruvan conformance: {name}"))[..16]);
    format!("{}-{}-5{}-a{}-{}", &hash[..8], &hash[8..12], &hash[13..16], &hash[17..20], &hash[20..32])
}

fn survey() -> Value {
    json!({
        "meta": {
            "currentQuestionIndex": 1, "surveyId": uu_id("survey instance"), "parentId": "77", "surveyTemplateId": "vendor1::Simple-v1",
        },
        "answers": [{
            "id": "question1", "answer": ["blue"], "hint": "", "picIds": [uu_id("picture")], "picFileNames": ["1414434574000.jpg"],
            "question": "What is your favorite color?  ", "answerType": "chooseOne",
            "answerOptions": [{ "answer": "red", "display": "Red" }, { "answer": "blue", "display": "Blue" }],
        }],
    })
}

/// As PHP writes lists from which something was taken out.
fn survey_with_gaps() -> Value {
    let mut survey = survey();
    let answer = survey["answers"][0].take();
    survey["answers"] = json!({ "0": answer, "2": { "id": "question3", "answer": { "1": "red" }, "picIds": {} } });
    survey
}

/// Makes these checks and adds their rows to the report; without an order they are skipped.
pub async fn checks(suite: &mut Suite) {
    if suite.target().is_none() {
        for (section, check) in [(UPLOAD, "uploads"), (FIELDS, "kinds of uploads")] {
            let outcome = suite.no_order();
            suite.row(section, check, outcome);
        }
        return;
    }
    for (section, check, calls) in to_be_taken(suite) {
        let outcome = suite.all_taken(calls).await;
        suite.row(section, check, outcome);
    }
    for (check, call) in [
        ("an upload without a file gets a documented reply", item(suite, "no file", json!({}))),
        ("an empty file gets a documented reply", item(suite, "empty file", json!({})).with_file("1.jpg", b"")),
    ] {
        let outcome = suite.call(&call).await.and_then(|answer| answered(&answer));
        suite.row(UPLOAD, check, outcome);
    }
    let outcome = at_once(suite).await;
    suite.row(UPLOAD, "an item may come twice at once", outcome);
    let outcome = cut_off(suite).await;
    suite.row(UPLOAD, "a body that breaks off is not acknowledged", outcome);
}

/// Uploads that must be taken.
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn to_be_taken(suite: &Suite) -> Vec<(&'static str, &'static str, Vec<Call>)> {
    let photo = |name: &str, more: Value| item(suite, name, more).with_file("1414434574000.jpg", PHOTO);
    let slip = |name: &str, slip: Slip, more: Value| Call { slip: Some(slip), ..photo(name, more) };
    let of_survey = |name: &str, survey: Value| {
        let more = json!({ "fileType": "survey", "fileExt": "pdf", "template": "vendor1::Simple-v1", "evidenceType": "Survey", "survey": survey });
        item(suite, name, more).with_file("survey.pdf", PDF)
    };
    let as_text = survey().to_string();
    let twice = Value::from(as_text.as_str()).to_string();
    let counts = json!({ "fileType": "csr", "evidenceType": "CSR", "authenticated": "12", "csrPictureCount": 14, "csrCertifiedTime": "13" });
    let check_in = json!({ "fileType": "check-in", "fileExt": "json", "evidenceType": "check-in" });
    let file = json!({ "fileType": "file", "fileExt": "pdf", "evidenceType": null });
    let nothing = json!({
        "notes": "null", "authenticated": 1, "csrPictureCount": "1", "gpsAccuracy": 10.0, "gpsTimestamp": 1_414_434_574, "gpsLatitude": "null",
        "timestamp": "1414434590", "csrCertifiedLocation": "null", "evidenceType": "",
    });
    let mut few = photo("few fields", json!({}));
    if let Value::Object(fields) = &mut few.fields {
        fields.retain(|name, _| ["uuId", "key2", "fileType"].contains(&name.as_str()));
        few.shown = Value::Object(fields.clone());
    }
    let nulls = [
        "notes",
        "authenticated",
        "gpsAccuracy",
        "gpsLatitude",
        "gpsLongitude",
        "gpsTimestamp",
        "deviceId",
        "evidenceType",
        "key4",
    ];
    let nulls: Value =
        nulls.into_iter().map(|name| (name.to_owned(), Value::Null)).collect::<serde_json::Map<_, _>>().into();
    let note = "front door \u{2013} Zo\u{eb} says \u{201c}5\u{2033}\u{201d} \u{1f3e0}";
    vec![
        (UPLOAD, "a picture", vec![photo("picture", json!({}))]),
        (FIELDS, "a Certified Service Record (csr)", vec![photo("csr", counts)]),
        (FIELDS, "a survey, its answers as JSON in a text", vec![of_survey("survey as text", Value::from(as_text))]),
        (FIELDS, "a survey, its answers as an object", vec![of_survey("survey as object", survey())]),
        (FIELDS, "a survey, its answers encoded twice", vec![of_survey("survey encoded twice", Value::from(twice))]),
        (
            FIELDS,
            "a survey whose lists became objects",
            vec![of_survey("survey with gaps", Value::from(survey_with_gaps().to_string()))],
        ),
        (FIELDS, "a check-in", vec![item(suite, "check-in", check_in).with_file("1.json", CHECK_IN)]),
        (FIELDS, "a file", vec![item(suite, "file", file).with_file("1.pdf", PDF)]),
        (FIELDS, "a fileType never heard of", vec![photo("file type", json!({ "fileType": "conformance report" }))]),
        (
            FIELDS,
            "an evidenceType never heard of",
            vec![photo("evidence type", json!({ "evidenceType": "question17" }))],
        ),
        (UPLOAD, "an order that isn't known (any more)", vec![photo("unknown order", json!({ "key2": NO_ORDER }))]),
        (
            UPLOAD,
            "a service that isn't known",
            vec![photo("unknown service", json!({ "key4": "conformance, no such task" }))],
        ),
        (
            FIELDS,
            "numbers as texts, nothing as null, \"null\" or missing",
            vec![photo("other types", nothing), photo("nulls", nulls), few],
        ),
        (FIELDS, "notes that are not ASCII", vec![photo("notes in UTF-8", json!({ "notes": note }))]),
        (
            FIELDS,
            "notes that are no UTF-8 either",
            vec![Call { latin_1: true, ..photo("notes in Latin-1", json!({ "notes": "caf\u{e9}" })) }],
        ),
        (
            FIELDS,
            "notes that were cut within an emoji",
            vec![slip("half an emoji", Slip::HalfAnEmoji, json!({ "notes": format!("the front {EMOJI}") }))],
        ),
        (UPLOAD, "a byte order mark before the payload", vec![slip("byte order mark", Slip::ByteOrderMark, json!({}))]),
        (UPLOAD, "lines that end in LF alone", vec![slip("bare line feeds", Slip::BareLineFeeds, json!({}))]),
        (
            UPLOAD,
            "the payload may come after the file",
            vec![Call { file_first: true, ..photo("payload last", json!({})) }],
        ),
        (UPLOAD, "an item may be published again", vec![photo("again", json!({})), photo("again", json!({}))]),
        (
            UPLOAD,
            "an item may be published again with another file",
            vec![
                photo("again, other bytes", json!({})),
                item(suite, "again, other bytes", json!({})).with_file("1414434574000.jpg", OTHER_PHOTO),
            ],
        ),
    ]
}

/// Whatever is said, it must be one of the documented replies.
fn answered(answer: &Answer) -> Result<String, Fault> {
    let documented = format!("documented is {}", Service::UploadPictures.documented_refusal());
    match (answer.json["status"].as_bool(), answer.reply.status) {
        (Some(true), _) => Ok("taken".to_owned()),
        (Some(false), _) => Ok("refused".to_owned()),
        (None, _) => Err(answer.fault(documented)),
    }
}

async fn at_once(suite: &mut Suite) -> Outcome {
    let call = item(suite, "at once", json!({})).with_file("1414434574000.jpg", PHOTO);
    let (one, other) = tokio::join!(suite.call(&call), suite.call(&call));
    for answer in [one, other] {
        if let Err(fault) = answer.and_then(|answer| answer.taken()) {
            return Outcome::Fail(fault);
        }
    }
    suite.acknowledge(&call);
    Outcome::Pass(String::new())
}

/// No reply at all is right, too.
async fn cut_off(suite: &Suite) -> Outcome {
    let call = item(suite, "cut off", json!({})).with_file("1414434574000.jpg", &every_byte());
    match suite.call(&Call { cut: true, ..call }).await {
        Ok(answer) if answer.says_yes() => Outcome::Fail(answer.fault(
            "half of the file came, and no final boundary: what is acknowledged is never sent again, so this photo is lost; documented is {\"status\":false,\"error\":\"...\"}",
        )),
        _ => Outcome::Pass(String::new()),
    }
}

/// Whether what was acknowledged is there.
pub async fn read_back(suite: &mut Suite) {
    let check = "files that were acknowledged are there, as they were sent";
    let Some(reader) = &suite.reader else {
        let why = "can't be seen without --read-back, a URL that shows an upload";
        return suite.row(UPLOAD, check, Outcome::Skip(why.to_owned()));
    };
    let (mut lost, count) = (Vec::new(), suite.acknowledged.len());
    let until = Instant::now() + suite.options.waits.read_back;
    for (id, bytes) in &suite.acknowledged {
        let sha256 = hex::encode(Sha256::digest(bytes));
        let fault = loop {
            let fault = match reader.get(&suite.client, id).await {
                Ok(found) if found == *bytes => break None,
                Ok(found) if String::from_utf8_lossy(&found).to_ascii_lowercase().contains(&sha256) => break None,
                Ok(found) => {
                    format!("{} bytes that are neither the file nor hold its SHA-256 ({:.12}...)", found.len(), sha256)
                }
                Err(error) => error,
            };
            if Instant::now() > until {
                break Some(fault);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        lost.extend(fault.map(|fault| (id, fault)));
    }
    let outcome = match lost.first() {
        None if count == 0 => Outcome::Skip("no upload was acknowledged".to_owned()),
        None => Outcome::Pass(format!("{count} files")),
        Some((id, fault)) => {
            // Then nothing is known of them.
            let next = if ["HTTP 401", "HTTP 403"].iter().any(|refused| fault.starts_with(refused)) {
                "whoever asks may not see them: give a --read-back that answers here, or credentials that it takes"
            } else {
                "status true says that it is kept for good: Pruvan never sends it again. Store first, and acknowledge then"
            };
            let fault = suite.secrets.mask(fault);
            Outcome::Fail(Fault::new(
                format!("{} of {count} are not; of {id}, --read-back gives {fault}", lost.len()),
                next,
            ))
        }
    };
    suite.row(UPLOAD, check, outcome);
}
