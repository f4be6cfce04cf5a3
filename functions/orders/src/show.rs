//! Rows as the host sees them: times in RFC 3339.

use std::collections::BTreeMap;

use bridge::StoreError;
use bridge::accounts::Account;
use bridge::files::Files;
use bridge::orders::{Order, Report};
use bridge::push_queue::Waiting;
use bridge::time::display;
use bridge::uploads::{UploadRow, Video, VideoState};
use pruvan::survey::{Answer, Survey, SurveyTemplate};
use pruvan::upload::{Certified, Upload};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

/// An order in a list; `given` as the host gave it.
pub fn summary(order: &Order, given: &Map<String, Value>) -> Value {
    json!({
        "workOrderNumber": order.work_order_number,
        "workOrder": given,
        "changed": display(order.changed_at),
        "ended": order.ended_at.map(display),
        "deleted": order.deleted_at.map(display),
        "reported": latest(order),
    })
}

/// An order with all that is known of it.
pub fn whole(account: &Account, order: &Order, waiting: Option<&Waiting>, now: i64) -> Result<Value, StoreError> {
    let outgoing = order.outgoing(account);
    let directives = order.directives.iter().map(|(name, directive)| {
        let told = !outgoing.0.contains_key(name);
        (name.clone(), json!({ "value": directive.value, "set": display(directive.at), "told": told }))
    });
    let push = match waiting {
        None => json!({ "state": "upToDate" }),
        Some(row) => json!({
            "state": row.state(now),
            "since": display(row.queued_at),
            "due": row.due_at().map(display),
            "attempts": row.attempts,
            "lastError": row.last_error,
        }),
    };
    Ok(json!({
        "workOrderNumber": order.work_order_number,
        "workOrder": order.as_given()?,
        "made": display(order.made_at),
        "changed": display(order.changed_at),
        "ended": order.ended_at.map(display),
        "deleted": order.deleted_at.map(display),
        "directives": Map::from_iter(directives),
        "reported": latest(order),
        "reports": order.reports.iter().map(report).collect::<Vec<Value>>(),
        "push": push,
    }))
}

fn latest(order: &Order) -> Option<Value> {
    (!order.reports.is_empty()).then(|| report(&order.reported()))
}

fn report(report: &Report) -> Value {
    json!({
        "at": display(report.at),
        "status": report.status,
        "fieldStatus": report.field_status,
        "clientStatus": report.client_status,
        "dueDate": report.due_date,
        "other": parsed(report.other.as_deref()),
    })
}

/// An upload, with links that work for an hour; `place` is the survey question that it belongs to.
pub async fn upload(files: &Files, row: &UploadRow, place: Option<&Value>) -> Result<Value, StoreError> {
    let fields = parsed(row.payload.as_deref());
    let item = Upload::from_fields(fields.as_object().cloned().unwrap_or_default());
    let certified = |certified: Option<Certified>| match certified {
        None => Value::Null,
        Some(Certified::Item(is)) => Value::from(is),
        Some(Certified::Count(count)) => Value::from(count),
    };
    Ok(json!({
        "uuId": row.item(),
        "version": row.version,
        "versions": row.versions,
        "workOrderNumber": row.number(),
        "published": row.work_order_number,
        "matched": row.unmatched.is_none(),
        "fileType": row.file_type,
        "service": row.service,
        "evidenceType": row.evidence_type,
        "question": place,
        "fileName": row.file_name,
        "contentType": row.content_type,
        "mismatch": row.mismatch,
        "size": row.size,
        "sha256": row.sha256,
        "received": display(row.received_at),
        "sent": row.sent_at.map(display),
        "taken": row.taken_at.map(display),
        "creationDate": item.creation_date,
        "position": item.position().map(|(latitude, longitude)| json!({ "latitude": latitude, "longitude": longitude })),
        "authenticated": certified(item.authenticated()),
        "certifiedTime": certified(item.certified_time()),
        "certifiedLocation": certified(item.certified_location()),
        "pictureCount": item.picture_count(),
        "link": link(files, row.path.as_deref(), row.file_name.as_deref().unwrap_or(row.item())).await?,
        "checkIn": parsed(row.check_in.as_deref()),
        // What is no JSON is shown as the text that it is.
        "survey": row.survey.as_deref().map(|text| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))),
        "surveyLink": link(files, row.survey_path.as_deref(), "survey.json").await?,
        "video": match &row.video {
            Some(of) => video(files, of).await?,
            None => Value::Null,
        },
        "fields": fields,
        "fieldsLink": link(files, row.payload_path.as_deref(), "fields.json").await?,
    }))
}

async fn video(files: &Files, video: &Video) -> Result<Value, StoreError> {
    Ok(json!({
        "state": video.state,
        "until": display(video.until),
        "attempts": video.attempts,
        "error": video.error,
        "contentType": video.content_type,
        "size": (video.state == VideoState::Stored).then_some(video.size),
        "sha256": video.sha256,
        "link": link(files, video.path.as_deref(), "video.mp4").await?,
    }))
}

/// One answer of a survey; `pictures` are those that came, by their `uuId`.
pub async fn answer(
    files: &Files,
    row: &UploadRow,
    survey: &Survey,
    answer: &Answer,
    pictures: &BTreeMap<&str, &UploadRow>,
) -> Result<Value, StoreError> {
    let mut shown = Vec::with_capacity(answer.pic_ids.len());
    for id in &answer.pic_ids {
        let picture = pictures.get(id.as_str());
        let name = picture.and_then(|row| row.file_name.as_deref()).unwrap_or(id);
        shown.push(json!({
            "uuId": id,
            "workOrderNumber": picture.map(|row| row.number()),
            "link": link(files, picture.and_then(|row| row.path.as_deref()), name).await?,
        }));
    }
    let options = answer.answer_options.iter();
    Ok(json!({
        "service": row.service,
        "survey": row.uu_id,
        "template": survey.template.as_ref().map(SurveyTemplate::to_string),
        "received": display(row.received_at),
        "questionId": answer.id,
        "question": answer.question,
        "answer": answer.answer,
        "answerType": answer.answer_type,
        "answerOptions": options.map(|option| json!({ "answer": option.answer, "display": option.display })).collect::<Vec<Value>>(),
        "pictures": shown,
        "pictureFileNames": answer.pic_file_names,
    }))
}

/// A link to a file, if there is one.
pub async fn link(files: &Files, path: Option<&str>, name: &str) -> Result<Option<String>, StoreError> {
    match path {
        Some(path) => Ok(Some(files.link(path, name).await?.expose_secret().to_owned())),
        None => Ok(None),
    }
}

fn parsed(json: Option<&str>) -> Value {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}
