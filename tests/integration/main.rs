//! The real handlers on the embedded stores, called through the gateway as Pruvan and the host call them.

#![expect(clippy::too_many_lines, reason = "a scenario is told from beginning to end")]
#![expect(clippy::unwrap_used, reason = "a test that meets what it does not expect must fail")]

mod harness;

mod alarms;
mod auth;
mod bad_days;
mod binaries;
mod blocked;
mod bulk;
mod conformance;
mod console;
mod contention;
mod cut_pulls;
mod directives;
mod doctor;
mod events;
mod host_api;
mod host_api_edges;
mod house;
mod import;
mod isolation;
mod leases;
mod lists;
mod lost_replies;
mod machine;
mod openapi;
mod pages;
mod payloads;
mod permissions;
mod pruvan_services;
mod pull_model;
mod pulls;
mod push_drain;
mod push_model;
mod results;
mod round_trip_faults;
mod runbook;
mod sample;
mod secrets;
mod spec_examples;
mod spreadsheets;
mod streaming;
mod template;
mod upload_faults;
mod uploads;
mod video_faults;
mod videos;
