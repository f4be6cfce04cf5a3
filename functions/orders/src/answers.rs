//! Survey answers as rows, with their pictures.

use std::collections::{BTreeMap, BTreeSet};

use bridge::StoreError;
use bridge::accounts::Account;
use bridge::files::Files;
use bridge::host::{self, PageSize};
use bridge::http::{PAGE_BYTES, Problem, to_host};
use bridge::time::display;
use bridge::uploads::{StoredFile, UploadRow};
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use pruvan::survey::{Answer, SurveyTemplate};
use serde_json::{Value, json};

use crate::api::{OrdersApi, PageEnd, number};
use crate::items::{LINK_BYTES, is_survey, named_photos, pictures_by_name, select, survey};
use crate::table::{Format, Table};
use crate::uploads::link;

/// Answers a page: as a rule all of an order, whose surveys have some tens each.
const PAGE: PageSize = PageSize { default: 1000, most: 5000 };

/// Surveys that are looked up at a time. One at a time is in memory.
const SURVEYS: usize = 25;

/// Pictures shown of one answer.
const MOST_PICTURES: usize = 500;

/// Where the answers go on: in the survey that came then, or before it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// The survey's place among the items of its order.
    received: String,
    /// The first answer of the next page. None: the survey is done.
    index: Option<usize>,
}

impl Place {
    fn to_text(&self) -> String {
        format!("{}|{}", self.index.map(|index| index.to_string()).unwrap_or_default(), self.received)
    }

    fn parse(text: &str) -> Option<Place> {
        let (index, received) = text.split_once('|')?;
        let index = if index.is_empty() { None } else { Some(index.parse().ok()?) };
        (!received.is_empty()).then(|| Place { received: received.to_owned(), index })
    }

    /// What is looked up comes before this.
    fn before(&self) -> String {
        match self.index {
            // Nothing is between a text and the same with the lowest character behind it.
            Some(_) => format!("{}\0", self.received),
            None => self.received.clone(),
        }
    }

    /// The first answer to be shown of this survey.
    fn first_of(&self, row: &UploadRow) -> usize {
        self.index.filter(|_| row.received.as_ref() == Some(&self.received)).unwrap_or(0)
    }
}

/// An answer of a page.
struct Found {
    row: std::sync::Arc<UploadRow>,
    template: Option<String>,
    index: usize,
    /// How long its JSON is, which bounds the page.
    bytes: usize,
    answer: Answer,
    pictures_left_out: usize,
}

impl Found {
    /// What it puts into a reply, about.
    fn shown_bytes(&self) -> usize {
        self.bytes + (self.answer.pic_ids.len() + self.answer.pic_file_names.len()).min(MOST_PICTURES) * LINK_BYTES
    }

    fn place(&self) -> Place {
        Place { received: self.row.received.clone().unwrap_or_default(), index: Some(self.index) }
    }
}

/// `GET …/orders/{workOrderNumber}/answers`: each answer of each survey, newest survey first; `format=csv` for a
/// spreadsheet.
pub async fn list(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let number = number(request)?;
    let format = Format::asked_for(request)?;
    let limit = PAGE.asked_for(request)?;
    let from = host::read_cursor(request)?;
    let from = from.map(|cursor| Place::parse(&cursor).ok_or_else(host::bad_cursor)).transpose()?;
    let (mut found, end) = find(state, &account, &number, from, limit).await?;
    let named =
        named_photos(state, &account, &number, &found.iter().map(|found| &found.answer).collect::<Vec<_>>()).await?;
    for Found { answer, pictures_left_out, .. } in &mut found {
        pictures_by_name(answer, &named);
        *pictures_left_out = answer.pic_ids.len().saturating_sub(MOST_PICTURES);
        answer.pic_ids.truncate(MOST_PICTURES);
    }
    // Several photos may go by one name.
    let end = match beyond(&found) {
        Some(cut) => {
            let end = PageEnd::at(Some(found[cut].place()));
            found.truncate(cut);
            end
        }
        None => end,
    };
    let mentioned: BTreeSet<&String> = found.iter().flat_map(|found| &found.answer.pic_ids).collect();
    let mentioned: Vec<String> = mentioned.into_iter().filter(|id| (1..=200).contains(&id.len())).cloned().collect();
    // Wherever they are: a rework's survey names pictures that came for another order.
    let pictures = state.uploads.stored_files(&account.username, &mentioned).await?;
    let pictures: BTreeMap<&str, &StoredFile> = pictures.iter().map(|file| (file.uu_id.as_str(), file)).collect();
    let mut rows = Vec::with_capacity(found.len());
    for found in &found {
        rows.push(show(&state.files, found, &pictures).await?);
    }
    let end = PageEnd { next: end.next.map(|place| place.to_text()), time_up: end.time_up };
    match format {
        Format::Json => Ok(to_host(StatusCode::OK, &end.put_into(json!({ "answers": rows }), request))),
        Format::Csv => table(&number, &rows).reply(end, request),
    }
}

/// The answers of a page, from that place on.
async fn find(
    state: &OrdersApi,
    account: &Account,
    number: &str,
    from: Option<Place>,
    limit: usize,
) -> Result<(Vec<Found>, PageEnd<Place>), Problem> {
    let time_is_up = state.looking();
    let mut before = from.as_ref().map(Place::before);
    let (mut found, mut bytes): (Vec<Found>, usize) = (Vec::new(), 0);
    loop {
        let (surveys, end) = select(state, account, number, before, SURVEYS, is_survey).await?;
        for row in surveys {
            let Some(outline) = survey(state, &row).await? else { continue };
            let row = std::sync::Arc::new(row);
            let template = outline.template.as_ref().map(SurveyTemplate::to_string);
            let first = from.as_ref().map_or(0, |from| from.first_of(&row));
            for (index, size, answer) in outline.answers_from(first) {
                let (row, template) = (row.clone(), template.clone());
                let next = Found { row, template, index, bytes: size, answer, pictures_left_out: 0 };
                if found.len() == limit || bytes > PAGE_BYTES {
                    return Ok((found, PageEnd::at(Some(next.place()))));
                }
                bytes += next.shown_bytes();
                found.push(next);
            }
            if time_is_up() {
                let done = Place { received: row.received.clone().unwrap_or_default(), index: None };
                return Ok((found, PageEnd::out_of_time(done)));
            }
        }
        let place = |received| Place { received, index: None };
        match end.next {
            Some(next) if end.time_up => return Ok((found, PageEnd::out_of_time(place(next)))),
            Some(next) if found.len() == limit || bytes > PAGE_BYTES => {
                return Ok((found, PageEnd::at(Some(place(next)))));
            }
            None => return Ok((found, PageEnd::at(None))),
            next => before = next,
        }
    }
}

/// The first of them that no longer fits into a page.
fn beyond(found: &[Found]) -> Option<usize> {
    let mut bytes = 0;
    found.iter().position(|found| {
        let full = bytes > PAGE_BYTES;
        bytes += found.shown_bytes();
        full
    })
}

fn table(number: &str, rows: &[Value]) -> Table {
    const COLUMNS: [&str; 11] = [
        "service",
        "survey",
        "template",
        "received",
        "questionId",
        "question",
        "answer",
        "answerText",
        "answerType",
        "pictures",
        "pictureNames",
    ];
    let mut table = Table::new(["workOrderNumber"].into_iter().chain(COLUMNS).map(str::to_owned));
    for row in rows {
        let list = |name: &str, text: &dyn Fn(&Value) -> String| {
            row[name].as_array().into_iter().flatten().map(text).collect::<Vec<String>>().join("; ")
        };
        let plain = |item: &Value| item.as_str().unwrap_or_default().to_owned();
        // What the crew read, beside the code that stands for it.
        let display = |code: &Value| {
            let mut options = row["answerOptions"].as_array().into_iter().flatten();
            let option = options.find(|option| option["answer"] == *code);
            option.and_then(|option| option["display"].as_str()).map_or_else(|| plain(code), str::to_owned)
        };
        let cell = |name: &&str| match *name {
            "answer" => list("answer", &plain),
            "answerText" => list("answer", &display),
            "pictures" => list("pictures", &|picture| plain(&picture["uuId"])),
            "pictureNames" => list("pictures", &|picture| {
                // By its id where it has no name, so that each stands at its place.
                picture["fileName"].as_str().map_or_else(|| plain(&picture["uuId"]), str::to_owned)
            }),
            name => plain(&row[name]),
        };
        table.row([number.to_owned()].into_iter().chain(COLUMNS.iter().map(cell)));
    }
    table
}

/// One answer of a survey; `pictures` are those that came, by their `uuId`.
async fn show(files: &Files, found: &Found, pictures: &BTreeMap<&str, &StoredFile>) -> Result<Value, StoreError> {
    let Found { row, answer, .. } = found;
    let mut shown = Vec::with_capacity(answer.pic_ids.len());
    for id in &answer.pic_ids {
        let picture = pictures.get(id.as_str());
        let name = picture.and_then(|file| file.file_name.as_deref()).unwrap_or(id);
        shown.push(json!({
            "uuId": id,
            "workOrderNumber": picture.map(|file| file.number()),
            "fileName": picture.and_then(|file| file.file_name.as_deref()),
            "link": link(files, picture.and_then(|file| file.path.as_deref()), name).await?,
        }));
    }
    let options = answer.answer_options.iter();
    Ok(json!({
        "service": row.service,
        "survey": row.uu_id,
        "template": found.template,
        "received": display(row.received_at),
        "questionId": answer.id,
        "question": answer.question,
        "answer": answer.answer,
        "answerType": answer.answer_type,
        "answerOptions": options.map(|option| json!({ "answer": option.answer, "display": option.display })).collect::<Vec<Value>>(),
        "pictures": shown,
        "picturesLeftOut": found.pictures_left_out,
        "pictureFileNames": answer.pic_file_names,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written_and_nothing_else_is_one() {
        for index in [Some(0), Some(39_999), None] {
            let place = Place { received: "000001795435200#a|b".to_owned(), index };
            assert_eq!(Place::parse(&place.to_text()), Some(place));
        }
        for text in ["", "|", "7", "x|a", "-1|a", "3|"] {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }
}
