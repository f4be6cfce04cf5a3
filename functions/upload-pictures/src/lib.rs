//! `POST /uploadPictures`: one photo, survey, check-in or file (*The uploadPictures Web Service*).
//!
//! `{"status":true}` goes out only when the file is in S3 and its row in DynamoDB. What can't be matched to an order is stored all
//! the same: a refusal would make a person publish it again by hand.

use std::sync::Arc;

use bridge::accounts::{Account, Accounts};
use bridge::auth::{AuthError, authenticate};
use bridge::files::{self, Files, sniff};
use bridge::http::{TRY_AGAIN, guarded, to_pruvan};
use bridge::orders::Orders;
use bridge::secrets::sha256_hex;
use bridge::settings::SettingError;
use bridge::time::Clock;
use bridge::uploads::{UploadRow, Uploads, item_id, lasting, order_key, received};
use bridge::{StoreError, World, form};
use bytes::Bytes;
use lambda_http::{Body, Request, Response};
use pruvan::lenient::is_nothing;
use pruvan::upload::{Upload, UploadReply, UploadRequest};
use pruvan::validate::INVALID_CREDENTIALS;
use serde_json::{Map, Value};

/// A payload above this goes to S3 beside the file: a row holds 400 KB.
const MAX_PAYLOAD_IN_ROW: usize = 300_000;

/// What the function needs.
pub struct UploadPictures {
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
    let reply = guarded(upload(&state, request), || UploadReply::refused(TRY_AGAIN)).await;
    to_pruvan(&reply)
}

async fn upload(state: &UploadPictures, request: Request) -> UploadReply {
    let form = match form::read(request).await {
        Ok(form) => form,
        Err(error) => return UploadReply::refused(&error.to_string()),
    };
    let request = UploadRequest::from_payload(form.payload);
    let account = match authenticate(&state.accounts, &request.credentials, state.clock.now_ms()).await {
        Ok(account) => account,
        Err(AuthError::Invalid) => return UploadReply::refused(INVALID_CREDENTIALS),
        Err(AuthError::Store(error)) => {
            tracing::error!(%error, "store.failed");
            return UploadReply::refused(TRY_AGAIN);
        }
    };
    // A survey's answers, in whatever form, are worth keeping without its PDF; nothing else is anything without its file.
    if form.file.is_none() && request.upload.fields.get("survey").is_none_or(is_nothing) {
        return UploadReply::refused("the upload has no file: send it as multipart/form-data in the field file");
    }
    match store(state, &account, &request.upload, form.file).await {
        Ok(()) => UploadReply::stored(),
        Err(error) => {
            tracing::error!(account = %account.username, %error, "store.failed");
            UploadReply::refused(TRY_AGAIN)
        }
    }
}

async fn store(
    state: &UploadPictures,
    account: &Account,
    upload: &Upload,
    file: Option<Bytes>,
) -> Result<(), StoreError> {
    let username = &account.username;
    // Longer ones are no order's, and an index key has its limit; the payload keeps the whole.
    let number: String = upload.work_order_number().unwrap_or_default().chars().take(300).collect();
    let sha256 = file.as_ref().map(|bytes| sha256_hex(bytes));
    let uu_id = item_id(upload, sha256.as_deref());
    let (known, order) =
        futures_util::future::try_join(state.uploads.get(username, &uu_id), state.orders.get(username, &number))
            .await?;
    let payload = Value::Object(upload.fields.clone()).to_string();
    if let Some(known) = &known
        && is_repeat(known, upload, sha256.as_deref(), &number)
    {
        tracing::info!(account = %username, order = %number, outcome = "repeat", "uploadPictures.done");
        return Ok(());
    }
    let format = file.as_ref().map(|bytes| sniff(bytes));
    let content_type = format.map_or("application/json", |format| format.content_type);
    let size = file.as_ref().map_or(0, |bytes| bytes.len() as u64);
    let mut path = None;
    if let (Some(bytes), Some(format), Some(sha256)) = (file, format, &sha256) {
        let to = files::path(username, &number, &uu_id, sha256, format.extension);
        state.files.put(&to, bytes, content_type).await?;
        path = Some(to);
    }
    let (payload, payload_path) = if payload.len() > MAX_PAYLOAD_IN_ROW {
        let to = files::path(username, &number, &uu_id, &sha256_hex(payload.as_bytes()), "payload.json");
        state.files.put(&to, Bytes::from(payload), "application/json").await?;
        (None, Some(to))
    } else {
        (Some(payload), None)
    };
    let received_at = state.clock.now_ms();
    let matched = order.is_some();
    let short = |text: &Option<String>| text.as_ref().map(|text| text.chars().take(1000).collect());
    let row = UploadRow {
        username: username.clone(),
        order: order_key(username, &number),
        received: received(received_at, &uu_id),
        uu_id,
        matched,
        received_at,
        payload,
        payload_path,
        path,
        sha256,
        size,
        content_type: content_type.to_owned(),
        file_type: short(&Some(upload.file_type.as_str().to_owned()).filter(|text| !text.is_empty())),
        service: short(&upload.key4),
        evidence_type: short(&upload.evidence_type),
        file_name: short(&upload.file_name),
        taken_at: upload.taken_at().map(|instant| instant.as_millisecond()),
        video_uri: upload.video_uri.clone().filter(|uri| uri.len() <= 4000),
        work_order_number: number,
    };
    state.uploads.put(&row).await?;
    tracing::info!(
        account = %username, order = %row.work_order_number, outcome = if known.is_some() { "replaced" } else { "stored" },
        matched, file_type = ?row.file_type, bytes = size, "uploadPictures.done"
    );
    Ok(())
}

/// Whether this is what we have already, so that publishing it again changes nothing.
fn is_repeat(known: &UploadRow, upload: &Upload, sha256: Option<&str>, number: &str) -> bool {
    let Some(Ok(fields)) = known.payload.as_deref().map(serde_json::from_str::<Map<String, Value>>) else {
        return false;
    };
    known.sha256.as_deref() == sha256
        && known.work_order_number == number
        && known.video_uri == upload.video_uri
        && lasting(&fields) == lasting(&upload.fields)
}
