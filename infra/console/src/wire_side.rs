//! The wire: every exchange, with what breaks the specification marked.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use simulator::desk::Desk;
use simulator::wire::{Direction, Exchange};

use crate::file::untrusted;
use crate::shell::around;
use crate::state::Console;
use crate::view::View;
use crate::widgets::{badge, size, time};

/// Exchanges that are listed.
const LISTED: usize = 40;

/// Characters of a body that are shown.
const SHOWN: usize = 200_000;

/// Which exchanges can be asked for.
const KINDS: [(&str, &str); 4] = [
    ("", "All"),
    ("host", "Pruvan \u{2192} host"),
    ("pruvan", "Host \u{2192} Pruvan"),
    ("breaches", "Breaking the spec"),
];

pub fn panel(desk: &Desk, view: &View) -> Markup {
    let exchanges = desk.simulator.wire.last(LISTED, |exchange| match view.wire.as_str() {
        "host" => exchange.direction == Direction::ToHost,
        "pruvan" => exchange.direction == Direction::ToPruvan,
        "breaches" => !exchange.breaches().is_empty(),
        _ => true,
    });
    html! {
        section #wire .panel aria-labelledby="wire-title" {
            h2 #wire-title { "The wire" }
            nav.tabs aria-label="Exchanges" {
                @for (name, title) in KINDS {
                    a href={ (view.wire(name).url()) } aria-current=[(name == view.wire).then_some("page")] { (title) }
                }
            }
            @if exchanges.is_empty() { p.hint { "Nothing has been sent yet." } }
            ol.wire reversed {
                @for exchange in &exchanges { (line(exchange)) }
            }
        }
    }
}

fn line(exchange: &Exchange) -> Markup {
    let to_host = exchange.direction == Direction::ToHost;
    let at = Timestamp::from_millisecond(exchange.at).unwrap_or_default();
    let whole = format!("/console/wire/{}", exchange.id);
    html! {
        li id={ "x" (exchange.id) } {
            details id={ "d" (exchange.id) } hx-get=(whole) hx-trigger="toggle once" hx-target="find .whole" hx-select="" hx-swap="innerHTML" {
                summary {
                    span.number { (exchange.id) }
                    (time(at))
                    span.way .to-host[to_host] { (if to_host { "Pruvan \u{2192} host" } else { "host \u{2192} Pruvan" }) }
                    b { (exchange.service) }
                    span.who { (exchange.username) }
                    @if let Some(error) = &exchange.error { span.wrong { (error) } } @else { (outcome(exchange)) }
                    span.took { (exchange.took_ms) " ms" }
                    @if !exchange.breaches().is_empty() { span.badge.bad { "breaks the spec" } }
                }
                div.whole hx-morph-skip { p { a href=(whole) hx-boost="false" { "Show the exchange" } } }
            }
        }
    }
}

/// What the reply says, in a word.
fn outcome(exchange: &Exchange) -> Markup {
    let reply = exchange.reply();
    let failed = match exchange.service.as_str() {
        "validate" => reply["validated"] != true,
        "getWorkOrders" => !reply["workOrders"].is_array(),
        "push" | "refresh" => reply["response"] == false || !(reply["error"].is_null() || reply["error"] == "success"),
        _ => reply["status"] != true,
    };
    html! {
        @if exchange.status != 200 { span.wrong { "HTTP " (exchange.status) } }
        @else if failed { (badge("refused")) }
        @else { span.ok { "ok" } }
    }
}

fn find(console: &Console, id: u64) -> Option<Arc<Exchange>> {
    console.desk.as_ref()?.simulator.wire.get(id)
}

fn gone() -> Response {
    (StatusCode::NOT_FOUND, "this exchange is no longer kept\n").into_response()
}

/// One exchange, to be put into the list or looked at by itself.
pub async fn whole(State(console): State<Arc<Console>>, Path(id): Path<u64>, headers: HeaderMap) -> Response {
    let Some(exchange) = find(&console, id) else { return gone() };
    let command = exchange.masked_curl(&format!("{}/console/wire", console.url));
    let payload = match exchange.payload.as_str() {
        "" => "(none)".to_owned(),
        text => in_order(text).unwrap_or_else(|| text.to_owned()),
    };
    let body = in_order(&exchange.body).unwrap_or_else(|| exchange.body.clone());
    let whole = html! {
        div.exchange {
            @if !exchange.breaches().is_empty() {
                ul.breaches { @for breach in exchange.breaches() { li { b { "\u{a7} " (breach.section) } " " (breach.what) } } }
            }
            h3 { "Request" }
            p { code { (exchange.method) " " (exchange.url) } @if !exchange.content_type.is_empty() { br; code { "Content-Type: " (exchange.content_type) } } }
            pre tabindex="0" { (cut(&payload)) }
            @if let Some((name, bytes)) = &exchange.file {
                p { "with the file " code { (name) } ", " (size(*bytes)) " "
                    a href={ "/console/wire/" (id) "/file" } hx-boost="false" { "look at it" } }
            }
            h3 { "Reply" }
            @if let Some(error) = &exchange.error { p.wrong { (error) } } @else {
                p { code { "HTTP " (exchange.status) } @if !exchange.reply_type.is_empty() { br; code { "Content-Type: " (exchange.reply_type) } } }
                pre tabindex="0" { (cut(&body)) }
            }
            h3 { "As a command" }
            pre.command tabindex="0" { (cut(&command)) }
            button type="button" data-copy={ "/console/wire/" (id) "/curl" } { "Copy as curl" }
        }
    };
    if headers.contains_key("hx-request") {
        return whole.into_response();
    }
    around(&format!("Exchange {id}"), &html! { main.panel #wire { h2 { "Exchange " (id) } (whole) } }).into_response()
}

/// JSON for people, its fields in the order that they came in; `None` if it is none.
fn in_order(json: &str) -> Option<String> {
    let (mut text, mut read) = (Vec::new(), serde_json::Deserializer::from_str(json));
    serde_transcode::transcode(&mut read, &mut serde_json::Serializer::pretty(&mut text)).ok()?;
    read.end().ok()?;
    String::from_utf8(text).ok()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}\n\u{2026} and {} more", &text[..end], size(text.len() - end)),
        None => text.to_owned(),
    }
}

/// What the page doesn't show: the command with its secrets, the payload and the file as they were sent.
pub async fn part(State(console): State<Arc<Console>>, Path((id, part)): Path<(u64, String)>) -> Response {
    let Some(exchange) = find(&console, id) else { return gone() };
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    match part.as_str() {
        "curl" => (plain, exchange.curl(&format!("{}/console/wire", console.url))).into_response(),
        "payload" => (plain, exchange.payload_sent().to_owned()).into_response(),
        "file" => match exchange.file_sent() {
            Some(file) => untrusted(file),
            None => gone(),
        },
        _ => gone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_order() {
        assert_eq!(in_order(r#"{"b":1.50,"a":[]}"#).as_deref(), Some("{\n  \"b\": 1.5,\n  \"a\": []\n}"));
        assert_eq!((in_order("<html>"), in_order("{} {}")), (None, None));
    }
}
