//! What is read of a file of orders, and why it can't be read.

use pruvan::json::JsonError;
use pruvan::work_order::Remark;
use serde_json::{Map, Value};

/// Each field has one, and options some more; what is above that is no table of orders.
pub(super) const MOST_COLUMNS: usize = 500;

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
    /// What was undone or guessed of it.
    pub warnings: Vec<Remark>,
}

impl Default for Row {
    fn default() -> Row {
        let (line, number, order) = (None, String::new(), Ok(Map::new()));
        Row { line, number, order, service_put_in: false, warnings: Vec::new() }
    }
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
    /// Which part of a date such as 03/04/2026 comes first, if the sender says it.
    pub dates: Option<DateOrder>,
}

impl Default for Choices {
    fn default() -> Choices {
        Choices { ignore: Vec::new(), service: "Task".to_owned(), most: usize::MAX, dates: None }
    }
}

/// Which part of a date such as `03/04/2026` comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// The month, as in the US and in the specification.
    MonthFirst,
    /// The day, as in most of the world.
    DayFirst,
}

impl DateOrder {
    /// Reads `mdy` or `dmy`, as senders write it; `None` for anything else.
    pub fn parse(text: &str) -> Option<DateOrder> {
        match text.trim().to_ascii_lowercase().as_str() {
            "mdy" => Some(DateOrder::MonthFirst),
            "dmy" => Some(DateOrder::DayFirst),
            _ => None,
        }
    }
}

/// Why a file can't be read as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It was to be JSON.
    #[error(transparent)]
    Json(JsonError),
    /// It is no text, or none of orders: what it is, and what to send instead.
    #[error("{0}")]
    NoText(&'static str),
    /// It is a text in some other encoding than UTF-8 or UTF-16.
    #[error("is not UTF-8: in Excel save it as \"CSV UTF-8\"")]
    NotUtf8,
    /// It was to be an array.
    #[error("the body must be a JSON array of work orders")]
    NoArray,
    /// Its first row can't be read.
    #[error("is not valid CSV: {0}")]
    Csv(csv::Error),
    /// There are more orders than [`Choices::most`].
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
        matches!(
            self,
            ReadError::Json(_)
                | ReadError::NoText(_)
                | ReadError::NotUtf8
                | ReadError::Csv(_)
                | ReadError::TooMany(_)
                | ReadError::TooManyColumns(_)
        )
    }
}

/// What is said of columns that are no field; how to have them ignored comes after it.
pub fn no_fields(slips: &[String]) -> String {
    format!("no field of a work order or service is called {}: rename the column, or have it ignored", slips.join(", "))
}
