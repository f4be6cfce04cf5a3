//! Plays Pruvan by the specification's rules, for tests, for the console and for whoever builds another host.
//!
//! A [`Simulator`] takes pushes and serves videos; an [`Integration`] is what a Pruvan user has set up, and calls the
//! four web services. What it holds of work orders it holds as Pruvan does ([`projects`]), what crews make it sends as
//! Pruvan does ([`items`]), and every exchange is kept ([`wire`]) and judged ([`spec`]). [`desk`] keeps all of it
//! between runs.

pub mod desk;
pub mod folder;
pub mod integration;
pub mod items;
pub mod listen;
pub mod projects;
pub mod push;
pub mod questions;
mod server;
pub mod spec;
mod state;
pub mod video;
pub mod weather;
pub mod wire;

pub use host_client::web_services::multipart;
pub use integration::{CallError, Integration};
pub use server::{PATHS, Simulator, system_ms};
pub use state::{Connection, Kept};
pub use video::{MP4_HEAD, VideoReply};
pub use weather::Weather;
pub use wire::Exchange;
