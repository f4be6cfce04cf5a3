//! A sheet of a workbook (`.xlsx`, `.xls`, `.ods`) as CSV, by the types of its cells: a number is a number, a date a
//! date, and what is text stays text, whatever it looks like.

use std::io::Cursor;

use bridge::import::{Choices, Format, ReadError, protected_once, read};
use calamine::{Data, Range, Reader as _, open_workbook_auto_from_rs};

/// Whether these bytes are a workbook.
pub fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\xd0\xcf\x11\xe0")
}

/// The first sheet that is a table of orders, or else the first that holds anything. The error says what is wrong with
/// the file.
pub fn sheet(bytes: &[u8]) -> Result<String, String> {
    let failed = |error: calamine::Error| format!("can't be read as a workbook ({error}): save the sheet as CSV UTF-8");
    let mut workbook = open_workbook_auto_from_rs(Cursor::new(bytes)).map_err(failed)?;
    let mut first = None;
    for name in workbook.sheet_names() {
        let range = workbook.worksheet_range(&name).map_err(failed)?;
        if range.is_empty() {
            continue;
        }
        let csv = csv(&range);
        if !matches!(read(Format::Csv, &csv, &Choices::default()), Err(ReadError::NoNumber)) {
            return Ok(csv);
        }
        first = first.or(Some(csv));
    }
    first.ok_or_else(|| "holds no cells".to_owned())
}

/// A line for each row, so that lines in faults are the sheet's rows.
fn csv(range: &Range<Data>) -> String {
    let (first, left) = range.start().unwrap_or_default();
    let mut csv = "\n".repeat(usize::try_from(first).unwrap_or(0));
    for row in range.rows() {
        csv.push_str(&",".repeat(usize::try_from(left).unwrap_or(0)));
        let cells: Vec<String> = row.iter().map(|cell| format!("\"{}\"", cell_of(cell).replace('"', "\"\""))).collect();
        csv.push_str(&cells.join(","));
        csv.push('\n');
    }
    csv
}

fn cell_of(cell: &Data) -> String {
    match cell {
        Data::Empty => String::new(),
        Data::String(text) => {
            // A line end within a cell would make another line of the file.
            let text = text.trim().replace("\r\n", "\n").replace(['\n', '\r'], "\u{2028}");
            protected_once(&text).into_owned()
        }
        // A whole number is one, also where the file has it as 1001.0.
        Data::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:.0}"),
        Data::Float(number) => number.to_string(),
        Data::Int(number) => number.to_string(),
        Data::Bool(truth) => truth.to_string(),
        Data::DateTime(date) => {
            let (year, month, day, hour, minute, second, _) = date.to_ymd_hms_milli();
            let day = format!("{year:04}-{month:02}-{day:02}");
            if (hour, minute, second) == (0, 0, 0) { day } else { format!("{day} {hour:02}:{minute:02}:{second:02}") }
        }
        Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Error(error) => error.to_string(),
    }
}
