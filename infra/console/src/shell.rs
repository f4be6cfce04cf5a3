//! The page around its content: scripts, styles, and how htmx swaps.

use maud::{DOCTYPE, Markup, html};

/// A page that was refused takes the place of nothing, and what is open stays open.
const HTMX: &str = r#"{"includeIndicatorCSS":false,"defaultTimeout":120000,"noSwap":[204,304,"4xx","5xx"],"morphIgnore":["data-htmx-powered","open"]}"#;

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
