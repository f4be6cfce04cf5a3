//! What every function stands on: settings, credentials, the DynamoDB tables, the files in S3, and the HTTP edge.
//!
//! A function's `main.rs` makes its [`Dependencies`] from its environment; the local runner and the tests make their
//! own, with other stores and another clock, and call the same handlers.

mod account;
pub mod accounts;
pub mod auth;
pub mod aws;
pub mod bisection;
pub mod blocked;
pub mod change;
pub mod contention;
pub mod dependencies;
pub mod files;
pub mod form;
pub mod format;
pub mod host;
pub mod hourly_limit;
pub mod http;
pub mod import;
pub mod in_flight;
pub mod lease;
pub mod lines;
pub mod log;
mod order;
pub mod orders;
pub mod outbound;
mod plan;
pub mod push_queue;
pub mod run;
pub mod secrets;
pub mod settings;
pub mod store;
pub mod streamed;
pub mod telemetry;
pub mod time;
pub mod transaction;
mod update;
pub mod uploads;
pub mod web_service;

pub use dependencies::Dependencies;
pub use store::StoreError;
