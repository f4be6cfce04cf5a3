//! Our side, as the host's API tells it: orders with what Pruvan reported, what crews sent, what belongs nowhere, and
//! the push queue.

use host_client::{CallError, HostClient, segment};
use maud::{Markup, html};
use serde_json::Value;

use crate::links::{order_path, pages, paging, path};
use crate::state::Console;
use crate::view::View;
use crate::widgets::{badge, facts, hidden, plain, text, time_of};
use crate::{positions, results};

/// Orders, items and rows a page.
const PAGE: usize = 25;

/// The tabs of an account.
const LISTS: [(&str, &str); 3] = [("orders", "Orders"), ("unmatched", "Unmatched"), ("queue", "Push queue")];

/// And those of a work order.
const OF_ORDER: [(&str, &str); 4] =
    [("order", "Order"), ("photos", "Photos"), ("surveys", "Surveys"), ("positions", "Positions")];

pub async fn panel(console: &Console, host: &HostClient, view: &View) -> Markup {
    let tab = match view.tab.as_str() {
        "" if view.order.is_empty() => "orders",
        "" => "order",
        tab => tab,
    };
    let shown = match tab {
        _ if view.account.is_empty() => Ok(html! { p.hint { "There is no account yet." } }),
        "order" => order(host, view).await,
        "photos" => results::photos(console, host, view).await,
        "surveys" => results::surveys(console, host, view).await,
        "positions" => positions::positions(host, view).await,
        "unmatched" => results::unmatched(console, host, view).await,
        "queue" => queue(host, view).await,
        _ => orders(host, view).await,
    };
    let accounts = if console.desk.is_none() { usernames(host).await.unwrap_or_default() } else { Vec::new() };
    let link = |name: &str, title: &str| {
        html! { a href=(view.tab(name).url()) aria-current=[(name == tab).then_some("page")] { (title) } }
    };
    html! {
        section #ours .panel aria-labelledby="ours-title" {
            h2 #ours-title { "Our side" }
            @if !accounts.is_empty() {
                nav.tabs aria-label="Accounts" {
                    @for name in &accounts {
                        a href=(view.account(name).url()) aria-current=[(*name == view.account).then_some("page")] { (name) }
                    }
                }
            }
            nav.tabs aria-label="Our side" {
                @for (name, title) in LISTS { (link(name, title)) }
                @if !view.order.is_empty() {
                    span.of { (view.order) }
                    @for (name, title) in OF_ORDER { (link(name, title)) }
                }
            }
            @match shown {
                Ok(shown) => (shown),
                Err(error) => p.told.bad role="alert" { "\u{2717} " (error) },
            }
        }
    }
}

/// The accounts there are.
pub async fn usernames(host: &HostClient) -> Result<Vec<String>, CallError> {
    let (mut usernames, mut page) = (Vec::new(), "/accounts?limit=500".to_owned());
    loop {
        let reply = host.get(&page).await?;
        let accounts = reply["accounts"].as_array().into_iter().flatten();
        usernames.extend(accounts.filter_map(|account| account["username"].as_str().map(str::to_owned)));
        match reply["next"].as_str() {
            Some(next) => page = format!("/accounts?limit=500&cursor={}", segment(next)),
            None => return Ok(usernames),
        }
    }
}

async fn orders(host: &HostClient, view: &View) -> Result<Markup, CallError> {
    let mut query = paging(view, PAGE);
    if !view.find.is_empty() {
        query.push_str(&format!("&text={}", segment(&view.find)));
    }
    let reply = host.get(&path(view, &format!("/orders{query}"))).await?;
    let orders = reply["orders"].as_array().cloned().unwrap_or_default();
    Ok(html! {
        @if orders.is_empty() {
            p.hint { "No orders" @if !view.find.is_empty() { " with \u{201c}" (view.find) "\u{201d}" } "." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Orders on our side" {
                table {
                    thead { tr { th scope="col" { "Number" } th scope="col" { "Address" } th scope="col" { "Our status" }
                        th scope="col" { "Reported" } th scope="col" { "Field" } th scope="col" { "Changed" } } }
                    tbody {
                        @for order in &orders {
                            @let number = text(&order["workOrderNumber"]);
                            tr {
                                th scope="row" { a href=(view.order(&number).url()) { (number) } }
                                td { (plain(&order["workOrder"]["address1"])) }
                                td { @if order["deleted"].is_string() { (badge("deleted")) } @else { (plain(&order["workOrder"]["clientStatus"])) } }
                                td { (badge(&text(&order["reported"]["status"]))) }
                                td { (badge(&text(&order["reported"]["fieldStatus"]))) }
                                td { (time_of(&order["changed"])) }
                            }
                        }
                    }
                }
            }
        }
        (pages(view, &reply, "orders"))
    })
}

async fn order(host: &HostClient, view: &View) -> Result<Markup, CallError> {
    let order = host.get(&order_path(view, "")).await?;
    let (given, push) = (&order["workOrder"], &order["push"]);
    let address = ["address1", "city", "state", "zip"].map(|name| text(&given[name])).join(", ");
    let reports = order["reports"].as_array().cloned().unwrap_or_default();
    Ok(html! {
        (facts([
            ("Address", html! { (address) }),
            ("Our status", plain(&given["clientStatus"])),
            ("Changed", time_of(&order["changed"])),
            ("Ended", time_of(&order["ended"])),
            ("Deleted", time_of(&order["deleted"])),
            ("Push", html! { (badge(&text(&push["state"]))) @if push["attempts"].as_u64().is_some_and(|tries| tries > 0) { " after " (push["attempts"]) " attempts" } }),
            ("Waits", waits(push)),
        ]))
        form method="post" action="/console/do/push" { (hidden(view)) button #do-push type="submit" { "Push now" } }
        (directives(&order["directives"]))
        @if reports.is_empty() {
            p.hint { "Pruvan has reported nothing of it yet." }
        } @else {
            table {
                caption { "What Pruvan reported" }
                thead { tr { th scope="col" { "At" } th scope="col" { "Status" } th scope="col" { "Field status" } th scope="col" { "Due" } } }
                tbody {
                    @for report in reports.iter().rev() {
                        tr {
                            td { (time_of(&report["at"])) }
                            td { (badge(&text(&report["status"]))) }
                            td { (badge(&text(&report["fieldStatus"]))) }
                            td { (plain(&report["dueDate"])) }
                        }
                    }
                }
            }
        }
        details { summary { "The order as it was put in" } pre tabindex="0" { (pretty(given)) } }
    })
}

/// What keeps an order or the whole queue back, why, and until when; of what goes next, what Pruvan said last.
fn waits(of: &Value) -> Markup {
    html! {
        @if of["blockedBy"].is_string() {
            (badge(&text(&of["blockedBy"]))) " " span.wrong { (plain(&of["reason"])) }
            @if of["until"].is_string() { ", until " (time_of(&of["until"])) }
        } @else if of["lastError"].is_string() {
            span.wrong { (plain(&of["lastError"])) }
        }
    }
}

fn directives(directives: &Value) -> Markup {
    let all: Vec<(&String, &Value)> = directives.as_object().into_iter().flatten().collect();
    html! {
        @if !all.is_empty() {
            table {
                caption { "Directives, until Pruvan has them" }
                thead { tr { th scope="col" { "Field" } th scope="col" { "Value" } th scope="col" { "Set" } th scope="col" { "Pruvan" } } }
                tbody {
                    @for (name, directive) in all {
                        tr {
                            th scope="row" { (name) }
                            td { (plain(&directive["value"])) }
                            td { (time_of(&directive["set"])) }
                            td { (if directive["told"] == true { "has it" } else { "is still to get it" }) }
                        }
                    }
                }
            }
        }
    }
}

/// JSON on several lines with indents, as people read it.
fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

async fn queue(host: &HostClient, view: &View) -> Result<Markup, CallError> {
    let after = if view.cursor.is_empty() { String::new() } else { format!("?cursor={}", segment(&view.cursor)) };
    let reply = host.get(&path(view, &format!("/push-queue{after}"))).await?;
    let rows = reply["waiting"].as_array().cloned().unwrap_or_default();
    let parked = rows.iter().any(|row| row["state"] == "parked");
    let key = &reply["pushKey"];
    Ok(html! {
        (facts([
            ("Push key", html! { (badge(&text(&key["state"]))) @if key["since"].is_string() { " since " (time_of(&key["since"])) } }),
            ("Waiting", html! { (rows.len()) @if reply["next"].is_string() { " on this page" } }),
        ]))
        @if reply["blockedBy"].is_string() { p.hint { (waits(&reply)) } }
        @if parked {
            form method="post" action="/console/do/retry-parked" { (hidden(view)) button #do-retry-parked type="submit" { "Retry all that is parked" } }
        }
        @if rows.is_empty() {
            p.hint { "Pruvan has everything as it is." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="The push queue" {
                table {
                    thead { tr { th scope="col" { "Order" } th scope="col" { "State" } th scope="col" { "Attempts" }
                        th scope="col" { "Due" } th scope="col" { "Waits" } th scope="col" { "Action" } } }
                    tbody {
                        @for row in &rows {
                            @let number = text(&row["workOrderNumber"]);
                            tr {
                                th scope="row" { a href=(view.order(&number).url()) { (number) } }
                                td { (badge(&text(&row["state"]))) }
                                td { (row["attempts"]) }
                                td { (time_of(&row["due"])) }
                                td {
                                    // What keeps all of them back is told above.
                                    @if row["blockedBy"].is_string() && row["blockedBy"] == reply["blockedBy"] {
                                        (badge(&text(&row["blockedBy"])))
                                    } @else {
                                        (waits(row))
                                    }
                                }
                                td {
                                    form method="post" action="/console/do/retry" {
                                        (hidden(view))
                                        input type="hidden" name="number" value=(number);
                                        button id={ "retry-" (segment(&number)) } type="submit" aria-label={ "Retry " (number) } { "Retry" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        (pages(view, &reply, "the push queue"))
    })
}
