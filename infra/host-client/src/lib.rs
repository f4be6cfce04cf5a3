//! How a host is called: its API, signed, as the host's own systems call it, and its four web services, as Pruvan calls
//! them.

mod client;
pub mod download;
#[cfg(feature = "import")]
pub mod import;
mod signer;
pub mod stack;
pub mod web_services;
#[cfg(feature = "import")]
mod workbook;

pub use client::{CallError, HostClient, cause, segment};
pub use signer::{SetupError, Signer};

/// Prints what fails meanwhile on stderr, for a person who runs a command. A command says by itself what it does.
pub fn print_errors() {
    let stderr = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
    stderr.with_max_level(tracing_subscriber::filter::LevelFilter::ERROR).init();
}
