//! Pruvan's side: the accounts' integrations, the projects as Pruvan holds them, and what its people and crews can do.

use host_client::segment;
use jiff::Timestamp;
use maud::{Markup, PreEscaped, html};
use pruvan::integration::IntegrationType;
use pruvan::status::{FieldStatus, OfficeStatus};
use serde_json::{Map, Value};
use simulator::desk::{Account, Desk, Made, kind};
use simulator::weather::PRESETS;

use crate::state::Console;
use crate::view::View;
use crate::widgets::{badge, facts, hidden, listed, plain, said, text, time};

/// How many projects are listed on one page.
const PAGE: usize = 12;

/// Items of a project that are listed.
const ITEMS: usize = 24;

pub fn panel(console: &Console, desk: &Desk, view: &View) -> Markup {
    let accounts = desk.accounts();
    let account = desk.account(&view.account);
    html! {
        section #pruvan .panel aria-labelledby="pruvan-title" {
            h2 #pruvan-title { "Pruvan\u{2019}s side" }
            nav.tabs aria-label="Accounts" {
                @for known in &accounts {
                    @let name = &known.integration.username;
                    a href=(view.account(name).url()) aria-current=[(*name == view.account).then_some("page")] { (name) }
                }
            }
            @if let Some(account) = &account {
                (integration(account, view))
                (said(account.told().as_ref(), "told"))
                @match chosen(account, view) {
                    Some(project) => (whole(account, &project, view)),
                    None => (projects(account, view)),
                }
            } @else if !view.account.is_empty() {
                p.hint { "No integration in Pruvan has the user name " b { (view.account) } "." }
            } @else {
                p.hint { "There is no account yet. Set up an integration, put orders in on our side, and validate." }
            }
            (new(console, view, accounts.len()))
        }
    }
}

fn button(action: &str, label: &str, about: &str, view: &View) -> Markup {
    html! {
        form method="post" action={ "/console/do/" (action) } {
            (hidden(view))
            button #{ "do-" (action) } type="submit" title=(about) { (label) }
        }
    }
}

fn integration(account: &Account, view: &View) -> Markup {
    let integration = &account.integration;
    let (kind, auto_admin, held) =
        integration.rules(|projects| (projects.kind, projects.auto_admin, projects.by_number.len()));
    let kind = match kind {
        IntegrationType::Internal => "Internal",
        IntegrationType::External if auto_admin => "External, Auto Admin on",
        IntegrationType::External => "External, Auto Admin off",
    };
    let imported = integration.imported().and_then(|at| Timestamp::from_second(at).ok());
    let dot = if integration.extension.is_empty() { "" } else { "." };
    let weather = account.weather();
    html! {
        div.card {
            (facts([
                ("Type", html! { (kind) }),
                ("URL", html! { code { (integration.web_service_url) "/{service}" (dot) (integration.extension) } }),
                ("Push key", html! { @if integration.is_dead() { (badge("dead")) } @else { code { "\u{2026}/api/?apiKey=***" } } }),
                ("Last refreshed", html! { @if let Some(at) = imported { (time(at)) } @else { "never" } }),
                ("Last error", html! { @if let Some(error) = account.last_error() { span.wrong { (error) } } }),
                ("Projects", html! { (held) }),
                ("Late effects", html! { @let late = integration.late_effects(); @if late > 0 { (late) " still to come" } }),
            ]))
            div.buttons {
                (button("validate", "Validate", "Checks user name and key, and hands the push key over", view))
                (button("import", "Import orders", "What has changed since the last import", view))
                (button("refresh", "Full refresh", "All current orders", view))
            }
            form.weather method="post" action="/console/do/weather" {
                (hidden(view))
                label { "Weather "
                    select #weather name="preset" {
                        @for other in &PRESETS {
                            option value=(other.name) selected[other.name == weather.name] { (other.title) }
                        }
                    }
                }
                button #do-weather type="submit" { "Set" }
                span .hint .wrong[!weather.is_fine()] { (weather.about) }
            }
        }
    }
}

/// The project that is looked at, if Pruvan has it.
fn chosen(account: &Account, view: &View) -> Option<Map<String, Value>> {
    account.integration.project(&view.order)
}

fn projects(account: &Account, view: &View) -> Markup {
    let find = view.find.to_lowercase();
    let (found, shown) = account.integration.rules(|projects| {
        let field = |project: &Map<String, Value>, name: &str| project.get(name).map(text).unwrap_or_default();
        let fits = |number: &str, project: &Map<String, Value>| {
            let address = ["address1", "city", "zip"].map(|name| field(project, name)).join(" ");
            find.is_empty() || number.to_lowercase().contains(&find) || address.to_lowercase().contains(&find)
        };
        let found = projects.by_number.iter().filter(|(number, project)| fits(number, project));
        let shown: Vec<(String, Map<String, Value>)> = found
            .clone()
            .skip(view.page.saturating_mul(PAGE))
            .take(PAGE)
            .map(|(number, project)| (number.clone(), project.clone()))
            .collect();
        (found.count(), shown)
    });
    html! {
        h3 { "Projects" }
        @if !view.order.is_empty() {
            p.hint { "Pruvan has no project " b { (view.order) } ": import, or wait for the next push." }
        }
        form.find method="get" action="/console" role="search" {
            input type="hidden" name="account" value=(view.account);
            label { "Find " input #find type="search" name="find" value=(view.find) placeholder="number or address"; }
            button type="submit" { "Find" }
        }
        @if found == 0 {
            p.hint { "None. \u{201c}Full refresh\u{201d} imports what our side has." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Projects in Pruvan" {
                table {
                    thead { tr { th scope="col" { "Number" } th scope="col" { "Address" } th scope="col" { "Status" }
                        th scope="col" { "Field" } th scope="col" { "Due" } th scope="col" { "Crew" } } }
                    tbody {
                        @for (number, project) in &shown {
                            @let field = |name: &str| project.get(name).map(text).unwrap_or_default();
                            tr {
                                th scope="row" { a href=(view.order(number).url()) { (number) } }
                                td { (field("address1")) }
                                td { (badge(&field("status"))) }
                                td { (badge(&field("fieldStatus"))) }
                                td.date { (field("dueDate").split(' ').next().unwrap_or_default()) }
                                td { (field("assignedTo")) }
                            }
                        }
                    }
                }
            }
            (pages(found, view))
        }
    }
}

fn pages(found: usize, view: &View) -> Markup {
    let last = found.saturating_sub(1) / PAGE;
    let page = view.page.min(last);
    html! {
        @if last > 0 {
            nav.pages aria-label="Pages of projects" {
                @if page > 0 { a href=(view.page(page - 1).url()) { "\u{2190} Earlier" } }
                span { "Page " (page + 1) " of " (last + 1) ", " (found) " projects" }
                @if page < last { a href=(view.page(page + 1).url()) { "Later \u{2192}" } }
            }
        }
    }
}

fn whole(account: &Account, project: &Map<String, Value>, view: &View) -> Markup {
    let field = |name: &str| project.get(name).map(text).unwrap_or_default();
    let shown = |name: &str| html! { (field(name)) };
    let address = ["address1", "city", "state", "zip"].map(field).join(", ");
    let services = project.get("services").and_then(Value::as_array).cloned().unwrap_or_default();
    let number = &view.order;
    html! {
        p.back { a href=(view.order("").url()) { "\u{2190} All projects" } }
        h3 { (account.integration.client_code) "::" (number) }
        (facts([
            ("Address", html! { (address) }),
            ("Status", html! { (badge(&field("status"))) }),
            ("Field status", html! { (badge(&field("fieldStatus"))) }),
            ("Due", shown("dueDate")),
            ("Assigned to", shown("assignedTo")),
            ("Client status", shown("clientStatus")),
            ("Info", shown("workOrderInfo")),
            ("Instructions", webview(&field("instructions"))),
            ("Client instructions", shown("clientInstructions")),
        ]))
        table {
            caption { "Tasks" }
            thead { tr { th scope="col" { "Name" } th scope="col" { "Survey" } th scope="col" { "Instructions" } } }
            tbody {
                @for service in &services {
                    tr { th scope="row" { (plain(&service["serviceName"])) } td { (plain(&service["survey"])) } td { (webview(&text(&service["instructions"]))) } }
                }
            }
        }
        (office(project, view))
        (crew(&services, account.items(Some(&view.order)).len(), view))
        (items(account, view))
    }
}

/// Instructions as the device shows them.
fn webview(instructions: &str) -> Markup {
    html! { @if !instructions.is_empty() { div.webview hx-ignore { (PreEscaped(pruvan::html::light(instructions).0)) } } }
}

fn office(project: &Map<String, Value>, view: &View) -> Markup {
    let field = |name: &str| project.get(name).map(text).unwrap_or_default();
    let due = field("dueDate");
    let due = due.split(' ').next().unwrap_or_default();
    html! {
        form.edit id={ "edit-" (segment(&view.order)) } method="post" action="/console/do/edit" {
            (hidden(view))
            h4 { "What its people change" }
            label { "Status " (select("status", OfficeStatus::ALL.iter().map(|status| status.as_str()), &field("status"))) }
            label { "Field status " (select("fieldStatus", FieldStatus::ALL.iter().map(|status| status.as_str()), &field("fieldStatus"))) }
            label { "Due " input type="date" name="dueDate" value=(due); }
            button #do-edit type="submit" { "Change and report" }
        }
    }
}

fn select<'a>(name: &str, values: impl Iterator<Item = &'a str>, chosen: &str) -> Markup {
    html! {
        select name=(name) {
            @let values: Vec<&str> = values.collect();
            // What another implementation has made up stays until somebody chooses otherwise.
            @if !values.contains(&chosen) && !chosen.is_empty() { option selected { (chosen) } }
            @for value in values { option selected[value == chosen] { (value) } }
        }
    }
}

fn crew(services: &[Value], made: usize, view: &View) -> Markup {
    let names = || services.iter().filter_map(|service| service["serviceName"].as_str());
    let id = segment(&view.order);
    html! {
        h4 { "What its crew makes" }
        // Another form after each item, so that a file that was chosen isn't sent twice.
        form.edit id={ "photo-" (id) "-" (made) } method="post" action="/console/do/photo" enctype="multipart/form-data" {
            (hidden(view))
            label { "Task " (select("service", names(), "")) }
            label { "Evidence " (select("evidence", ["before", "during", "after", "other"].into_iter(), "")) }
            label { "Notes " input type="text" name="notes" autocomplete="off"; }
            label.drop { "Photo: choose or drop one, or one is drawn " input type="file" name="file" accept="image/*,application/pdf"; }
            button #do-photo type="submit" { "Take a photo" }
        }
        form.edit id={ "item-" (id) } method="post" action="/console/do/item" {
            (hidden(view))
            label { "Task " (select("service", names(), "")) }
            div.buttons {
                @for (what, label) in [("survey", "Submit the survey"), ("check-in", "Check in"), ("video", "Publish a video"), ("csr", "Publish a service record")] {
                    button id={ "do-" (what) } type="submit" name="what" value=(what) { (label) }
                }
            }
        }
    }
}

fn items(account: &Account, view: &View) -> Markup {
    let items = account.items(Some(&view.order));
    html! {
        @if !items.is_empty() {
            h4 { "Made here: " (items.len()) }
            ul.items {
                @for made in items.iter().take(ITEMS) { (item(account, made, view)) }
            }
            @if items.len() > ITEMS { p.hint { "and " (items.len() - ITEMS) " earlier ones" } }
        }
    }
}

fn item(account: &Account, made: &Made, view: &View) -> Markup {
    let (id, what) = (made.text("uuId"), made.text("fileType"));
    let picture = format!("/console/item/{}/{}", segment(&account.integration.username), segment(id));
    let is_picture = matches!(what, "picture" | "csr");
    html! {
        li id={ "item-" (id) } {
            a.thumb href=(picture) hx-boost="false" aria-label={ (kind(what)) " " (made.text("fileName")) } {
                @if is_picture { img src=(picture) alt="" loading="lazy" width="88" height="66"; } @else { span.kind { (kind(what)) } }
            }
            div {
                (listed([made.text("key4"), made.text("evidenceType")].map(str::to_owned)))
                br;
                @if let Some(failed) = &made.failed { (badge("failed")) " " span.wrong { (failed) } }
                @else if made.published == 0 { (badge("pending")) }
                @else { (badge("published")) @if made.published > 1 { " " (made.published) " times" } }
            }
            form method="post" action="/console/do/again" {
                (hidden(view))
                input type="hidden" name="uuId" value=(id);
                button id={ "again-" (id) } type="submit" aria-label={ "Publish again: " (kind(what)) " " (made.text("fileName")) } { "Publish again" }
            }
        }
    }
}

fn new(console: &Console, view: &View, accounts: usize) -> Markup {
    html! {
        // Another one after each that is set up, so that what was typed goes.
        details.new id={ "new-" (accounts) } open[accounts == 0] {
            summary { "New integration" }
            form.edit method="post" action="/console/do/integrate" {
                (hidden(view))
                label { "User name " input type="text" name="username" required autocomplete="off" spellcheck="false"; }
                label { "Type " select name="kind" { option value="internal" { "Internal" } option value="external" { "External" } } }
                label.check { input type="checkbox" name="autoAdmin" value="true"; " Auto Admin" }
                @if console.host.is_some() {
                    p.hint { "Our side makes the account if it has none of this name, and a new key for it in any case." }
                } @else {
                    label { "Web service URL " input type="url" name="url" value=(console.web_service_url) required; }
                    label { "API key " input type="password" name="token" required autocomplete="off"; }
                }
                label { "Extension " select name="extension" { @for extension in ["html", "", "php", "svc", "aspx"] { option value=(extension) { (if extension.is_empty() { "none" } else { extension }) } } } }
                button #do-integrate type="submit" { "Set up" }
            }
        }
    }
}
