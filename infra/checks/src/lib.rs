//! Judges implementations from outside: [`doctor`] a deployment of ours, [`conformance`] any implementation of the four
//! web services, of whatever make.

pub mod command;
pub mod conformance;
pub mod doctor;
mod reply;
pub mod report;
