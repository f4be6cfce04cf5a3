//! Survey answers as rows, with their pictures.

use std::collections::{BTreeMap, BTreeSet};

use bridge::StoreError;
use bridge::files::Files;
use bridge::host;
use bridge::http::{PAGE_BYTES, Problem, to_host};
use bridge::time::display;
use bridge::uploads::UploadRow;
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use pruvan::survey::{Answer, Survey, SurveyTemplate};
use serde_json::{Value, json};

use crate::api::{OrdersApi, limit, number};
use crate::items::{LINK_BYTES, is_survey, names_of, of_order, only_names, pictures_by_name, select, survey};
use crate::table::{Format, Table};
use crate::uploads::link;

/// `GET …/orders/{workOrderNumber}/answers`: each answer of each survey, newest survey first; `format=csv` for a
/// spreadsheet.
pub async fn list(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
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
            rows.push(show(&state.files, row, survey, answer, &pictures).await?);
        }
    }
    let next = next.as_deref().map(host::cursor);
    match format {
        Format::Json => Ok(to_host(StatusCode::OK, &json!({ "answers": rows, "next": next }))),
        Format::Csv => table(&number, &rows).reply(next.as_deref()),
    }
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
async fn show(
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
            "fileName": picture.and_then(|row| row.file_name.as_deref()),
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
