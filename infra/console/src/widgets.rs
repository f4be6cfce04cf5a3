//! What the panels have in common: small pieces of a page.

use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;
use simulator::desk::Told;

use crate::view::View;

/// What a form of the console always brings: to which account it is done, and which view to come back to.
pub fn hidden(view: &View) -> Markup {
    html! {
        input type="hidden" name="account" value=(view.account);
        input type="hidden" name="order" value=(view.order);
        input type="hidden" name="back" value=(view.query());
    }
}

/// What came of the last button, in a region that screen readers read out when it changes.
pub fn said(told: Option<&Told>, id: &str) -> Markup {
    html! {
        div id=(id) role="status" {
            @if let Some(told) = told {
                p.told .(if told.ok { "good" } else { "bad" }) {
                    (if told.ok { "\u{2713} " } else { "\u{2717} " }) (told.text)
                    @if let Some(id) = told.exchange { " " a href={ "#x" (id) } { "exchange " (id) } }
                }
            }
        }
    }
}

/// A status as a small coloured word.
pub fn badge(text: &str) -> Markup {
    let tone = match text {
        "complete" | "upToDate" | "live" | "stored" | "published" | "invoiced" | "submitted" | "closed" => "good",
        "rush" | "rework" | "waiting" | "due" | "updated" | "refused" | "pending" | "backoff" | "hourlyLimit"
        | "inDoubt" => "warm",
        "parked" | "dead" | "noPushKey" | "deadPushKey" | "refusedPushKey" | "rejected" | "canceled" | "deleted"
        | "field-rejected" | "failed" | "error" | "expired" => "bad",
        "assigned" | "accepted" | "in-process" | "viewed" | "field-accepted" => "cool",
        _ => "",
    };
    html! { @if !text.is_empty() { span .badge .(tone) { (spelt(text)) } } }
}

/// `upToDate` as people write it.
fn spelt(text: &str) -> String {
    let mut spelt = String::new();
    for c in text.chars() {
        if c.is_ascii_uppercase() {
            spelt.push(' ');
        }
        spelt.push(c.to_ascii_lowercase());
    }
    spelt
}

/// A value of an order as a text.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// An instant, short, in UTC: the time of today, or the day with it.
pub fn time(at: Timestamp) -> Markup {
    let date = |at: Timestamp| at.to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
    let shown = at.strftime(if date(Timestamp::now()) == date(at) { "%H:%M:%S" } else { "%b %-d, %H:%M" }).to_string();
    html! { time datetime=(at.to_string()) title={ (at.to_string()) } { (shown) } }
}

/// The same of an RFC 3339 text; nothing of anything else.
pub fn time_of(value: &Value) -> Markup {
    let at = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    html! { @if let Some(at) = at { (time(at)) } }
}

/// Names with their values, those that have one.
pub fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, Markup)>) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in facts {
                @if !value.0.is_empty() { div { dt { (name) } dd { (value) } } }
            }
        }
    }
}

/// A text as markup.
pub fn plain(value: &Value) -> Markup {
    html! { (text(value)) }
}

/// Those that say something.
pub fn listed(texts: impl IntoIterator<Item = String>) -> String {
    let texts: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    texts.join(" \u{b7} ")
}

/// Bytes as people say them.
pub fn size(bytes: usize) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.0} KB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
