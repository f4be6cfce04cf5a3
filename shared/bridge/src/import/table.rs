//! CSV with a row of names, then a row a service: rows with the same number are one order with several services, and
//! need give its fields once only.

use std::collections::BTreeMap;

use pruvan::lenient::text_field;
use pruvan::work_order::MAX_SERVICES;
use serde_json::{Map, Value, json};

use super::columns::{Column, FORMULAS, columns};
use super::row::{Choices, ReadError, Row};

/// No field takes a text as long as that; where a quotation mark is left open, a cell may hold the rest of the file.
pub(super) const LONGEST_CELL: usize = 200_000;

/// Reads a table separated by commas, semicolons or tabs, whichever the first line has.
///
/// A column is called like a field of the order, in any spelling (`Zip Code`, `zip`), `options.{name}`,
/// `service.{field}` or `service.options.{name}`; `serviceName` and `survey` need no prefix.
pub(super) fn read(text: &str, choices: &Choices) -> Result<Vec<Row>, ReadError> {
    let separator = separator(text);
    let mut reader =
        csv::ReaderBuilder::new().delimiter(separator).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let columns = columns(reader.headers().map_err(ReadError::Csv)?, choices)?;
    let mut orders = Orders::default();
    let mut last = None;
    for record in reader.records() {
        // A row a service, and some more that are told to be too many.
        if orders.by_number.len() > choices.most || orders.rows.len() > choices.most {
            return Err(ReadError::TooMany(choices.most));
        }
        match record {
            Ok(record) => {
                last = record.position().map(csv::Position::byte);
                let line = record.position().map(|position| line_of(text, position));
                orders.add(line, &record, &columns);
            }
            Err(error) => {
                let line = error.position().map(|position| line_of(text, position));
                orders.refuse(line, format!("is not valid CSV: {}", said(&error)));
            }
        }
    }
    let mut rows = orders.rows;
    if rows.len() > choices.most {
        return Err(ReadError::TooMany(choices.most));
    }
    let last = last.and_then(|at| usize::try_from(at).ok()).and_then(|at| text.get(at..)).unwrap_or_default();
    if let Some(row) = rows.last_mut().filter(|_| ends_in_quotes(last, separator)) {
        row.order = Err("has a quotation mark that is never closed, and the lines after it are in its cell".to_owned());
    }
    rows.iter_mut().for_each(|row| put_service_in(row, &choices.service));
    Ok(rows)
}

/// What separates the columns: the sign of which the first line has most.
fn separator(text: &str) -> u8 {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let most = [b',', b';', b'\t'].into_iter().max_by_key(|sign| first.bytes().filter(|byte| byte == sign).count());
    most.unwrap_or(b',')
}

/// The orders that have been read so far.
#[derive(Default)]
struct Orders {
    rows: Vec<Row>,
    by_number: BTreeMap<String, usize>,
}

impl Orders {
    /// Adds a row of the table: a new order, or one more service of an order that is there.
    fn add(&mut self, line: Option<u64>, record: &csv::StringRecord, columns: &[Column]) {
        if record.iter().all(str::is_empty) {
            return;
        }
        if let Some(fault) = fault(record, columns.len()) {
            return self.refuse(line, fault);
        }
        let (mut order, service, deleted) = split(record, columns);
        let number = text_field(&order, "workOrderNumber").unwrap_or_default();
        let known = self.by_number.get(&number).filter(|_| !number.is_empty());
        if let Some(known) = known.and_then(|at| self.rows.get_mut(*at)) {
            return join(known, order, service, line);
        }
        self.by_number.insert(number.clone(), self.rows.len());
        let services = service.map(Value::Object).into_iter().collect::<Vec<Value>>();
        order.insert("services".to_owned(), Value::Array(services));
        let order = match deleted {
            true => Err("was deleted: empty the cell \"deleted\" to make the order anew".to_owned()),
            false => Ok(order),
        };
        self.rows.push(Row { line, number, order, service_put_in: false });
    }

    /// Adds a row that can't be read.
    fn refuse(&mut self, line: Option<u64>, fault: String) {
        self.rows.push(Row { line, number: String::new(), order: Err(fault), service_put_in: false });
    }
}

/// Why a row is none of an order.
fn fault(record: &csv::StringRecord, columns: usize) -> Option<String> {
    if record.len() > columns {
        return Some(format!("has {} values, but there are {columns} columns", record.len()));
    }
    let cell = record.iter().find(|cell| cell.len() > LONGEST_CELL)?;
    Some(format!("has a cell of {} bytes: at most {LONGEST_CELL} are read; is a quotation mark left open?", cell.len()))
}

/// An order can't be without any service.
fn put_service_in(row: &mut Row, service: &str) {
    if let Ok(order) = &mut row.order
        && let Some(Value::Array(services)) = order.get_mut("services")
        && services.is_empty()
    {
        services.push(json!({ "serviceName": service }));
        row.service_put_in = true;
    }
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
