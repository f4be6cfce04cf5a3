//! What crews sent back: items, survey answers, a manifest of all files, and what belongs to no order yet.

use std::collections::{BTreeMap, BTreeSet};

use bridge::accounts::Account;
use bridge::files::part_of_name;
use bridge::host;
use bridge::http::{Problem, to_host};
use bridge::record::Notes;
use bridge::secrets::sha256_hex;
use bridge::time::display;
use bridge::uploads::{UploadRow, Written, order_key};
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use pruvan::lenient;
use pruvan::survey::{Answer, Survey};
use serde_json::{Value, json};

use crate::api::{OrdersApi, limit, no_such_order, number};
use crate::show;
use crate::table::{Format, Table};

/// Rows read at a time while looking for those that are asked for.
const READ: i32 = 200;

/// And at most so many times a request; the reply then says where to go on.
const READS: usize = 25;

/// A page ends early at about so many bytes of what rows hold, or of links: the reply must fit Lambda's 6 MB.
const PAGE_BYTES: usize = 2_000_000;

/// A link with all that is signed into it.
const LINK_BYTES: usize = 2_000;

/// Others may change a row while we do.
const TRIES: usize = 12;

/// `GET …/orders/{workOrderNumber}/uploads`: by `fileType`, `service` and `evidenceType`, newest first.
pub async fn uploads(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
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
    let (rows, next) = select(state, &account, &number, request, limit(request)?, wants).await?;
    let places = if rows.iter().any(is_photo) { places(state, &account, &number).await? } else { BTreeMap::new() };
    let mut shown = Vec::with_capacity(rows.len());
    for row in &rows {
        shown.push(show::upload(&state.files, row, places.get(&row.uu_id)).await?);
    }
    Ok(to_host(StatusCode::OK, &json!({ "uploads": shown, "next": next.as_deref().map(host::cursor) })))
}

/// `GET …/uploads/{uuId}`: one item, whatever order it belongs to, and its versions.
pub async fn upload(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let row = item(state, &account, request).await?;
    let (mut versions, mut bytes) = (Vec::new(), 0);
    for version in state.uploads.versions(&account.username, &row.uu_id).await? {
        bytes += held(&version);
        let mut shown = show::upload(&state.files, &version, None).await?;
        if bytes > PAGE_BYTES {
            // The file is what an old version is looked up for.
            shown["survey"] = Value::Null;
            shown["fields"] = Value::Null;
        }
        versions.push(shown);
    }
    let places = if is_photo(&row) { places(state, &account, row.number()).await? } else { BTreeMap::new() };
    let mut shown = show::upload(&state.files, &row, places.get(&row.uu_id)).await?;
    shown["earlierVersions"] = Value::from(versions);
    Ok(to_host(StatusCode::OK, &shown))
}

/// `GET …/orders/{workOrderNumber}/answers`: each answer of each survey, newest survey first; `format=csv` for a spreadsheet.
pub async fn answers(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let number = number(request)?;
    let format = Format::asked_for(request)?;
    let (surveys, mut next) = select(state, &account, &number, request, limit(request)?, is_survey).await?;
    let (mut read, mut bytes) = (Vec::new(), 0);
    for (at, row) in surveys.iter().enumerate() {
        if let Some(survey) = survey(state, row).await? {
            let pictures: usize = survey.answers.iter().map(|answer| answer.pic_ids.len()).sum();
            bytes += pictures * LINK_BYTES + survey.json.to_string().len();
            read.push((row, survey));
        }
        if bytes > PAGE_BYTES && at + 1 < surveys.len() {
            next.clone_from(&row.received);
            break;
        }
    }
    if read.iter().any(|(_, survey)| survey.answers.iter().any(only_names)) {
        let named = names_of(&of_order(state, &account, &number).await?);
        read.iter_mut().for_each(|(_, survey)| pictures_by_name(survey, &named));
    }
    let mentioned: BTreeSet<String> =
        read.iter().flat_map(|(_, survey)| &survey.answers).flat_map(|answer| answer.pic_ids.clone()).collect();
    let mentioned: Vec<String> = mentioned.into_iter().filter(|id| (1..=200).contains(&id.len())).collect();
    // Wherever they are: a rework's survey names pictures that came for another order.
    let pictures = state.uploads.get_all(&account.username, &mentioned).await?;
    let pictures: BTreeMap<&str, &UploadRow> = pictures.iter().map(|row| (row.uu_id.as_str(), row)).collect();
    let mut rows = Vec::new();
    for (row, survey) in &read {
        for answer in &survey.answers {
            rows.push(show::answer(&state.files, row, survey, answer, &pictures).await?);
        }
    }
    let next = next.as_deref().map(host::cursor);
    match format {
        Format::Json => Ok(to_host(StatusCode::OK, &json!({ "answers": rows, "next": next }))),
        Format::Csv => table(&number, &rows).reply(next.as_deref()),
    }
}

fn table(number: &str, rows: &[Value]) -> Table {
    const COLUMNS: [&str; 9] =
        ["service", "survey", "template", "received", "questionId", "question", "answer", "answerType", "pictures"];
    let mut table = Table::new(["workOrderNumber"].into_iter().chain(COLUMNS).map(str::to_owned));
    for row in rows {
        let cell = |name: &&str| match &row[*name] {
            Value::Array(items) => {
                let text = |item: &Value| item.as_str().or(item["uuId"].as_str()).unwrap_or_default().to_owned();
                items.iter().map(text).collect::<Vec<String>>().join("; ")
            }
            value => value.as_str().unwrap_or_default().to_owned(),
        };
        table.row([number.to_owned()].into_iter().chain(COLUMNS.iter().map(cell)));
    }
    table
}

/// `GET …/orders/{workOrderNumber}/manifest`: all files of an order, each with a link and a name in folders by task and evidence type.
pub async fn manifest(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let number = number(request)?;
    let (rows, next) = select(state, &account, &number, request, limit(request)?, |_| true).await?;
    let places = if rows.iter().any(is_photo) { places(state, &account, &number).await? } else { BTreeMap::new() };
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
                "link": show::link(&state.files, Some(path), name.rsplit('/').next().unwrap_or("file")).await?,
            }));
        }
    }
    Ok(to_host(StatusCode::OK, &json!({ "files": files, "next": next.as_deref().map(host::cursor) })))
}

/// `GET …/unmatched`: items that belong to no order that we know, newest first.
pub async fn unmatched(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let limit = limit(request)?;
    let mut before = host::read_cursor(request)?;
    let mut shown = Vec::new();
    let mut bytes = 0;
    for _ in 0..READS {
        // Few at a time: each may hold much, and what is shown can't be taken back.
        let page = i32::try_from((limit - shown.len()).min(8)).unwrap_or(1);
        let (rows, next) = state.uploads.unmatched(&account.username, before.as_deref(), page).await?;
        let numbers: BTreeSet<String> = rows.iter().map(|row| row.number().to_owned()).collect();
        let numbers = numbers.into_iter().filter(|number| pruvan::work_order::number_fault(number).is_none()).collect();
        let numbers: Vec<String> = numbers;
        let known = state.orders.get_all(&account.username, &numbers).await?;
        let known: BTreeSet<&str> = known.iter().map(|order| order.work_order_number.as_str()).collect();
        for row in &rows {
            if known.contains(row.number()) {
                // The order has come since. Whether this takes or not, the next look sees the same.
                let _ = state.uploads.amend(&UploadRow { unmatched: None, ..row.clone() }).await?;
            } else {
                bytes += held(row);
                shown.push(show::upload(&state.files, row, None).await?);
            }
        }
        before = next;
        if before.is_none() || shown.len() >= limit || bytes > PAGE_BYTES {
            break;
        }
    }
    Ok(to_host(StatusCode::OK, &json!({ "uploads": shown, "next": before.as_deref().map(host::cursor) })))
}

/// `POST …/unmatched/{uuId}/assign` `{"workOrderNumber"}`: the item belongs to that order from now on.
pub async fn assign(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let body = host::json_object(request)?;
    let number = lenient::text_field(&body, "workOrderNumber");
    let number = number.ok_or_else(|| {
        Problem::bad_request("send {\"workOrderNumber\": …}, the number of the order that the item belongs to")
    })?;
    let number = number.as_str();
    if state.orders.get(&account.username, number).await?.is_none() {
        return Err(no_such_order(number));
    }
    for _ in 0..TRIES {
        let row = item(state, &account, request).await?;
        let mut next = row.clone();
        next.assigned = Some(number.to_owned()).filter(|number| *number != row.work_order_number);
        next.order = Some(order_key(&account.username, number));
        next.unmatched = None;
        if next == row || state.uploads.amend(&next).await? == Written::Done {
            let mut response = to_host(StatusCode::OK, &show::upload(&state.files, &next, None).await?);
            response.extensions_mut().insert(Notes(vec![("order", Value::from(number))]));
            return Ok(response);
        }
    }
    Err(bridge::StoreError::Contended("the upload").into())
}

async fn item(state: &OrdersApi, account: &Account, request: &Request) -> Result<UploadRow, Problem> {
    let uu_id = host::path_parameter(request, "uuId")?;
    let row =
        if (1..=1000).contains(&uu_id.len()) { state.uploads.get(&account.username, &uu_id).await? } else { None };
    let row = row.filter(|row| row.version_of.is_none());
    row.ok_or_else(|| Problem::not_found(format!("there is no upload {uu_id:?} in this account")))
}

/// Up to `count` items of an order that `wants` wants, newest first, and where to go on.
async fn select(
    state: &OrdersApi,
    account: &Account,
    number: &str,
    request: &Request,
    count: usize,
    wants: impl Fn(&UploadRow) -> bool,
) -> Result<(Vec<UploadRow>, Option<String>), Problem> {
    let mut before = host::read_cursor(request)?;
    if pruvan::work_order::number_fault(number).is_some() {
        return Err(no_such_order(number));
    }
    let (first, mut seen, mut selected, mut bytes) = (before.is_none(), false, Vec::new(), 0);
    for _ in 0..READS {
        let (rows, next) = state.uploads.of_order(&account.username, number, before.as_deref(), READ).await?;
        seen |= !rows.is_empty();
        for row in rows {
            before.clone_from(&row.received);
            if wants(&row) {
                bytes += held(&row);
                selected.push(row);
                if selected.len() == count || bytes > PAGE_BYTES {
                    return Ok((selected, before));
                }
            }
        }
        if next.is_none() {
            before = None;
            break;
        }
    }
    if first && !seen && state.orders.get(&account.username, number).await?.is_none() {
        return Err(no_such_order(number));
    }
    Ok((selected, before))
}

/// Bytes of JSON that a row puts into a reply.
fn held(row: &UploadRow) -> usize {
    [&row.payload, &row.survey, &row.check_in].into_iter().flatten().map(String::len).sum::<usize>() + LINK_BYTES
}

fn is_photo(row: &UploadRow) -> bool {
    row.file_type.as_deref() == Some("picture")
}

fn is_survey(row: &UploadRow) -> bool {
    row.survey.is_some() || row.survey_path.is_some()
}

async fn survey(state: &OrdersApi, row: &UploadRow) -> Result<Option<Survey>, Problem> {
    let json = match (&row.survey, &row.survey_path) {
        (Some(json), _) => json.clone(),
        (None, Some(path)) => String::from_utf8_lossy(&state.files.get(path).await?).into_owned(),
        (None, None) => return Ok(None),
    };
    Ok(Survey::from_json(&json))
}

/// To which question each picture belongs, by the latest survey of the order that names it: pictures that are moved between questions are
/// not sent again, only the survey is.
async fn places(state: &OrdersApi, account: &Account, number: &str) -> Result<BTreeMap<String, Value>, Problem> {
    let rows = of_order(state, account, number).await?;
    let named = names_of(&rows);
    let mut surveys: Vec<UploadRow> = rows.into_iter().filter(is_survey).collect();
    surveys.sort_by_key(|row| (row.sent_at.unwrap_or(row.received_at), row.received_at));
    let mut places = BTreeMap::new();
    for row in &surveys {
        let Some(mut survey) = survey(state, row).await? else { continue };
        pictures_by_name(&mut survey, &named);
        for Answer { id, question, pic_ids, .. } in survey.answers {
            for picture in pic_ids {
                places.insert(picture, json!({ "survey": row.uu_id, "questionId": id, "question": question }));
            }
        }
    }
    Ok(places)
}

/// All items of an order, newest first; none of what can be no order.
async fn of_order(state: &OrdersApi, account: &Account, number: &str) -> Result<Vec<UploadRow>, Problem> {
    let (mut all, mut before) = (Vec::new(), None);
    if pruvan::work_order::number_fault(number).is_some() {
        return Ok(all);
    }
    loop {
        let (rows, next) = state.uploads.of_order(&account.username, number, before.as_deref(), READ).await?;
        all.extend(rows);
        before = next;
        if before.is_none() {
            return Ok(all);
        }
    }
}

/// Photos by their file names without extension, which come with it or without.
fn names_of(rows: &[UploadRow]) -> BTreeMap<String, Vec<String>> {
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows.iter().filter(|row| is_photo(row)) {
        if let Some(name) = &row.file_name {
            named.entry(stem(name).to_owned()).or_default().push(row.uu_id.clone());
        }
    }
    named
}

fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

fn only_names(answer: &Answer) -> bool {
    answer.pic_ids.is_empty() && !answer.pic_file_names.is_empty()
}

/// An answer that names its pictures by `picFileNames` alone gets their ids. File names are not unique, so ids go first.
fn pictures_by_name(survey: &mut Survey, named: &BTreeMap<String, Vec<String>>) {
    for answer in survey.answers.iter_mut().filter(|answer| only_names(answer)) {
        let ids = answer.pic_file_names.iter().filter_map(|name| named.get(stem(name))).flatten();
        answer.pic_ids = ids.cloned().collect();
    }
}
