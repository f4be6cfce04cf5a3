//! `POST /uploadPictures`: one photo, survey, check-in or file (*The uploadPictures Web Service*).
//!
//! `{"status":true}` goes out only when the file is in S3 and its row in DynamoDB. What can't be matched to an order is
//! stored all the same: a refusal would make a person publish it again by hand.

mod item;
mod versions;

use std::sync::Arc;

use bridge::accounts::{Account, Accounts};
use bridge::auth::authenticate;
use bridge::contention::Contention;
use bridge::files::Files;
use bridge::format::sniff;
use bridge::http::{guarded, to_pruvan};
use bridge::orders::Orders;
use bridge::settings::SettingError;
use bridge::telemetry::{Record, Telemetry, Unit};
use bridge::time::Clock;
use bridge::uploads::{UploadRow, Uploads, Written};
use bridge::web_service::{self, Refusal};
use bridge::{Dependencies, StoreError};
use bytes::Bytes;
use lambda_http::{Body, Request, Response};
use pruvan::encoding::decode;
use pruvan::lenient::is_nothing;
use pruvan::survey::verbatim;
use pruvan::upload::{FileType, UploadReply, UploadRequest};

use item::PublishedItem;
use versions::Arrival;

const NO_FILE: &str = "the upload has no file: send it as multipart/form-data in the field file";

/// What the function needs.
pub struct UploadPictures {
    telemetry: Telemetry,
    accounts: Accounts,
    orders: Orders,
    uploads: Uploads,
    files: Files,
    clock: Clock,
    contention: Contention,
}

impl UploadPictures {
    /// Reads `ACCOUNTS_TABLE`, `ORDERS_TABLE`, `UPLOADS_TABLE` and `FILES_BUCKET`.
    pub fn new(dependencies: &Dependencies) -> Result<UploadPictures, SettingError> {
        Ok(UploadPictures {
            telemetry: Telemetry::new(dependencies, "upload-pictures"),
            accounts: Accounts::new(dependencies)?,
            orders: Orders::new(dependencies)?,
            uploads: Uploads::new(dependencies)?,
            files: Files::new(dependencies)?,
            clock: dependencies.clock.clone(),
            contention: Contention::new(&dependencies.random),
        })
    }
}

/// Answers one request of Pruvan's, whatever comes (*The uploadPictures Web Service*).
pub async fn handle(state: Arc<UploadPictures>, request: Request) -> Response<Body> {
    let mut record = state.telemetry.request(&request);
    let stored = guarded(upload(&state, request, &mut record), || Err(Refusal::again())).await;
    to_pruvan(&match stored {
        Ok(()) => UploadReply::stored(),
        Err(why) => UploadReply::refused(why.as_str()),
    })
}

async fn upload(state: &UploadPictures, request: Request, record: &mut Record) -> Result<(), Refusal> {
    let form = web_service::read(request, record).await?;
    let request = UploadRequest::from_payload(form.payload);
    let account = authenticate(&state.accounts, &request.credentials, state.clock.now_ms(), record).await?;
    record.order(request.upload.work_order_number().unwrap_or_default());
    record.note("fileType", request.upload.file_type.as_str());
    let bytes = form.file.as_ref().map_or(0, Bytes::len);
    // A survey's answers are worth keeping without its PDF, whatever the fileType says; nothing else is anything
    // without its file.
    if form.file.is_none() && request.upload.fields.get("survey").is_none_or(is_nothing) {
        return Err(Refusal::bad_request(record, NO_FILE));
    }
    // A survey may come as a JSON file and nothing else.
    let answers = |file: &Bytes| sniff(file, "").extension == "json" && request.upload.file_type == FileType::Survey;
    let in_file = || form.file.as_ref().filter(|file| answers(file)).map(|file| verbatim(&decode(file)));
    let survey = form.survey.or_else(in_file);
    let item = PublishedItem::new(&request.upload, survey, form.file, state.clock.now_ms());
    let stored = store(state, &account, &item).await;
    let (row, result) = stored.map_err(|error| Refusal::failed(record, &error))?;
    record.note("uuId", row.item());
    record.note("result", result);
    record.metric("Bytes", Unit::Bytes, bytes as f64);
    if row.unmatched.is_some() {
        record.counts([("Unmatched", 1)]);
    }
    record.ok();
    Ok(())
}

/// Stores an item: its file first, then its row. `true` is told only when both are there. Gives the row
/// that this upload makes, which may differ from what is stored, and what was done.
async fn store(
    state: &UploadPictures,
    account: &Account,
    item: &PublishedItem<'_>,
) -> Result<(UploadRow, &'static str), StoreError> {
    let username = &account.username;
    let (mut kept, mut tries): (Option<UploadRow>, _) = (None, state.contention.tries());
    loop {
        let known = state.uploads.get(username, &item.uu_id).await?;
        if let Some(known) = known.as_ref().filter(|known| known.fingerprint == item.fingerprint) {
            let next = versions::repeated(known, item.sent_at(), item.video_uri(), state.clock.now_ms());
            let written = if next == *known { Written::Done } else { state.uploads.amend(&next).await? };
            if written == Written::Done {
                return Ok((known.clone(), "repeat"));
            }
            if !tries.again().await {
                return Err(StoreError::Contended("the upload"));
            }
            continue;
        }
        // However often the row has to be written anew, the files are put once.
        let row = match kept.take() {
            Some(row) => row,
            None => item.keep(&state.orders, &state.files, username, &state.clock).await?,
        };
        let (written, outcome) = match versions::arrival(known.as_ref(), row.sent_at, row.received_at) {
            Arrival::First => (state.uploads.create(&row).await?, "stored"),
            Arrival::Late(known) => {
                if state.uploads.has_version(username, &item.uu_id, &item.fingerprint).await? {
                    (Written::Done, "repeat of an earlier version")
                } else {
                    let late = versions::late(known, row.clone());
                    (state.uploads.keep_earlier(known, &late).await?, "kept as an earlier version")
                }
            }
            Arrival::Newer(known) => {
                (state.uploads.replace(known, &versions::newer(known, row.clone())).await?, "new version")
            }
        };
        if written == Written::Done {
            return Ok((row, outcome));
        }
        if !tries.again().await {
            return Err(StoreError::Contended("the upload"));
        }
        kept = Some(row);
    }
}
