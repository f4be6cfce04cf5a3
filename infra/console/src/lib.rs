//! The console: one page that plays Pruvan, shows what our side makes of it, and every exchange between the two.
//!
//! Our side is shown through the host's API alone, so that the same page shows a deployed stack. All pages are plain
//! HTML with links and forms, which work as they are; htmx swaps what has changed.

mod act;
pub mod commands;
mod file;
mod links;
mod our_side;
mod page;
mod positions;
mod pruvan_side;
mod results;
mod routes;
mod shell;
mod state;
mod view;
mod widgets;
mod wire_side;

pub use state::Console;
