//! `POST /uploadPictures`: one photo, survey, check-in or file (*The uploadPictures Web Service*).
//!
//! `{"status":true}` goes out only when the file is in S3 and its row in DynamoDB. What can't be matched to an order is stored all
//! the same: a refusal would make a person publish it again by hand.

use std::sync::Arc;

use bridge::accounts::{Account, Accounts};
use bridge::auth::authenticate;
use bridge::files::{self, Files, sniff};
use bridge::http::{TRY_AGAIN, guarded, to_pruvan};
use bridge::orders::Orders;
use bridge::record::{Record, Recorder, Unit};
use bridge::secrets::sha256_hex;
use bridge::settings::SettingError;
use bridge::time::Clock;
use bridge::uploads::{UploadRow, Uploads, Video, Written, fingerprint, item_id, order_key, received};
use bridge::{StoreError, World, form};
use bytes::Bytes;
use lambda_http::{Body, Request, Response};
use pruvan::lenient::is_nothing;
use pruvan::upload::{FileType, Upload, UploadReply, UploadRequest};
use serde_json::Value;

/// JSON that a row holds, of its 400 KB; what has no room goes to S3 beside the file.
const MAX_JSON_IN_ROW: usize = 250_000;

/// Others may write the same item meanwhile; each of them gets in at most once a try.
const TRIES: usize = 12;

const NO_FILE: &str = "the upload has no file: send it as multipart/form-data in the field file";

/// What the function needs.
pub struct UploadPictures {
    recorder: Recorder,
    accounts: Accounts,
    orders: Orders,
    uploads: Uploads,
    files: Files,
    clock: Clock,
}

impl UploadPictures {
    /// Reads `ACCOUNTS_TABLE`, `ORDERS_TABLE`, `PUSH_QUEUE_TABLE`, `UPLOADS_TABLE` and `FILES_BUCKET`.
    pub fn new(world: &World) -> Result<UploadPictures, SettingError> {
        Ok(UploadPictures {
            recorder: Recorder::new(world, "upload-pictures"),
            accounts: Accounts::new(world)?,
            orders: Orders::new(world)?,
            uploads: Uploads::new(world)?,
            files: Files::new(world)?,
            clock: world.clock.clone(),
        })
    }
}

/// Answers one request.
pub async fn handle(state: Arc<UploadPictures>, request: Request) -> Response<Body> {
    let mut record = state.recorder.request(&request);
    let reply = guarded(upload(&state, request, &mut record), || UploadReply::refused(TRY_AGAIN)).await;
    to_pruvan(&reply)
}

async fn upload(state: &UploadPictures, request: Request, record: &mut Record) -> UploadReply {
    let form = match form::read(request).await {
        Ok(form) => form,
        Err(error) => return UploadReply::refused(record.bad_request(&error.to_string())),
    };
    let request = UploadRequest::from_payload(form.payload);
    let account = match authenticate(&state.accounts, &request.credentials, state.clock.now_ms(), record).await {
        Ok(account) => account,
        Err(why) => return UploadReply::refused(why),
    };
    record.order(request.upload.work_order_number().unwrap_or_default());
    record.note("fileType", request.upload.file_type.as_str());
    let bytes = form.file.as_ref().map_or(0, Bytes::len);
    // A survey's answers, in whatever form, are worth keeping without its PDF; nothing else is anything without its file.
    if form.file.is_none() && request.upload.fields.get("survey").is_none_or(is_nothing) {
        return UploadReply::refused(record.bad_request(NO_FILE));
    }
    // A survey may come as a JSON file and nothing else.
    let answers = |file: &Bytes| sniff(file).extension == "json" && request.upload.file_type == FileType::Survey;
    let in_file =
        || form.file.as_ref().filter(|file| answers(file)).map(|file| String::from_utf8_lossy(file).into_owned());
    let survey = form.survey.or_else(in_file);
    match store(state, &account, &request.upload, survey, form.file).await {
        Ok((row, result)) => {
            record.note("uuId", row.item());
            record.note("result", result);
            record.metric("Bytes", Unit::Bytes, bytes as f64);
            if row.unmatched.is_some() {
                record.counts([("Unmatched", 1)]);
            }
            record.ok();
            UploadReply::stored()
        }
        Err(error) => UploadReply::refused(record.failed(&error)),
    }
}

/// Stores an item: its file first, then its row. `true` is told only when both are there. Gives the row that it has, and what was done.
async fn store(
    state: &UploadPictures,
    account: &Account,
    upload: &Upload,
    survey: Option<String>,
    file: Option<Bytes>,
) -> Result<(UploadRow, &'static str), StoreError> {
    let username = &account.username;
    let sha256 = file.as_ref().map(|bytes| sha256_hex(bytes));
    let uu_id = item_id(upload, sha256.as_deref());
    let fingerprint = fingerprint(upload, sha256.as_deref());
    let mut fresh: Option<UploadRow> = None;
    for _ in 0..TRIES {
        let known = state.uploads.get(username, &uu_id).await?;
        if let Some(known) = known.as_ref().filter(|known| known.fingerprint == fingerprint) {
            match repeat(state, known, upload).await? {
                Written::Done => return Ok((known.clone(), "repeat")),
                Written::Overtaken => continue,
            }
        }
        let row = match &fresh {
            Some(row) => row.clone(),
            None => {
                let row = keep(state, username, upload, (&uu_id, &fingerprint, &sha256), &survey, &file).await?;
                fresh.insert(row).clone()
            }
        };
        let (written, outcome) = match &known {
            None => (state.uploads.create(&row).await?, "stored"),
            Some(known) if row.sent_at.zip(known.sent_at).is_some_and(|(late, current)| late < current) => {
                let versions = known.versions + 1;
                if state.uploads.versions(username, &uu_id).await?.iter().any(|row| row.fingerprint == fingerprint) {
                    (Written::Done, "repeat of an earlier version")
                } else {
                    let late = UploadRow { version: versions, versions, ..row.clone() };
                    (state.uploads.keep_earlier(known, &late).await?, "kept as an earlier version")
                }
            }
            Some(known) => (state.uploads.replace(known, &over(known, row.clone())).await?, "new version"),
        };
        if written == Written::Done {
            return Ok((row, outcome));
        }
    }
    Err(StoreError::Contended("the upload"))
}

/// The same once more. It is noted when that was, so that what was sent between the two doesn't replace it; a newer link to the video
/// starts the fetch anew.
async fn repeat(state: &UploadPictures, known: &UploadRow, upload: &Upload) -> Result<Written, StoreError> {
    let sent_at = sent_at(upload);
    if sent_at.zip(known.sent_at).is_some_and(|(sent, known)| sent < known) {
        return Ok(Written::Done);
    }
    let mut next = known.clone();
    next.sent_at = sent_at.or(known.sent_at);
    let uri = video_uri(upload);
    if uri.is_some() && uri != known.video.as_ref().map(|video| video.uri.clone()) {
        let now = state.clock.now_ms();
        // What was fetched before stays until the new link has given it again.
        next.video = uri.map(|uri| Video::new(uri, sent_at, now).after(known.video.as_ref()));
        next.queue_video(now);
    }
    if next == *known { Ok(Written::Done) } else { state.uploads.amend(&next).await }
}

/// A new version over the one there is: what the host did to the item stays, and so does a video that was fetched.
fn over(known: &UploadRow, mut next: UploadRow) -> UploadRow {
    next.version = known.versions + 1;
    next.versions = next.version;
    next.revision = known.revision + 1;
    // Pruvan still has it under the order that the host took it away from.
    if next.work_order_number == known.work_order_number && known.assigned.is_some() {
        next.assigned = known.assigned.clone();
        next.order = known.order.clone();
        next.unmatched = None;
    }
    let link = |row: &UploadRow| row.video.as_ref().map(|video| video.uri.clone());
    if next.video.is_none() || link(&next) == link(known) {
        next.video = known.video.clone();
        next.queue_video(known.video_due.unwrap_or(next.received_at));
    }
    next
}

/// Puts the file, and what no row can hold, into S3, and gives the row of a first version.
async fn keep(
    state: &UploadPictures,
    username: &str,
    upload: &Upload,
    (uu_id, fingerprint, sha256): (&str, &str, &Option<String>),
    survey: &Option<String>,
    file: &Option<Bytes>,
) -> Result<UploadRow, StoreError> {
    // Longer ones are no order's, and an index key has its limit; the payload keeps the whole.
    let number: String = upload.work_order_number().unwrap_or_default().chars().take(300).collect();
    let matched = state.orders.get(username, &number).await?.is_some();
    let format = file.as_ref().map(|bytes| sniff(bytes));
    let content_type = format.map_or("application/json", |format| format.content_type);
    let mut path = None;
    if let (Some(bytes), Some(format), Some(sha256)) = (file, format, sha256) {
        let to = files::path(username, &number, uu_id, sha256, format.extension);
        state.files.put(&to, bytes.clone(), content_type).await?;
        path = Some(to);
    }
    let mut fields = upload.fields.clone();
    // Kept verbatim beside it, and a link that is nobody's business.
    fields.remove("survey").filter(|_| survey.is_none()).map(|odd| fields.insert("survey".to_owned(), odd));
    fields.remove("videoUri");
    let mut room = MAX_JSON_IN_ROW;
    let mut beside = async |json: String, extension: &str| -> Result<(Option<String>, Option<String>), StoreError> {
        if json.len() <= room {
            room -= json.len();
            return Ok((Some(json), None));
        }
        let to = files::path(username, &number, uu_id, &sha256_hex(json.as_bytes()), extension);
        state.files.put(&to, Bytes::from(json), "application/json").await?;
        Ok((None, Some(to)))
    };
    let (payload, payload_path) = beside(Value::Object(fields).to_string(), "payload.json").await?;
    let (survey, survey_path) = match survey {
        Some(survey) => beside(survey.clone(), "survey.json").await?,
        None => (None, None),
    };
    let received_at = state.clock.now_ms();
    let short = |text: &Option<String>| text.as_ref().map(|text| text.chars().take(1000).collect());
    let check_in = file.as_ref().filter(|_| upload.file_type == FileType::CheckIn);
    // A small object takes eighty times the room of its text when it is parsed.
    let check_in = check_in.filter(|file| file.len() <= MAX_JSON_IN_ROW);
    let check_in = check_in.and_then(|file| serde_json::from_slice::<Value>(file).ok()).map(|json| json.to_string());
    // Numbers may have grown as they were written again.
    let check_in = check_in.filter(|json| json.len() <= room / 2);
    let mut row = UploadRow {
        username: username.to_owned(),
        order: Some(order_key(username, &number)),
        received: Some(received(received_at, uu_id)),
        unmatched: (!matched).then(|| username.to_owned()),
        uu_id: uu_id.to_owned(),
        assigned: None,
        received_at,
        sent_at: sent_at(upload),
        version: 1,
        versions: 1,
        version_of: None,
        revision: 1,
        fingerprint: fingerprint.to_owned(),
        payload,
        payload_path,
        survey,
        survey_path,
        check_in,
        path,
        sha256: sha256.clone(),
        size: file.as_ref().map_or(0, |bytes| bytes.len() as u64),
        content_type: content_type.to_owned(),
        mismatch: format.and_then(|format| files::mismatch(format, upload)),
        file_type: short(&Some(upload.file_type.as_str().to_owned()).filter(|text| !text.is_empty())),
        service: short(&upload.key4),
        evidence_type: short(&upload.evidence_type),
        file_name: short(&upload.file_name),
        taken_at: upload.taken_at().map(|instant| instant.as_millisecond()),
        video: video_uri(upload).map(|uri| Video::new(uri, sent_at(upload), received_at)),
        video_queue: None,
        video_due: None,
        work_order_number: number,
    };
    row.queue_video(received_at);
    Ok(row)
}

fn sent_at(upload: &Upload) -> Option<i64> {
    upload.timestamp.map(|instant| instant.as_millisecond())
}

/// Longer ones are no link.
fn video_uri(upload: &Upload) -> Option<String> {
    upload.video_uri.clone().filter(|uri| uri.len() <= 4000)
}
