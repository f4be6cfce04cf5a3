//! Work orders as hosts have them in files: a JSON array, a JSON object a line, or CSV with the specification's names
//! or those of Pruvan's own import.

use std::collections::BTreeMap;

use pruvan::lenient::{is_too_deep, not_json, text_field};
use pruvan::work_order::{MAX_SERVICES, SERVICE_FIELDS, WORK_ORDER_FIELDS, nearest};
use serde_json::{Map, Value};

/// How the orders are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An array of objects.
    Json,
    /// An object a line.
    Ndjson,
    /// A row a service; see [`csv`].
    Csv,
}

impl Format {
    /// By a `Content-Type` or the ending of a file's name; JSON where it says nothing.
    pub fn named(name: &str) -> Format {
        let name = name.to_ascii_lowercase();
        match () {
            () if name.contains("csv") || name.contains("ms-excel") => Format::Csv,
            () if name.contains("ndjson") || name.contains("jsonl") || name.contains("json-lines") => Format::Ndjson,
            () => Format::Json,
        }
    }
}

/// An order as it stood there.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Where it began, from 1; `None` in an array.
    pub line: Option<u64>,
    /// `workOrderNumber`, if that much can be read.
    pub number: String,
    /// Its fields; or why they can't be read.
    pub order: Result<Map<String, Value>, String>,
    /// It named no service, and has the one that was to be put in then.
    pub service_put_in: bool,
}

/// What is to be done where the file says nothing.
#[derive(Debug, Clone)]
pub struct Choices {
    /// Columns of a CSV file that are no fields and don't matter.
    pub ignore: Vec<String>,
    /// The service of an order whose CSV rows name none: Pruvan's own files have no column for it.
    pub service: String,
    /// At most so many orders: what has more is not read to its end.
    pub most: usize,
}

impl Default for Choices {
    fn default() -> Choices {
        Choices { ignore: Vec::new(), service: "Task".to_owned(), most: usize::MAX }
    }
}

/// Why a file can't be read as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It was to be JSON.
    #[error("{}", not_json(.0))]
    Json(serde_json::Error),
    /// It was to be an array.
    #[error("the body must be a JSON array of work orders")]
    NoArray,
    /// Its first row can't be read.
    #[error("is not valid CSV: {0}")]
    Csv(csv::Error),
    /// More than [`Choices::most`].
    #[error("has more than {0} orders: send at most {0} at a time")]
    TooMany(usize),
    /// So many columns make no table of orders.
    #[error("has {0} columns in its first row: at most {MOST_COLUMNS} are read")]
    TooManyColumns(usize),
    /// Two columns for one field.
    #[error("the column {0:?} is there twice")]
    ColumnTwice(String),
    /// Columns that are no field.
    #[error("{} (ignore={})", no_fields(slips), columns.join(","))]
    NoFields {
        /// As the file calls them.
        columns: Vec<String>,
        /// Each in quotation marks, with what it may be a slip of.
        slips: Vec<String>,
    },
    /// No column for the number.
    #[error("there is no column for the number: call it workOrderNumber or Project Number")]
    NoNumber,
}

impl ReadError {
    /// Whether its text goes on a sentence that begins with what was read: `the body`, or the name of a file.
    pub fn goes_on(&self) -> bool {
        matches!(self, ReadError::Json(_) | ReadError::Csv(_) | ReadError::TooMany(_) | ReadError::TooManyColumns(_))
    }
}

/// What is said of columns that are no field; how to have them ignored comes after it.
pub fn no_fields(slips: &[String]) -> String {
    format!("no field of a work order or service is called {}: rename the column, or have it ignored", slips.join(", "))
}

/// Reads them all; the error is one of the whole file.
pub fn read(format: Format, text: &str, choices: &Choices) -> Result<Vec<Row>, ReadError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        Format::Json => match serde_json::from_str(text).map_err(ReadError::Json)? {
            Value::Array(orders) if orders.len() > choices.most => Err(ReadError::TooMany(choices.most)),
            Value::Array(orders) => Ok(orders.into_iter().map(|order| row(None, Ok(order))).collect()),
            _ => Err(ReadError::NoArray),
        },
        Format::Ndjson => {
            let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
            let mut rows = Vec::new();
            for (number, line) in lines {
                if rows.len() == choices.most {
                    return Err(ReadError::TooMany(choices.most));
                }
                rows.push(row(Some(number), serde_json::from_str(line).map_err(|error| not_json_of_a_line(&error))));
            }
            Ok(rows)
        }
        Format::Csv => csv(text, choices),
    }
}

/// The line is told beside it.
fn not_json_of_a_line(error: &serde_json::Error) -> String {
    if is_too_deep(error) { not_json(error) } else { "is not valid JSON".to_owned() }
}

fn row(line: Option<u64>, order: Result<Value, String>) -> Row {
    let order = order.and_then(|order| match order {
        Value::Object(order) => Ok(order),
        _ => Err("must be a JSON object: a work order".to_owned()),
    });
    let number = order.as_ref().ok().and_then(|order| text_field(order, "workOrderNumber")).unwrap_or_default();
    Row { line, number, order, service_put_in: false }
}

/// Where a column's values go.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Column {
    /// A field of the order.
    Order(&'static str),
    /// An option of the order.
    OrderOption(String),
    /// A field of the service.
    Service(&'static str),
    /// An option of the service.
    ServiceOption(String),
    /// In our own lists: when the order was deleted.
    Deleted,
    /// Nowhere.
    Ignored,
}

/// The columns of Pruvan's own import that are not called like a field, as [`plain`] has them.
const PRUVANS_NAMES: [(&str, Column); 7] = [
    ("projectnumber", Column::Order("workOrderNumber")),
    ("projectinfo", Column::Order("workOrderInfo")),
    ("zipcode", Column::Order("zip")),
    ("task", Column::Service("serviceName")),
    ("taskname", Column::Service("serviceName")),
    ("service", Column::Service("serviceName")),
    ("taskinstructions", Column::Service("instructions")),
];

/// Each field has one, and options some more; what is above that is no table of orders.
const MOST_COLUMNS: usize = 500;

/// No field takes a text as long as that; where a quotation mark is left open, a cell may hold the rest of the file.
const LONGEST_CELL: usize = 200_000;

/// Fields of a service that no order has: they need no `service.` in front.
const OF_SERVICES_ALONE: [&str; 5] = ["serviceName", "survey", "surveyDynamic", "source_service", "source_service_id"];

/// What our own lists have beside the fields: it says how an order stands, and is passed over.
const OF_OUR_LISTS: [&str; 2] = ["changed", "ended"];

/// How a cell begins that a spreadsheet takes for a formula. Lists put a `'` before it, which goes again here.
pub const FORMULAS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Without what people write differently: `Zip Code*` is `zipcode`.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

fn column(name: &str, choices: &Choices) -> Option<Column> {
    let wanted = plain(name);
    if name == "deleted" {
        return Some(Column::Deleted);
    }
    let ours = OF_OUR_LISTS.contains(&name) || name.starts_with("reported.");
    if ours || wanted.is_empty() || choices.ignore.iter().any(|ignored| plain(ignored) == wanted) {
        return Some(Column::Ignored);
    }
    let name = name.trim();
    let after = |prefix: &str| {
        name.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix)).map(|_| &name[prefix.len()..])
    };
    if let Some(option) = after("options.") {
        return Some(Column::OrderOption(option.to_owned()));
    }
    if let Some(option) = after("service.options.") {
        return Some(Column::ServiceOption(option.to_owned()));
    }
    let service_field = |wanted: &str| SERVICE_FIELDS.iter().map(|field| field.name).find(|name| plain(name) == wanted);
    if let Some(field) = after("service.") {
        return service_field(&plain(field)).map(Column::Service);
    }
    if let Some((_, column)) = PRUVANS_NAMES.iter().find(|(name, _)| *name == wanted) {
        return Some(column.clone());
    }
    let order_field = WORK_ORDER_FIELDS.iter().map(|field| field.name).find(|name| plain(name) == wanted);
    order_field
        .map(Column::Order)
        .or_else(|| service_field(&wanted).filter(|name| OF_SERVICES_ALONE.contains(name)).map(Column::Service))
}

/// What a column that is no field may be a slip of.
fn unknown(name: &str) -> String {
    let fields = WORK_ORDER_FIELDS.iter().map(|field| field.name).chain(OF_SERVICES_ALONE);
    let near =
        nearest(name, fields.chain(["Project Number", "Zip Code"])).map(|near| format!(" (did you mean {near:?}?)"));
    format!("{name:?}{}", near.unwrap_or_default())
}

/// CSV with a row of names, then a row a service: rows with the same number are one order with several services, and
/// need give its fields once only. Separated by commas, semicolons or tabs, whichever the first line has.
///
/// A column is called like a field of the order, in any spelling (`Zip Code`, `zip`), `options.{name}`,
/// `service.{field}` or `service.options.{name}`; `serviceName` and `survey` need no prefix.
fn csv(text: &str, choices: &Choices) -> Result<Vec<Row>, ReadError> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let separator =
        [b',', b';', b'\t'].into_iter().max_by_key(|sign| first.bytes().filter(|byte| byte == sign).count());
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator.unwrap_or(b','))
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let names = reader.headers().map_err(ReadError::Csv)?.clone();
    if names.len() > MOST_COLUMNS {
        return Err(ReadError::TooManyColumns(names.len()));
    }
    let mut columns = Vec::new();
    let (mut strange, mut slips) = (Vec::new(), Vec::new());
    for name in &names {
        match column(name, choices) {
            Some(column) if column != Column::Ignored && columns.contains(&column) => {
                return Err(ReadError::ColumnTwice(name.to_owned()));
            }
            Some(column) => columns.push(column),
            None => {
                strange.push(name.to_owned());
                slips.push(unknown(name));
            }
        }
    }
    if !strange.is_empty() {
        return Err(ReadError::NoFields { columns: strange, slips });
    }
    if !columns.contains(&Column::Order("workOrderNumber")) {
        return Err(ReadError::NoNumber);
    }
    let mut rows: Vec<Row> = Vec::new();
    let mut by_number: BTreeMap<String, usize> = BTreeMap::new();
    let mut last = None;
    for record in reader.records() {
        // A row a service, and some more that are told to be too many.
        if by_number.len() > choices.most || rows.len() > choices.most {
            return Err(ReadError::TooMany(choices.most));
        }
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map(|position| line_of(text, position));
                rows.push(Row {
                    line,
                    number: String::new(),
                    order: Err(format!("is not valid CSV: {}", said(&error))),
                    service_put_in: false,
                });
                continue;
            }
        };
        let line = record.position().map(|position| line_of(text, position));
        last = record.position().map(csv::Position::byte);
        if record.iter().all(str::is_empty) {
            continue;
        }
        if record.len() > columns.len() {
            let order = Err(format!("has {} values, but there are {} columns", record.len(), columns.len()));
            rows.push(Row { line, number: String::new(), order, service_put_in: false });
            continue;
        }
        if let Some(cell) = record.iter().find(|cell| cell.len() > LONGEST_CELL) {
            let order = Err(format!(
                "has a cell of {} bytes: at most {LONGEST_CELL} are read; is a quotation mark left open?",
                cell.len()
            ));
            rows.push(Row { line, number: String::new(), order, service_put_in: false });
            continue;
        }
        let (order, service, deleted) = split(&record, &columns);
        let number = text_field(&order, "workOrderNumber").unwrap_or_default();
        match by_number.get(&number).filter(|_| !number.is_empty()).and_then(|at| rows.get_mut(*at)) {
            Some(known) => join(known, order, service, line),
            None => {
                by_number.insert(number.clone(), rows.len());
                let mut order = order;
                let services = service.map(Value::Object).into_iter().collect::<Vec<Value>>();
                order.insert("services".to_owned(), Value::Array(services));
                let order = match deleted {
                    true => Err("was deleted: empty the cell \"deleted\" to make the order anew".to_owned()),
                    false => Ok(order),
                };
                rows.push(Row { line, number, order, service_put_in: false });
            }
        }
    }
    if rows.len() > choices.most {
        return Err(ReadError::TooMany(choices.most));
    }
    let last = last.and_then(|at| usize::try_from(at).ok()).and_then(|at| text.get(at..)).unwrap_or_default();
    if let Some(row) = rows.last_mut().filter(|_| ends_in_quotes(last, separator.unwrap_or(b','))) {
        row.order = Err("has a quotation mark that is never closed, and the lines after it are in its cell".to_owned());
    }
    for row in &mut rows {
        if let Ok(order) = &mut row.order
            && let Some(Value::Array(services)) = order.get_mut("services")
            && services.is_empty()
        {
            services.push(serde_json::json!({ "serviceName": choices.service }));
            row.service_put_in = true;
        }
    }
    Ok(rows)
}

/// Whether a last record's last cell is open: a quotation mark then closes it, and else is one more sign.
fn ends_in_quotes(record: &str, separator: u8) -> bool {
    let read = |text: &str| {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(separator)
            .flexible(true)
            .has_headers(false)
            .from_reader(text.as_bytes());
        reader.records().filter_map(Result::ok).collect::<Vec<_>>()
    };
    record.contains('"') && read(record) == read(&format!("{record}\""))
}

/// The line of a record: the reader's position is before the empty lines that it skips.
fn line_of(text: &str, position: &csv::Position) -> u64 {
    let rest = usize::try_from(position.byte()).ok().and_then(|at| text.as_bytes().get(at..)).unwrap_or_default();
    let skipped = rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).filter(|byte| **byte == b'\n').count();
    position.line() + u64::try_from(skipped).unwrap_or(0)
}

fn said(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        _ => "it can't be read".to_owned(),
    }
}

/// The order, the service of a row if any of its columns has a value, and whether the order was deleted.
fn split(record: &csv::StringRecord, columns: &[Column]) -> (Map<String, Value>, Option<Map<String, Value>>, bool) {
    let (mut order, mut service, mut deleted) = (Map::new(), Map::new(), false);
    for (value, column) in record.iter().zip(columns).filter(|(value, _)| !value.is_empty()) {
        let value = value.strip_prefix('\'').filter(|text| text.starts_with(FORMULAS)).unwrap_or(value);
        let option = |of: &mut Map<String, Value>, name: &str| {
            let options = of.entry("options").or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(options) = options {
                options.insert(name.to_owned(), Value::from(value));
            }
        };
        match column {
            Column::Order(name) => drop(order.insert((*name).to_owned(), Value::from(value))),
            Column::Service(name) => drop(service.insert((*name).to_owned(), Value::from(value))),
            Column::OrderOption(name) => option(&mut order, name),
            Column::ServiceOption(name) => option(&mut service, name),
            Column::Deleted => deleted = true,
            Column::Ignored => {}
        }
    }
    let service = (!service.is_empty()).then_some(service);
    (order, service, deleted)
}

/// Puts a further row of the same number to an order.
fn join(known: &mut Row, order: Map<String, Value>, service: Option<Map<String, Value>>, line: Option<u64>) {
    let Ok(fields) = &mut known.order else { return };
    for (name, value) in order {
        match (fields.get_mut(&name), value) {
            (Some(Value::Object(known)), Value::Object(more))
                if more.iter().all(|(name, value)| known.get(name).is_none_or(|other| other == value)) =>
            {
                known.extend(more);
            }
            (Some(other), value) if *other != value => {
                known.order = Err(format!(
                    "has another {name} in line {}: rows of one number are one order with several services",
                    line.unwrap_or(0)
                ));
                return;
            }
            (_, value) => drop(fields.insert(name, value)),
        }
    }
    // One more than an order may have is told as too many.
    if let (Some(service), Some(Value::Array(services))) = (service, fields.get_mut("services"))
        && services.len() <= MAX_SERVICES
    {
        services.push(Value::Object(service));
    }
}

#[cfg(test)]
mod tests;
