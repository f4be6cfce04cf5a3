//! `conformance`: whether an implementation of the four web services, of whatever make, does what the specification
//! says, and what Pruvan's users and the integrations in the field count on.
//!
//! It plays Pruvan: it calls the services as Pruvan does, hands over a push key of its own, and judges what is pushed
//! to it. What it sends is the same in each run, so that a second run stores nothing new where uploads are told apart
//! by their `uuId`.

mod authentication;
mod call;
mod headers;
mod options;
mod pull;
mod pushes;
mod reader;
mod receiver;
mod replies;
mod seen;
mod status;
mod suite;
mod upload;

use host_client::web_services::pruvan_key;
use simulator::spec::{GENERAL, PUSHKEY, URL_FORMAT};

use crate::command::{NothingToCheck, print};
use crate::report::{Outcome, Report};
pub use options::{Format, Options, Waits};
use suite::Suite;

/// The command: makes all checks and prints the report. True if nothing failed.
pub async fn command(mut options: Options) -> Result<bool, NothingToCheck> {
    options.token = options.token.or_else(pruvan_key);
    let report = run(&options).await?;
    print(|colour| options.format.print(&report, colour))?;
    Ok(report.is_healthy())
}

/// Makes all checks. An error means that there was nothing to check, and names the next step.
pub async fn run(options: &Options) -> Result<Report, NothingToCheck> {
    let mut suite = Suite::new(options).await?;
    let done = tokio::select! {
        () = all(&mut suite) => Ok(()),
        _ = tokio::signal::ctrl_c() => Err(NothingToCheck::Interrupted),
    };
    suite.bar.finish_and_clear();
    done.map(|()| {
        // In the order of the specification, so that each section is one heading.
        suite
            .report
            .rows
            .sort_by_key(|row| row.section.map(|section| SECTIONS.iter().position(|known| *known == section)));
        suite.report
    })
}

/// Headings of the specification, in its order.
const SECTIONS: [&str; 18] = [
    URL_FORMAT,
    "The validate Web Service",
    "Authentication",
    "The getWorkOrders Web Service",
    "getWorkOrders Modes",
    "Available workOrder Object Fields",
    "Available workOrder service Object Fields",
    "Numbered Attributes",
    "Requirements",
    "Limits",
    "The uploadPictures Web Service",
    "Available uploadPictures Object Fields",
    "Pruvan Status Values",
    "The status Web Service",
    "Pruvan Push API",
    PUSHKEY,
    GENERAL,
    "Date Fields",
];

/// The checks, each with the rows that it makes.
async fn all(suite: &mut Suite) {
    suite.begin("https");
    let reached = suite.reached().await;
    let unreachable = matches!(reached, Outcome::Fail(_));
    suite.row(URL_FORMAT, "it answers, by https with a valid certificate", reached);
    if unreachable {
        return suite.nothing_else("the web service URL can't be reached");
    }
    suite.begin("the key");
    if !authentication::right(suite).await {
        return suite.nothing_else("the right key is refused");
    }
    suite.begin("imports");
    pull::checks(suite).await;
    suite.begin("wrong keys");
    authentication::wrong(suite).await;
    suite.begin("waiting for pushes");
    pushes::settle(suite).await;
    status::prefixed(suite).await;
    suite.begin("headers");
    headers::checks(suite).await;
    suite.begin("reports");
    status::checks(suite).await;
    suite.begin("uploads");
    upload::checks(suite).await;
    suite.begin("watching for echoes");
    pushes::checks(suite).await;
    suite.begin("reading back");
    upload::read_back(suite).await;
    replies::checks(suite);
}
