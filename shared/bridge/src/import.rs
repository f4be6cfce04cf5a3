//! Work orders as hosts have them in files: a JSON array, a JSON object a line, or CSV with the specification's names
//! or those of Pruvan's own import.

mod columns;
mod dates;
mod row;
mod spreadsheet;
mod table;
mod text;

use pruvan::json::{JsonError, read as read_json};
use pruvan::lenient::{list, text_field};
use pruvan::rewrite::Alteration;
use pruvan::work_order::Remark;
use serde_json::{Map, Value};

pub use row::{Choices, DateOrder, ReadError, Row, no_fields};
pub use spreadsheet::{number_check, protected, protected_once};
pub use text::text_of;

/// How the orders are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An array of objects.
    Json,
    /// An object a line.
    Ndjson,
    /// A row of names, then a row a service.
    Csv,
}

impl Format {
    /// Of a text: as its `Content-Type` names it, and where that names none, by how the text begins.
    pub fn of(content_type: &str, text: &str) -> Format {
        let named = content_type.to_ascii_lowercase();
        if ["csv", "ms-excel", "tab-separated"].iter().any(|name| named.contains(name)) {
            return Format::Csv;
        }
        if ["ndjson", "jsonl", "json-lines"].iter().any(|name| named.contains(name)) {
            return Format::Ndjson;
        }
        match text.trim_start_matches(['\u{feff}', ' ', '\r', '\n', '\t']).chars().next() {
            Some('[') => Format::Json,
            _ if named.contains("json") => Format::Json,
            Some('{') => Format::Ndjson,
            _ => Format::Csv,
        }
    }
}

/// Reads them all; the error is one of the whole file.
pub fn read(format: Format, text: &str, choices: &Choices) -> Result<Vec<Row>, ReadError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rows = rows(format, text, choices)?;
    let in_table = format == Format::Csv;
    for row in &mut rows {
        let Ok(order) = &mut row.order else { continue };
        row.warnings.extend(put_zeros_back(order, in_table));
    }
    dates::settle(&mut rows, choices.dates, in_table);
    Ok(rows)
}

fn rows(format: Format, text: &str, choices: &Choices) -> Result<Vec<Row>, ReadError> {
    match format {
        Format::Json => {
            let given = read_json(text).map_err(ReadError::Json)?.value;
            match list(&given).filter(|orders| given.is_array() || !orders.is_empty()) {
                Some(orders) if orders.len() > choices.most => Err(ReadError::TooMany(choices.most)),
                Some(orders) => Ok(orders.into_iter().map(|order| of_json(None, Ok(order))).collect()),
                None => Err(ReadError::NoArray),
            }
        }
        Format::Ndjson => {
            let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
            let mut rows = Vec::new();
            for (number, line) in lines {
                if rows.len() == choices.most {
                    return Err(ReadError::TooMany(choices.most));
                }
                let order = read_json(line).map(|json| json.value);
                rows.push(of_json(Some(number), order.map_err(not_json_of_a_line)));
            }
            Ok(rows)
        }
        Format::Csv => table::read(text, choices),
    }
}

/// The line is told beside it.
fn not_json_of_a_line(error: JsonError) -> String {
    match error {
        JsonError::NotJson { .. } => "is not valid JSON".to_owned(),
        other => other.to_string(),
    }
}

fn of_json(line: Option<u64>, order: Result<Value, String>) -> Row {
    let order = order.and_then(|order| match order {
        Value::Object(order) => match order.get("workOrderNumber") {
            Some(Value::Number(number)) if !number.is_i64() && !number.is_u64() => {
                Err(format!("has the workOrderNumber {number}: write it in quotes, so that it is kept as you mean it"))
            }
            _ => Ok(order),
        },
        _ => Err("must be a JSON object: a work order".to_owned()),
    });
    let number = order.as_ref().ok().and_then(|order| text_field(order, "workOrderNumber")).unwrap_or_default();
    Row { line, number, order, ..Row::default() }
}

/// The zeros of a ZIP code that was a number on its way: in a spreadsheet, or in JSON.
pub fn put_zeros_back(order: &mut Map<String, Value>, in_table: bool) -> Option<Remark> {
    let of = |name: &str| text_field(order, name).unwrap_or_default();
    let was_number = in_table || order.get("zip").is_some_and(Value::is_number);
    let (zip, state, country) = (of("zip"), of("state"), of("country"));
    let whole = was_number.then(|| spreadsheet::zip_with_zeros(&zip, &state, &country)).flatten()?;
    order.insert("zip".to_owned(), Value::from(whole.as_str()));
    let altered = vec![Alteration { before: zip, after: whole }];
    Some(Remark::altered("/zip", "has lost its zeros as a number; they were put back", altered))
}

#[cfg(test)]
mod tests;
