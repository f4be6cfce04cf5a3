//! The list of an account's orders, filtered, in pages; as CSV it is what `POST` takes.

use bridge::host;
use bridge::http::{PAGE_BYTES, Problem, to_host};
use bridge::import::number_check;
use bridge::orders::Order;
use bridge::orders::pages::Place;
use bridge::time::display;
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use pruvan::dates::WrittenDate;
use pruvan::lenient;
use pruvan::status::{FieldStatus, OfficeStatus};
use pruvan::work_order::{Field, SERVICE_FIELDS, WORK_ORDER_FIELDS};
use serde_json::{Map, Value, json};

use crate::api::{OrdersApi, PageEnd, limit};
use crate::show;
use crate::table::{Format, Table};

/// Orders read for one page that has something already. One that has nothing yet goes on, until the time is up.
const LOOK_AT: usize = 2000;

/// Read at a time while looking.
const READ: usize = 250;

/// `GET`: the orders that fit, deleted ones too.
pub async fn list(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let filter = Filter::read(request)?;
    let format = Format::asked_for(request)?;
    let limit = limit(request)?;
    let mut place = match host::read_cursor(request)? {
        None => Place::default(),
        Some(cursor) => {
            Place::parse(&cursor).filter(|place| place.fits(filter.changed_since)).ok_or_else(host::bad_cursor)?
        }
    };
    let time_is_up = state.looking();
    let (mut found, mut looked_at, mut bytes) = (Vec::new(), 0, 0);
    let end = 'pages: loop {
        let read = if filter.looks() { READ } else { limit - found.len() };
        let (orders, next) = state.orders.page(&account.username, filter.changed_since, place, read).await?;
        looked_at += orders.len();
        let last = orders.len();
        for (index, (order, after)) in orders.into_iter().enumerate() {
            let given = order.as_given()?;
            if !filter.takes(&order, &given) {
                continue;
            }
            bytes += order.bytes();
            found.push((order, given));
            if (found.len() == limit || bytes >= PAGE_BYTES) && index + 1 < last {
                break 'pages PageEnd::at(Some(after));
            }
        }
        let enough = found.len() >= limit || bytes >= PAGE_BYTES || (looked_at >= LOOK_AT && !found.is_empty());
        match next {
            Some(next) if !enough && time_is_up() => break PageEnd::out_of_time(next),
            Some(next) if !enough => place = next,
            next => break PageEnd::at(next),
        }
    };
    let end = PageEnd { next: end.next.map(|place| place.to_text()), time_up: end.time_up };
    match format {
        Format::Json => {
            let orders: Vec<Value> = found.iter().map(|(order, given)| show::summary(order, given)).collect();
            Ok(to_host(StatusCode::OK, &end.put_into(json!({ "orders": orders }), request)))
        }
        Format::Csv => table(&found).reply(end, request),
    }
}

/// Which orders are wanted.
#[derive(Debug, Default)]
struct Filter {
    status: Option<String>,
    field_status: Option<String>,
    changed_since: Option<i64>,
    due_from: Option<String>,
    due_to: Option<String>,
    text: Option<String>,
}

impl Filter {
    fn read(request: &Request) -> Result<Filter, Problem> {
        let given =
            |name| host::query(request, name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let date = |name: &str, text: &str| {
            WrittenDate::parse(&Value::from(text)).map_err(|_| {
                Problem::bad_request(format!(
                    "{name} must be a date, such as 2026-05-25, 2026-05-25T08:00:00Z or a UNIX time"
                ))
            })
        };
        let day = |name| given(name).map(|text| date(name, &text).map(|date| date.day().to_string())).transpose();
        let since = given("changedSince").map(|text| {
            let instant = date("changedSince", &text)?.instant();
            instant.map(|instant| instant.as_millisecond()).map_err(|error| Problem::bad_request(error.to_string()))
        });
        Ok(Filter {
            status: given("status").map(|text| office(&text)),
            field_status: given("fieldStatus").map(|text| field(&text)),
            changed_since: since.transpose()?,
            due_from: day("dueFrom")?,
            due_to: day("dueTo")?,
            text: given("text").map(|text| text.to_ascii_lowercase()),
        })
    }

    /// Whether orders may be read that aren't wanted.
    fn looks(&self) -> bool {
        let Filter { status, field_status, due_from, due_to, text, changed_since: _ } = self;
        [status, field_status, due_from, due_to, text].into_iter().any(Option::is_some)
    }

    fn takes(&self, order: &Order, given: &Map<String, Value>) -> bool {
        let reported = order.reported();
        let text_of = |name: &str| lenient::text_field(given, name);
        let has = |wanted: &Option<String>, has: Option<String>| wanted.is_none() || *wanted == has;
        // What Pruvan last said; before it says anything, what the host wants.
        let due = reported.due_date.or_else(|| text_of("dueDate").and_then(|date| date.get(..10).map(str::to_owned)));
        let within = |from: &Option<String>, to: &Option<String>| {
            due.as_ref().is_some_and(|due| {
                from.as_ref().is_none_or(|from| due >= from) && to.as_ref().is_none_or(|to| due <= to)
            })
        };
        has(&self.status, reported.status.or_else(|| text_of("status")).map(|text| office(&text)))
            && has(&self.field_status, reported.field_status.map(|text| field(&text)))
            && (self.due_from.is_none() && self.due_to.is_none() || within(&self.due_from, &self.due_to))
            && self.text.as_ref().is_none_or(|text| {
                let places = ["workOrderNumber", "address1", "address2", "city", "state", "zip"];
                places.into_iter().filter_map(text_of).any(|value| value.to_ascii_lowercase().contains(text))
            })
    }
}

/// In the specification's spelling, if it is one of its own.
fn office(text: &str) -> String {
    OfficeStatus::parse(text).map_or_else(|| text.to_ascii_lowercase(), |status| status.as_str().to_owned())
}

fn field(text: &str) -> String {
    FieldStatus::parse(text).map_or_else(|| text.to_ascii_lowercase(), |status| status.as_str().to_owned())
}

/// A row a service, under the names that `POST` reads; the columns after those are ours, which it passes over.
fn table(orders: &[(Order, Map<String, Value>)]) -> Table {
    let own = WORK_ORDER_FIELDS.iter().map(|field| field.name.to_owned());
    let service = SERVICE_FIELDS.iter().map(|field| match field.name {
        name @ "serviceName" => name.to_owned(),
        name => format!("service.{name}"),
    });
    let ours = [
        "numberCheck",
        "changed",
        "ended",
        "deleted",
        "reported.at",
        "reported.status",
        "reported.fieldStatus",
        "reported.dueDate",
    ];
    let mut table = Table::new(own.chain(service).chain(ours.map(str::to_owned)));
    for (order, given) in orders {
        let reported = order.reported();
        let seen = !order.reports.is_empty();
        let services = given.get("services").and_then(Value::as_array).cloned().unwrap_or_default();
        for (index, service) in services.iter().enumerate() {
            // The order's own fields once, and its number with each service.
            let first = |field: &&Field| index == 0 || field.name == "workOrderNumber";
            let own =
                WORK_ORDER_FIELDS.iter().map(|field| Some(field).filter(first).and_then(|field| given.get(field.name)));
            let of_service = SERVICE_FIELDS.iter().map(|field| service.get(field.name));
            let cell = |value: Option<&Value>| value.and_then(lenient::text).unwrap_or_default();
            let ours = [
                Some(number_check(&order.work_order_number)),
                Some(display(order.changed_at)),
                order.ended_at.map(display),
                order.deleted_at.map(display),
                seen.then(|| display(reported.at)),
                reported.status.clone(),
                reported.field_status.clone(),
                reported.due_date.clone(),
            ];
            table.row(own.chain(of_service).map(cell).chain(ours.into_iter().map(Option::unwrap_or_default)));
        }
    }
    table
}
