//! Many orders in one request: JSON, NDJSON or CSV, each judged on its own.

use std::collections::BTreeSet;
use std::time::Duration;

use bridge::change::{BulkResult, Given};
use bridge::host;
use bridge::http::{Problem, to_host};
use bridge::import::{self, Choices, DateOrder, Format, ReadError, Row};
use bridge::orders::Effect;
use bridge::telemetry::Notes;
use bridge::time::ms;
use lambda_http::http::StatusCode;
use lambda_http::http::header::CONTENT_TYPE;
use lambda_http::{Body, Request, Response};
use pruvan::work_order::{Remark, number_fault};
use serde_json::{Map, Value, json};

use crate::api::OrdersApi;
use crate::write;

/// A list that takes longer is answered with what was done, well within the gateway's 29 seconds.
const STOP_AFTER: Duration = Duration::from_secs(20);

/// At most so many orders: their results must fit Lambda's 6 MB, too.
const MOST: usize = 5_000;

/// Of those 6 MB, what may go into warnings and faults: each result has its counts all the same.
const DETAILS: usize = 2_500_000;

/// `POST`: whole orders. The request can be repeated: what is there already is unchanged, unless it is forced.
pub async fn post(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let began = state.clock.now_ms();
    let stop_at = began + ms(STOP_AFTER);
    let out_of_time = || state.clock.now_ms() >= stop_at;
    let mut numbers = BTreeSet::new();
    let (mut given, mut read) = (Vec::new(), Vec::new());
    for row in rows(request)? {
        let (line, service_put_in) = (row.line, row.service_put_in);
        let number = row.number.clone();
        let judged = check(state, &account.settings, &number, row, &mut numbers).map(|(order, warnings)| {
            given.push(order);
            warnings
        });
        // What is no number may be anything.
        read.push((line, number.chars().take(100).collect::<String>(), service_put_in, judged));
    }
    let mut written = state.changes.change_all(&account, &given, &state.clock, &out_of_time).await.into_iter();
    let (mut results, mut counts) = (Vec::with_capacity(read.len()), Counts::default());
    let mut details = 0;
    for (line, number, service_put_in, judged) in read {
        let (name, mut result) = match judged {
            Err(problem) => refused(&number, &problem),
            Ok(mut warnings) => match written.next() {
                Some(BulkResult::Done(changed)) => {
                    if service_put_in && changed.effect == Effect::Created {
                        let detail = "names no service: one was put in, since an order can't be without any".to_owned();
                        warnings.push(Remark::new("/services", detail));
                    }
                    let result = write::result(&changed, warnings);
                    (result["result"].as_str().unwrap_or_default().to_owned(), result)
                }
                Some(BulkResult::Refused(faults)) => refused(&number, &Problem::fields(faults)),
                Some(BulkResult::Failed(error)) => {
                    tracing::error!(account = %account.username, order = %number, %error, "store.failed");
                    not_attempted(&number, "the database was not available, and the order may have been written or not")
                }
                Some(BulkResult::NoTime) | None => not_attempted(&number, "there was no time left"),
            },
        };
        if let Some(line) = line {
            result["line"] = Value::from(line);
        }
        details += result.to_string().len();
        if details > DETAILS {
            for (list, left_out) in [("warnings", "warningsLeftOut"), ("errors", "errorsLeftOut")] {
                let of = result.get_mut(list).and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
                if !of.is_empty() {
                    result[left_out] = Value::from(of.len());
                }
            }
        }
        *counts.of(&name) += 1;
        results.push(result);
    }
    let notes = Notes(counts.named().map(|(name, count)| (name, Value::from(count))).to_vec());
    let mut response = to_host(StatusCode::OK, &counts.with(results));
    response.extensions_mut().insert(notes);
    Ok(response)
}

/// The rows of the body, in the format that its type names, or else its first sign.
fn rows(request: &Request) -> Result<Vec<Row>, Problem> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let problem = |fault: ReadError| {
        let what = if fault.goes_on() { "the body " } else { "" };
        Problem::bad_request(format!("{what}{fault}"))
    };
    let text = import::text_of(request.body().as_ref()).map_err(problem)?;
    if text.trim().is_empty() {
        return Err(Problem::bad_request("the request has no body: send work orders as JSON, NDJSON or CSV"));
    }
    let mut choices = Choices { most: MOST, ..Choices::default() };
    if let Some(ignore) = host::query(request, "ignore") {
        choices.ignore = ignore.split(',').map(str::to_owned).collect();
    }
    if let Some(service) = host::query(request, "service").filter(|service| !service.trim().is_empty()) {
        choices.service = service;
    }
    if let Some(dates) = host::query(request, "dates") {
        let order = DateOrder::parse(&dates);
        choices.dates =
            Some(order.ok_or_else(|| Problem::bad_request("dates must be mdy or dmy: which part comes first"))?);
    }
    import::read(Format::of(content_type, &text), &text, &choices).map_err(problem)
}

fn check(
    state: &OrdersApi,
    settings: &bridge::accounts::AccountSettings,
    number: &str,
    row: Row,
    numbers: &mut BTreeSet<String>,
) -> Result<(Given, Vec<Remark>), Problem> {
    let mut body = row.order.map_err(|fault| Problem::fields(vec![Remark::new("", fault)]))?;
    if let Some(fault) = number_fault(number) {
        return Err(write::number_problem(fault));
    }
    if !numbers.insert(number.to_owned()) {
        return Err(write::number_problem("is in the list twice: send each order once"));
    }
    let mut instructions = write::take_instructions(&mut body)?;
    instructions.keep_services |= row.service_put_in;
    let (order, mut warnings) = write::checked(state, settings, number, body)?;
    warnings.splice(0..0, row.warnings);
    Ok((Given { order, instructions }, warnings))
}

fn refused(number: &str, problem: &Problem) -> (String, Value) {
    let result = json!({
        "workOrderNumber": number, "result": "refused", "detail": problem.detail(), "errors": problem.errors(),
    });
    ("refused".to_owned(), result)
}

fn not_attempted(number: &str, why: &str) -> (String, Value) {
    let result =
        json!({ "workOrderNumber": number, "result": "notAttempted", "detail": format!("{why}: send it again") });
    ("notAttempted".to_owned(), result)
}

/// How many orders came to what.
#[derive(Debug, Default)]
struct Counts {
    created: usize,
    changed: usize,
    unchanged: usize,
    refused: usize,
    not_attempted: usize,
}

impl Counts {
    fn of(&mut self, result: &str) -> &mut usize {
        match result {
            "created" => &mut self.created,
            "changed" => &mut self.changed,
            "unchanged" => &mut self.unchanged,
            "refused" => &mut self.refused,
            _ => &mut self.not_attempted,
        }
    }

    fn named(&self) -> [(&'static str, usize); 5] {
        [
            ("created", self.created),
            ("changed", self.changed),
            ("unchanged", self.unchanged),
            ("refused", self.refused),
            ("notAttempted", self.not_attempted),
        ]
    }

    fn with(&self, results: Vec<Value>) -> Value {
        let mut reply: Map<String, Value> =
            self.named().into_iter().map(|(name, count)| (name.to_owned(), Value::from(count))).collect();
        reply.insert("results".to_owned(), Value::from(results));
        Value::Object(reply)
    }
}
