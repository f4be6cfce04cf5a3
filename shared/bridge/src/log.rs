//! The log: one JSON object a line in Lambda, from our own code as verbose as is asked for, from all else never more
//! than `INFO`.
//!
//! What lies below `INFO` in the SDK, in hyper and in Lambda's runtime are whole requests and replies: credentials,
//! push keys, signed links. So no setting turns that on.

use std::str::FromStr as _;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{fmt, registry};

use crate::settings::Settings;

/// Our own crates, as `tracing` names them. A test compares this with the workspace.
pub const OURS: [&str; 17] = [
    "accounts",
    "bridge",
    "bridge_console",
    "checks",
    "count_orders",
    "fetch_videos",
    "get_work_orders",
    "host_client",
    "local",
    "orders",
    "pictures",
    "pruvan",
    "push_drain",
    "simulator",
    "status",
    "upload_pictures",
    "validate",
];

/// What is logged: our own code down to `ours`, all else down to `others`, but never below `INFO`.
pub fn filter(ours: LevelFilter, others: LevelFilter) -> Targets {
    let targets = Targets::new().with_default(others.min(LevelFilter::INFO));
    targets.with_targets(OURS.map(|name| (name, ours)))
}

/// The level that Lambda's setting for the application's log says, or else `RUST_LOG`; `INFO` if neither does.
pub fn level(settings: &Settings) -> Option<LevelFilter> {
    let level = settings.optional("AWS_LAMBDA_LOG_LEVEL").or_else(|| settings.optional("RUST_LOG"))?;
    LevelFilter::from_str(level).ok()
}

/// Makes this process log as Lambda's JSON format wants it.
pub(crate) fn start(settings: &Settings) {
    let level = level(settings).unwrap_or(LevelFilter::INFO);
    // The list of spans has the id of the request.
    let json = fmt::layer().json().flatten_event(true).with_target(false).with_current_span(false);
    let started = registry().with(json.with_filter(filter(level, level))).try_init();
    // A subscriber that is there already logs as well.
    drop(started);
}
