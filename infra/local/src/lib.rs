//! The whole system on one machine: the functions' own handlers, a gateway that makes REST API events for them, the
//! schedules, and DynamoDB and S3 inside the process, speaking their real protocols to the real SDKs.
//!
//! Routes, schedules, environment variables, tables and gateway responses are read from template.yaml, so that what
//! runs here and what is deployed can't drift apart. Everything binds 127.0.0.1 only.

pub mod access_key;
pub mod demo;
mod dynamodb;
pub mod functions;
pub mod gateway;
pub mod s3_store;
pub mod sample;
mod schedules;
pub mod serve;
mod start_error;
pub mod stores;
pub mod system;
pub mod template;

pub use start_error::StartError;
pub use system::{Options, System};
