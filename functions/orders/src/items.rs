//! The items of an order, page by page, and to which survey question a picture belongs.

use std::collections::BTreeMap;

use bridge::accounts::Account;
use bridge::host;
use bridge::http::{PAGE_BYTES, Problem};
use bridge::uploads::UploadRow;
use lambda_http::Request;
use pruvan::survey::{Answer, Survey};
use serde_json::{Value, json};

use crate::api::{OrdersApi, no_such_order};

/// Rows read at a time while looking for those that are asked for.
const READ: i32 = 200;

/// A request reads so often at most; its reply then says where to go on.
pub const READS: usize = 25;

/// A link with all that is signed into it.
pub const LINK_BYTES: usize = 2_000;

/// The item that the path names, if it is one of this account.
pub async fn item(state: &OrdersApi, account: &Account, request: &Request) -> Result<UploadRow, Problem> {
    let uu_id = host::path_parameter(request, "uuId")?;
    let row =
        if (1..=1000).contains(&uu_id.len()) { state.uploads.get(&account.username, &uu_id).await? } else { None };
    let row = row.filter(|row| row.version_of.is_none());
    row.ok_or_else(|| Problem::not_found(format!("there is no upload {uu_id:?} in this account")))
}

/// Up to `count` items of an order that `wants` wants, newest first, and where to go on.
pub async fn select(
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
pub fn held(row: &UploadRow) -> usize {
    [&row.payload, &row.survey, &row.check_in].into_iter().flatten().map(String::len).sum::<usize>() + LINK_BYTES
}

/// Whether it is a picture that a crew took.
pub fn is_photo(row: &UploadRow) -> bool {
    row.file_type.as_deref() == Some("picture")
}

/// Whether it holds survey answers.
pub fn is_survey(row: &UploadRow) -> bool {
    row.survey.is_some() || row.survey_path.is_some()
}

/// The answers of a survey, from the row or from S3.
pub async fn survey(state: &OrdersApi, row: &UploadRow) -> Result<Option<Survey>, Problem> {
    let json = match (&row.survey, &row.survey_path) {
        (Some(json), _) => json.clone(),
        (None, Some(path)) => String::from_utf8_lossy(&state.files.get(path).await?).into_owned(),
        (None, None) => return Ok(None),
    };
    Ok(Survey::from_json(&json))
}

/// To which question each picture belongs, by the latest survey of the order that names it: pictures that are moved
/// between questions are not sent again, only the survey is.
pub async fn places(state: &OrdersApi, account: &Account, number: &str) -> Result<BTreeMap<String, Value>, Problem> {
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
pub async fn of_order(state: &OrdersApi, account: &Account, number: &str) -> Result<Vec<UploadRow>, Problem> {
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
pub fn names_of(rows: &[UploadRow]) -> BTreeMap<String, Vec<String>> {
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

/// Whether an answer names its pictures by `picFileNames` alone.
pub fn only_names(answer: &Answer) -> bool {
    answer.pic_ids.is_empty() && !answer.pic_file_names.is_empty()
}

/// An answer that names its pictures by `picFileNames` alone gets their ids. File names are not unique, so ids go
/// first.
pub fn pictures_by_name(survey: &mut Survey, named: &BTreeMap<String, Vec<String>>) {
    for answer in survey.answers.iter_mut().filter(|answer| only_names(answer)) {
        let ids = answer.pic_file_names.iter().filter_map(|name| named.get(stem(name))).flatten();
        answer.pic_ids = ids.cloned().collect();
    }
}
