//! CSV replies.

use bridge::host;
use bridge::http::{Problem, with_body};
use bridge::import::protected;
use lambda_http::http::{HeaderValue, StatusCode};
use lambda_http::{Body, Request, Response};

use crate::api::PageEnd;

/// What a list is asked for as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A JSON object, with all that there is.
    Json,
    /// CSV for a spreadsheet, with the columns asked for.
    Csv,
}

impl Format {
    /// By the query parameter `format`.
    pub fn asked_for(request: &Request) -> Result<Format, Problem> {
        match host::query(request, "format").as_deref() {
            None | Some("json") => Ok(Format::Json),
            Some("csv") => Ok(Format::Csv),
            Some(_) => Err(Problem::bad_request("format must be json or csv")),
        }
    }
}

/// A table of CSV: a row of names, then the values.
pub struct Table(Vec<Vec<String>>);

impl Table {
    /// A table with these columns and no rows yet.
    pub fn new(columns: impl Iterator<Item = String>) -> Table {
        Table(vec![columns.collect()])
    }

    /// Adds a row. What a spreadsheet would make something else of stays text.
    pub fn row(&mut self, cells: impl Iterator<Item = String>) {
        self.0.push(cells.map(|cell| protected(&cell).into_owned()).collect());
    }

    /// The reply; how the list ends stands in the headers `X-Next-Cursor` and `X-Time-Up`.
    pub fn reply(&self, end: PageEnd<String>, request: &Request) -> Result<Response<Body>, Problem> {
        // Without the mark, Excel takes UTF-8 for its own code page.
        let mut csv = csv::Writer::from_writer("\u{feff}".as_bytes().to_vec());
        for row in &self.0 {
            csv.write_record(row)
                .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the list could not be written as CSV"))?;
        }
        let text = csv.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let mut response = with_body(StatusCode::OK, "text/csv; charset=utf-8", text);
        if let Some(next) = end.next.and_then(|next| host::cursor(request, &next).parse().ok()) {
            response.headers_mut().insert("x-next-cursor", next);
        }
        if end.time_up {
            response.headers_mut().insert("x-time-up", HeaderValue::from_static("true"));
        }
        Ok(response)
    }
}
