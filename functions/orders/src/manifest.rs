//! All files of an order, each with a link and a name in folders.

use bridge::files::part_of_name;
use bridge::host;
use bridge::http::{Problem, to_host};
use bridge::secrets::sha256_hex;
use bridge::time::display;
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde_json::json;

use crate::api::{OrdersApi, limit, number};
use crate::items::{places, select};
use crate::uploads::link;

/// `GET …/orders/{workOrderNumber}/manifest`: all files of an order, each with a link and a name in folders by task and
/// evidence type.
pub async fn list(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let number = number(request)?;
    let count = limit(request)?;
    let (rows, end) = select(state, &account, &number, host::read_cursor(request)?, count, |_| true).await?;
    let places = places(state, &account, &number, &rows).await?;
    let mut files = Vec::new();
    for row in &rows {
        let place = places.get(&row.uu_id).and_then(|place| place["questionId"].as_str());
        // The first that leaves a name, since all of it is free text from the field.
        let first = |of: [Option<&str>; 3], otherwise: &str| {
            let mut names = of.into_iter().flatten().map(part_of_name).filter(|name| !name.is_empty());
            names.next().unwrap_or_else(|| otherwise.to_owned())
        };
        let task = first([row.service.as_deref(), None, None], "no task");
        let kind = first([place, row.evidence_type.as_deref(), row.file_type.as_deref()], "other");
        let time = display(row.taken_at.unwrap_or(row.received_at)).replace(':', "");
        let mut id = part_of_name(&row.uu_id);
        if id != row.uu_id || id.bytes().any(|byte| byte.is_ascii_uppercase()) {
            // Two that differ only in what was replaced, or in case, are two.
            id = format!("{id}-{}", &sha256_hex(row.uu_id.as_bytes())[..8]);
        }
        let stem = format!("{task}/{kind}/{}-{id}", part_of_name(&time));
        let video = row.video.as_ref();
        for (kind, path, size, sha256, content_type) in [
            ("", row.path.as_deref(), Some(row.size), row.sha256.as_deref(), Some(row.content_type.as_str())),
            ("", row.survey_path.as_deref(), None, None, Some("application/json")),
            ("", row.payload_path.as_deref(), None, None, Some("application/json")),
            (
                "-video",
                video.and_then(|video| video.path.as_deref()),
                video.map(|video| video.size),
                video.and_then(|video| video.sha256.as_deref()),
                video.and_then(|video| video.content_type.as_deref()),
            ),
        ] {
            let Some(path) = path else { continue };
            let extension =
                path.rsplit('/').next().and_then(|name| name.split_once('.')).map_or("bin", |(_, rest)| rest);
            let name = format!("{stem}{kind}.{extension}");
            files.push(json!({
                "name": name, "uuId": row.uu_id, "size": size, "sha256": sha256, "contentType": content_type,
                "link": link(&state.files, Some(path), name.rsplit('/').next().unwrap_or("file")).await?,
            }));
        }
    }
    Ok(to_host(StatusCode::OK, &end.put_into(json!({ "files": files }), request)))
}
