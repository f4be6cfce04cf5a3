//! How a host is called: its API, signed, as the host's own systems call it, and its four web services, as Pruvan calls
//! them.

mod client;
pub mod download;
#[cfg(feature = "import")]
pub mod import;
mod signer;
pub mod stack;
pub mod web_services;

pub use client::{CallError, HostClient, cause, segment};
pub use signer::{SetupError, Signer};
