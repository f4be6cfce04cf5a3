//! The page: its panels, side by side.

use maud::{Markup, html};

use crate::shell::around;
use crate::state::Console;
use crate::view::View;
use crate::widgets::said;
use crate::{our_side, pruvan_side, wire_side};

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
