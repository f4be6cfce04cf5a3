//! The Pruvan API, version 2, as the *host* sees it: the company that hands out work orders.
//!
//! Pruvan calls four web services of the host ([`validate`], [`get_work_orders`], [`upload`], [`status`]) and gives it
//! a secret URL to push changes to ([`push`]). This crate holds every payload, reply and table of that contract. It
//! does no I/O and knows no cloud.
//!
//! Two rules shape it:
//!
//! * **Lenient in.** Numbers as strings, `null` as `"null"`, `""` or missing, JSON inside JSON strings, lists that
//!   became objects, JSON with the faults of its writers: all are read ([`lenient`], [`json`]). What this crate doesn't
//!   know is kept, never dropped.
//! * **Strict out.** What it prints has the documented shape, keys in the documented order, and is ASCII ([`ascii`]):
//!   *Testing, General* in the specification says that "Unicode strings and/or characters are not accepted".
//!
//! References such as *Status Management* name sections of "Integrating with the Pruvan API (version 2)".

pub mod ascii;
pub mod credentials;
pub mod dates;
pub mod encoding;
pub mod get_work_orders;
pub mod html;
pub mod integration;
pub mod json;
pub mod lenient;
pub mod options;
pub mod payload;
pub mod push;
pub mod rewrite;
pub mod status;
pub mod survey;
pub mod upload;
pub mod validate;
pub mod work_order;

pub use credentials::Credentials;
pub use payload::PayloadError;

/// The README's example is compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
