//! The page around the panels, and what they have in common.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};
use serde_json::Value;

use super::{Console, our_side, pruvan_side, view::View, wire_side};
use crate::desk::Told;

/// A page that was refused takes the place of nothing, and what is open stays open.
const HTMX: &str = r#"{"includeIndicatorCSS":false,"defaultTimeout":120000,"noSwap":[204,304,"4xx","5xx"],"morphIgnore":["data-htmx-powered","open"]}"#;

/// The whole page.
pub async fn page(console: &Console, view: &View) -> Markup {
    // Before anything is read, so that nothing is missed.
    let version = console.version();
    let view = &with_account(console, view).await;
    let ours = match &console.host {
        Some(host) => Some(our_side::panel(console, host, view).await),
        None => None,
    };
    let inner = html! {
        a.skip href="#panels" { "Skip to the panels" }
        div #page hx-get=(view.url()) hx-trigger="changed from:body" {
            @if console.desk.is_some() || console.activity.is_some() {
                div #pulse hx-get={ "/console/pulse?seen=" (version) } hx-trigger="every 2s" hx-swap="none" hx-select="" {}
            }
            header.top {
                h1 { img src="/console/assets/icon.svg" alt="" width="28" height="28"; "Pruvan Bridge " span.place { (console.place) } }
                nav aria-label="Panels" {
                    @if console.desk.is_some() { a href="#pruvan" { "Pruvan\u{2019}s side" } }
                    @if console.host.is_some() { a href="#ours" { "Our side" } }
                    @if console.desk.is_some() { a href="#wire" { "The wire" } }
                }
            }
            (said(console.told().as_ref(), "said"))
            main #panels .panels .alone[console.desk.is_none()] {
                @if let Some(desk) = &console.desk { (pruvan_side::panel(console, desk, view)) }
                @if let Some(ours) = ours { (ours) }
                @if let Some(desk) = &console.desk { (wire_side::panel(desk, view)) }
            }
        }
    };
    around(&format!("{}Pruvan Bridge console", title(view)), &inner)
}

/// A page around its content.
pub fn around(title: &str, inner: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="htmx-config" content=(HTMX);
                title { (title) }
                link rel="icon" href="/console/assets/icon.svg";
                link rel="stylesheet" href="/console/assets/console.css";
                script src="/console/assets/htmx.js" defer {}
                script src="/console/assets/console.js" defer {}
            }
            body hx-boost:inherited="true" hx-target:inherited="#page" hx-select:inherited="#page" hx-swap:inherited="outerMorph" {
                (inner)
                p #copied .toast role="status" {}
            }
        }
    }
}

fn title(view: &View) -> String {
    [&view.order, &view.account].into_iter().filter(|part| !part.is_empty()).map(|part| format!("{part} - ")).collect()
}

/// The view with an account, the first if none is chosen.
async fn with_account(console: &Console, view: &View) -> View {
    if !view.account.is_empty() {
        return view.clone();
    }
    let first =
        console.desk.as_ref().and_then(|desk| desk.accounts().first().map(|it| it.integration.username.clone()));
    let first = match (first, &console.host) {
        (Some(first), _) => Some(first),
        (None, Some(host)) => our_side::usernames(host).await.ok().and_then(|names| names.into_iter().next()),
        (None, None) => None,
    };
    View { account: first.unwrap_or_default(), ..view.clone() }
}

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
        "rush" | "rework" | "waiting" | "due" | "updated" | "refused" | "pending" => "warm",
        "parked" | "dead" | "rejected" | "canceled" | "deleted" | "field-rejected" | "failed" | "error" | "expired" => {
            "bad"
        }
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

/// A segment of a path.
pub fn segment(text: &str) -> String {
    crate::host_client::segment(text)
}
