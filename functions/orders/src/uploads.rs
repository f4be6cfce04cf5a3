//! What crews sent, and how the host sees it: the items of an order, and one item with its earlier versions.

use bridge::StoreError;
use bridge::files::Files;
use bridge::host;
use bridge::http::{PAGE_BYTES, Problem, to_host};
use bridge::time::display;
use bridge::uploads::{UploadRow, Video, VideoState};
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use pruvan::upload::{Certified, Upload};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::api::{OrdersApi, PageEnd, limit, number};
use crate::items::{held, item, places, select};
use crate::show::parsed;

/// `GET …/orders/{workOrderNumber}/uploads`: by `fileType`, `service` and `evidenceType`, newest first.
pub async fn list(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let number = number(request)?;
    let wanted = ["fileType", "service", "evidenceType"].map(|name| host::query(request, name));
    let wants = |row: &UploadRow| {
        let has = [&row.file_type, &row.service, &row.evidence_type];
        // Case varies from device to device.
        let same = |(wanted, has): (&Option<String>, &Option<String>)| match wanted {
            Some(wanted) => has.as_deref().unwrap_or_default().eq_ignore_ascii_case(wanted.trim()),
            None => true,
        };
        wanted.iter().zip(has).all(same)
    };
    let count = limit(request)?;
    let (rows, end) = select(state, &account, &number, host::read_cursor(request)?, count, wants).await?;
    let places = places(state, &account, &number, &rows).await?;
    let mut shown = Vec::with_capacity(rows.len());
    for row in &rows {
        shown.push(show(&state.files, row, places.get(&row.uu_id)).await?);
    }
    Ok(to_host(StatusCode::OK, &end.put_into(json!({ "uploads": shown }), request)))
}

/// `GET …/uploads/{uuId}`: one item, whatever order it belongs to, and a page of its earlier versions.
pub async fn one(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let count = limit(request)?;
    let mut before = match host::read_cursor(request)? {
        Some(version) => Some(version.parse().map_err(|_| host::bad_cursor())?),
        None => None,
    };
    let row = item(state, &account, request).await?;
    let time_is_up = state.looking();
    let (mut versions, mut bytes) = (Vec::new(), held(&row));
    let end = 'pages: loop {
        let (page, next) =
            state.uploads.versions(&account.username, &row.uu_id, before, count - versions.len()).await?;
        let last = page.len();
        for (index, version) in page.iter().enumerate() {
            bytes += held(version);
            versions.push(show(&state.files, version, None).await?);
            if bytes > PAGE_BYTES && index + 1 < last {
                break 'pages PageEnd::at(Some(version.version));
            }
        }
        match next {
            Some(next) if versions.len() >= count || bytes > PAGE_BYTES => break PageEnd::at(Some(next)),
            Some(next) if time_is_up() => break PageEnd::out_of_time(next),
            Some(next) => before = Some(next),
            None => break PageEnd::at(None),
        }
    };
    let end = PageEnd { next: end.next.map(|version| version.to_string()), time_up: end.time_up };
    let places = places(state, &account, row.number(), std::slice::from_ref(&row)).await?;
    let mut shown = show(&state.files, &row, places.get(&row.uu_id)).await?;
    shown["earlierVersions"] = Value::from(versions);
    Ok(to_host(StatusCode::OK, &end.put_into(shown, request)))
}

/// An upload, with links that work for an hour; `place` is the survey question that it belongs to.
pub async fn show(files: &Files, row: &UploadRow, place: Option<&Value>) -> Result<Value, StoreError> {
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
        "takenDoubt": row.taken_doubt,
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

/// A link to a file, if there is one.
pub async fn link(files: &Files, path: Option<&str>, name: &str) -> Result<Option<String>, StoreError> {
    match path {
        Some(path) => Ok(Some(files.link(path, name).await?.expose_secret().to_owned())),
        None => Ok(None),
    }
}
