//! The items of an order, page by page, and to which survey question a picture belongs.

use std::collections::{BTreeMap, BTreeSet};

use bridge::accounts::Account;
use bridge::host;
use bridge::http::{PAGE_BYTES, Problem};
use bridge::uploads::UploadRow;
use lambda_http::Request;
use pruvan::survey::Answer;
use pruvan::survey::outline::Outline;
use pruvan::work_order::could_be_number;
use serde_json::{Value, json};

use crate::api::{OrdersApi, PageEnd, no_such_order};

/// Rows read at a time while looking for those that are asked for.
const READ: i32 = 200;

/// Times that are read for one page that has something already.
const READS: usize = 25;

/// A link with all that is signed into it.
pub const LINK_BYTES: usize = 2_000;

/// The names and short values of an item.
const ROW_BYTES: usize = 1_000;

/// The item that the path names, if it is one of this account.
pub async fn item(state: &OrdersApi, account: &Account, request: &Request) -> Result<UploadRow, Problem> {
    let uu_id = host::path_parameter(request, "uuId")?;
    let row =
        if (1..=1000).contains(&uu_id.len()) { state.uploads.get(&account.username, &uu_id).await? } else { None };
    let row = row.filter(|row| row.version_of.is_none());
    row.ok_or_else(|| Problem::not_found(format!("there is no upload {uu_id:?} in this account")))
}

/// Up to `count` items of an order that `wants` wants, newest first, those that came before `before`; and how the page
/// ends. One that has something ends in time; one that has nothing yet goes on until the time is up.
pub async fn select(
    state: &OrdersApi,
    account: &Account,
    number: &str,
    mut before: Option<String>,
    count: usize,
    wants: impl Fn(&UploadRow) -> bool,
) -> Result<(Vec<UploadRow>, PageEnd<String>), Problem> {
    if !could_be_number(number) {
        return Err(no_such_order(number));
    }
    let time_is_up = state.looking();
    let (first, mut seen, mut selected, mut bytes) = (before.is_none(), false, Vec::new(), 0);
    for reads in 1.. {
        let (rows, next) = state.uploads.of_order(&account.username, number, before.as_deref(), READ).await?;
        seen |= !rows.is_empty();
        for row in rows.into_iter().filter(&wants) {
            bytes += held(&row);
            let after = row.received.clone();
            selected.push(row);
            if selected.len() == count || bytes > PAGE_BYTES {
                return Ok((selected, PageEnd::at(after)));
            }
        }
        match next {
            None => break,
            Some(next) if reads >= READS && !selected.is_empty() => return Ok((selected, PageEnd::at(Some(next)))),
            Some(next) if time_is_up() => return Ok((selected, PageEnd::out_of_time(next))),
            next => before = next,
        }
    }
    if first && !seen && state.orders.get(&account.username, number).await?.is_none() {
        return Err(no_such_order(number));
    }
    Ok((selected, PageEnd::at(None)))
}

/// Bytes of JSON that a row puts into a reply.
pub fn held(row: &UploadRow) -> usize {
    let video = row.video.as_ref().and_then(|video| video.path.as_ref());
    let links = [row.path.as_ref(), row.survey_path.as_ref(), row.payload_path.as_ref(), video].into_iter().flatten();
    let json = [&row.payload, &row.survey, &row.check_in].into_iter().flatten().map(String::len).sum::<usize>();
    json + links.count() * LINK_BYTES + ROW_BYTES
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
pub async fn survey(state: &OrdersApi, row: &UploadRow) -> Result<Option<Outline>, Problem> {
    let json = match (&row.survey, &row.survey_path) {
        (Some(json), _) => json.clone(),
        (None, Some(path)) => String::from_utf8_lossy(&state.files.get(path).await?).into_owned(),
        (None, None) => return Ok(None),
    };
    Ok(Outline::of(json))
}

/// To which question each of these photos of an order belongs, by the latest survey that names it: pictures that are
/// moved between questions are not sent again, only the survey is. One survey at a time is in memory.
pub async fn places(
    state: &OrdersApi,
    account: &Account,
    number: &str,
    rows: &[UploadRow],
) -> Result<BTreeMap<String, Value>, Problem> {
    let photos: Vec<&UploadRow> = rows.iter().filter(|row| is_photo(row)).collect();
    let ids: BTreeSet<&str> = photos.iter().map(|row| row.uu_id.as_str()).collect();
    let mut named = Names::new();
    for row in &photos {
        if let Some(name) = &row.file_name {
            named.entry(stem(name).to_owned()).or_default().push(row.uu_id.clone());
        }
    }
    let (mut found, mut before) = (BTreeMap::new(), None);
    while !ids.is_empty() && could_be_number(number) {
        let (rows, next) = state.uploads.surveys_of_order(&account.username, number, before.as_deref()).await?;
        for row in rows {
            let Some(outline) = survey(state, &row).await? else { continue };
            let age = (row.sent(state.clock.now_ms()).unwrap_or(row.received_at), row.received_at);
            for (_, _, mut answer) in outline.answers_from(0) {
                pictures_by_name(&mut answer, &named);
                for id in answer.pic_ids.iter().filter(|id| ids.contains(id.as_str())) {
                    if found.get(id).is_none_or(|(known, _)| *known <= age) {
                        let place =
                            json!({ "survey": row.uu_id, "questionId": answer.id, "question": answer.question });
                        found.insert(id.clone(), (age, place));
                    }
                }
            }
        }
        before = next;
        if before.is_none() {
            break;
        }
    }
    Ok(found.into_iter().map(|(id, (_, place))| (id, place)).collect())
}

/// Photos' ids by their file names without extension, which come with it or without.
pub type Names = BTreeMap<String, Vec<String>>;

/// The photos of an order that go by the names in these answers, which have no other sign of theirs.
pub async fn named_photos(
    state: &OrdersApi,
    account: &Account,
    number: &str,
    answers: &[&Answer],
) -> Result<Names, Problem> {
    let names = answers.iter().filter(|answer| only_names(answer)).flat_map(|answer| &answer.pic_file_names);
    let mut named: Names = names.map(|name| (stem(name).to_owned(), Vec::new())).collect();
    let mut before = None;
    while !named.is_empty() {
        let (photos, next) = state.uploads.photos_of_order(&account.username, number, before.as_deref()).await?;
        for photo in photos {
            if let Some(ids) = named.get_mut(stem(&photo.file_name)) {
                ids.push(photo.uu_id);
            }
        }
        before = next;
        if before.is_none() {
            break;
        }
    }
    Ok(named)
}

fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Whether an answer names its pictures by `picFileNames` alone.
fn only_names(answer: &Answer) -> bool {
    answer.pic_ids.is_empty() && !answer.pic_file_names.is_empty()
}

/// An answer that names its pictures by `picFileNames` alone gets their ids. File names are not unique, so ids go
/// first.
pub fn pictures_by_name(answer: &mut Answer, named: &Names) {
    if only_names(answer) {
        // Devices name many alike.
        let mut seen = BTreeSet::new();
        let stems = answer.pic_file_names.iter().map(|name| stem(name)).filter(|name| seen.insert(*name));
        let ids = stems.filter_map(|name| named.get(name)).flatten();
        answer.pic_ids = ids.cloned().collect();
    }
}
