//! Work orders as hosts have them in files: a JSON array, a JSON object a line, or CSV with the specification's names
//! or those of Pruvan's own import.

mod columns;
mod row;
mod table;

use pruvan::lenient::{is_too_deep, not_json, text_field};
use serde_json::Value;

pub use columns::FORMULAS;
pub use row::{Choices, ReadError, Row, no_fields};

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
    /// By a `Content-Type` or the ending of a file's name; JSON where it says nothing.
    pub fn named(name: &str) -> Format {
        let name = name.to_ascii_lowercase();
        if name.contains("csv") || name.contains("ms-excel") {
            Format::Csv
        } else if name.contains("ndjson") || name.contains("jsonl") || name.contains("json-lines") {
            Format::Ndjson
        } else {
            Format::Json
        }
    }
}

/// Reads them all; the error is one of the whole file.
pub fn read(format: Format, text: &str, choices: &Choices) -> Result<Vec<Row>, ReadError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        Format::Json => match serde_json::from_str(text).map_err(ReadError::Json)? {
            Value::Array(orders) if orders.len() > choices.most => Err(ReadError::TooMany(choices.most)),
            Value::Array(orders) => Ok(orders.into_iter().map(|order| of_json(None, Ok(order))).collect()),
            _ => Err(ReadError::NoArray),
        },
        Format::Ndjson => {
            let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
            let mut rows = Vec::new();
            for (number, line) in lines {
                if rows.len() == choices.most {
                    return Err(ReadError::TooMany(choices.most));
                }
                rows.push(of_json(
                    Some(number),
                    serde_json::from_str(line).map_err(|error| not_json_of_a_line(&error)),
                ));
            }
            Ok(rows)
        }
        Format::Csv => table::read(text, choices),
    }
}

/// The line is told beside it.
fn not_json_of_a_line(error: &serde_json::Error) -> String {
    if is_too_deep(error) { not_json(error) } else { "is not valid JSON".to_owned() }
}

fn of_json(line: Option<u64>, order: Result<Value, String>) -> Row {
    let order = order.and_then(|order| match order {
        Value::Object(order) => Ok(order),
        _ => Err("must be a JSON object: a work order".to_owned()),
    });
    let number = order.as_ref().ok().and_then(|order| text_field(order, "workOrderNumber")).unwrap_or_default();
    Row { line, number, order, service_put_in: false }
}

#[cfg(test)]
mod tests;
