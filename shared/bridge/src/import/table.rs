//! CSV with a row of names, then a row a service: rows with the same number are one order with several services, and
//! need give its fields once only.

use std::collections::BTreeMap;

use pruvan::lenient::text_field;
use pruvan::rewrite::Alteration;
use pruvan::work_order::{MAX_SERVICES, Remark};
use serde_json::{Map, Value, json};

use super::columns::{Column, Columns, columns, has_number};
use super::row::{Choices, ReadError, Row};
use super::spreadsheet::{self, number_check, unprotected};

/// No field takes a text as long as that; where a quotation mark is left open, a cell may hold the rest of the file.
pub(super) const LONGEST_CELL: usize = 200_000;

/// The row of names is looked for in so many rows: titles may stand above it.
const TITLES: usize = 10;

/// Reads a table separated by commas, semicolons or tabs, whichever the first line has or says (`sep=;`). The row of
/// names may have titles above it.
///
/// A column is called like a field of the order, in any spelling (`Zip Code`, `zip`), `options.{name}`,
/// `service.{field}` or `service.options.{name}`; `serviceName` and `survey` need no prefix.
pub(super) fn read(text: &str, choices: &Choices) -> Result<Vec<Row>, ReadError> {
    let (separator, begin) = separator(text);
    let text = &text[begin..];
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .flexible(true)
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let line_of = |position: &csv::Position| line_of(text, position) + u64::from(begin > 0);
    let mut records = reader.records();
    let columns = columns(&row_of_names(&mut records)?, choices)?;
    let mut orders = Orders::default();
    let mut last = None;
    for record in records {
        // A row a service, and some more that are told to be too many.
        if orders.by_number.len() > choices.most || orders.rows.len() > choices.most {
            return Err(ReadError::TooMany(choices.most));
        }
        match record {
            Ok(record) => {
                last = record.position().map(csv::Position::byte);
                let line = record.position().map(line_of);
                orders.add(line, &record, &columns);
            }
            Err(error) => {
                let line = error.position().map(line_of);
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

/// What separates the columns, and where the table begins: what a first line `sep=;` says, or the sign that parts the
/// row of names, or else the sign of which the first line has most.
fn separator(text: &str) -> (u8, usize) {
    let end = text.find('\n').map_or(text.len(), |end| end + 1);
    let first = text[..end].trim().trim_matches('"');
    if let Some(sign) = first.get(..4).filter(|start| start.eq_ignore_ascii_case("sep=")).and(first.as_bytes().get(4)) {
        return (*sign, end);
    }
    if first.eq_ignore_ascii_case("sep=") {
        return (b'\t', end);
    }
    const SIGNS: [u8; 3] = [b',', b';', b'\t'];
    let lines = || text.lines().filter(|line| !line.trim().is_empty()).take(TITLES);
    let count = |line: &str, sign: u8| line.bytes().filter(|byte| *byte == sign).count();
    let names = |line: &str, sign: u8| {
        let cells = line.split(char::from(sign)).map(|cell| cell.trim().trim_matches('"').trim());
        has_number(&csv::StringRecord::from_iter(cells))
    };
    let named = lines()
        .find_map(|line| SIGNS.into_iter().filter(|sign| names(line, *sign)).max_by_key(|sign| count(line, *sign)));
    let first = lines().next().unwrap_or_default();
    let most = || SIGNS.into_iter().max_by_key(|sign| count(first, *sign));
    (named.or_else(most).unwrap_or(b','), 0)
}

/// The row of names: the first that names a column for the number, or else the first row, so that it is told what is
/// missing there.
fn row_of_names<R: std::io::Read>(records: &mut csv::StringRecordsIter<'_, R>) -> Result<csv::StringRecord, ReadError> {
    let mut first = None;
    for record in
        records.filter(|record| !record.as_ref().is_ok_and(|record| record.iter().all(str::is_empty))).take(TITLES)
    {
        match record {
            Ok(record) if has_number(&record) => return Ok(record),
            Ok(record) => first = first.or(Some(record)),
            Err(error) => return Err(ReadError::Csv(error)),
        }
    }
    Ok(first.unwrap_or_default())
}

/// The orders that have been read so far.
#[derive(Default)]
struct Orders {
    rows: Vec<Row>,
    by_number: BTreeMap<String, usize>,
}

impl Orders {
    /// Adds a row of the table: a new order, or one more service of an order that is there.
    fn add(&mut self, line: Option<u64>, record: &csv::StringRecord, columns: &Columns) {
        if record.iter().all(str::is_empty) {
            return;
        }
        if let Some(fault) = fault(record, columns.list.len()) {
            return self.refuse(line, fault);
        }
        let cells = match Cells::read(record, columns) {
            Ok(cells) => cells,
            Err((number, fault)) => {
                self.rows.push(Row { line, number, order: Err(fault), ..Row::default() });
                return;
            }
        };
        let Cells { mut order, service, deleted, check, nameless } = cells;
        let number = text_field(&order, "workOrderNumber").unwrap_or_default();
        if check.is_some_and(|check| check != number_check(&number)) {
            return self.refuse(
                line,
                format!(
                    "has the number {number:?}, but its numberCheck is of another one, so a spreadsheet may have changed it: \
                     copy the number from the list again, or empty numberCheck to make a new order"
                ),
            );
        }
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
        let lost = nameless.map(|value| Alteration { before: value, after: String::new() });
        let why = "has values in a column without a name";
        let warnings = lost.map(|lost| Remark::altered("", why, vec![lost])).into_iter().collect();
        self.rows.push(Row { line, number, order, warnings, ..Row::default() });
    }

    /// Adds a row that can't be read.
    fn refuse(&mut self, line: Option<u64>, fault: String) {
        self.rows.push(Row { line, order: Err(fault), ..Row::default() });
    }
}

/// Why a row is none of an order.
fn fault(record: &csv::StringRecord, columns: usize) -> Option<String> {
    // Spreadsheets write empty cells beyond the last name.
    if record.iter().skip(columns).any(|cell| !cell.is_empty()) {
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

/// What a row of the table says.
#[derive(Default)]
struct Cells {
    order: Map<String, Value>,
    /// If any of the service's columns has a value.
    service: Option<Map<String, Value>>,
    deleted: bool,
    check: Option<String>,
    /// A value in a column without a name.
    nameless: Option<String>,
}

impl Cells {
    /// Reads the cells as they were meant. An error is the number, and which cells were lost in a spreadsheet.
    fn read(record: &csv::StringRecord, columns: &Columns) -> Result<Cells, (String, String)> {
        let (mut cells, mut service) = (Cells::default(), Map::new());
        let mut faults = Vec::new();
        let named = record.iter().zip(columns.list.iter().zip(&columns.names));
        for (cell, (column, name)) in named.filter(|(cell, _)| !cell.is_empty()) {
            let (value, is_text) = unprotected(cell);
            let is_number = *column == Column::Order("workOrderNumber");
            if !is_text && *column != Column::Ignored {
                let of_number = is_number.then(|| spreadsheet::number_fault(&value)).flatten();
                if let Some(fault) = of_number.or_else(|| spreadsheet::fault(&value)) {
                    faults.push(format!("has a {name:?} that {fault}"));
                }
            }
            let value = match column {
                Column::Order("zip") if !is_text => value.strip_suffix(".0").unwrap_or(&value).to_owned(),
                _ => value.into_owned(),
            };
            let option = |of: &mut Map<String, Value>, name: &str, value: String| {
                let options = of.entry("options").or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(options) = options {
                    options.insert(name.to_owned(), Value::from(value));
                }
            };
            match column {
                Column::Order(name) => drop(cells.order.insert((*name).to_owned(), Value::from(value))),
                Column::Service(name) => drop(service.insert((*name).to_owned(), Value::from(value))),
                Column::OrderOption(name) => option(&mut cells.order, name, value),
                Column::ServiceOption(name) => option(&mut service, name, value),
                Column::Deleted => cells.deleted = true,
                Column::NumberCheck => cells.check = Some(value),
                Column::Ignored if name.is_empty() => cells.nameless = Some(value),
                Column::Ignored => {}
            }
        }
        if !faults.is_empty() {
            return Err((text_field(&cells.order, "workOrderNumber").unwrap_or_default(), faults.join("; ")));
        }
        cells.service = (!service.is_empty()).then_some(service);
        Ok(cells)
    }
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
