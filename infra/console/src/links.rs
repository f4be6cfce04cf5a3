//! Where things are: paths of the host's API for a view, and links on this page.

use host_client::segment;
use maud::{Markup, html};
use serde_json::Value;

use crate::view::View;

/// The path of the account, with what comes after it.
pub fn path(view: &View, after: &str) -> String {
    format!("/accounts/{}{after}", segment(&view.account))
}

/// The path of the work order, with what comes after it.
pub fn order_path(view: &View, after: &str) -> String {
    path(view, &format!("/orders/{}{after}", segment(&view.order)))
}

/// `limit` and `cursor` for the view.
pub fn paging(view: &View, limit: usize) -> String {
    match view.cursor.as_str() {
        "" => format!("?limit={limit}"),
        cursor => format!("?limit={limit}&cursor={}", segment(cursor)),
    }
}

/// Links to the first page and to the next.
pub fn pages(view: &View, reply: &Value, what: &str) -> Markup {
    let next = reply["next"].as_str();
    html! {
        @if reply["timeUp"] == true { p.hint { "The time was up: there may be more on the next page." } }
        @if next.is_some() || !view.cursor.is_empty() {
            nav.pages aria-label={ "Pages of " (what) } {
                @if !view.cursor.is_empty() { a href=(view.cursor("").url()) { "\u{21e4} First page" } }
                @if let Some(next) = next { a href=(view.cursor(next).url()) { "Next page \u{2192}" } }
            }
        }
    }
}

/// Where a file of an item is had, on this page's server.
pub fn part(view: &View, id: &str, part: &str) -> String {
    format!("/console/file/{}/{}/{part}", segment(&view.account), segment(id))
}
