//! The whole system on one machine: the functions' own handlers, a gateway that makes REST API events for them, the schedules,
//! and DynamoDB and S3 inside the process, speaking their real protocols to the real SDKs.
//!
//! Routes, schedules, environment variables, tables and gateway responses are read from template.yaml, so that what runs here
//! and what is deployed can't drift apart. Everything binds 127.0.0.1 only.

pub mod conformance;
pub mod console;
pub mod demo;
pub mod desk;
pub mod doctor;
pub mod download;
pub mod functions;
pub mod gateway;
pub mod host_client;
pub mod import;
pub mod items;
pub mod projects;
pub mod questions;
pub mod report;
pub mod s3_store;
pub mod sample;
pub mod serve;
pub mod spec;
pub mod stand_in;
pub mod stores;
pub mod system;
pub mod template;
pub mod wire;

pub use pictures as picture;
pub use system::{Options, System};
