//! *The validate Web Service*: checks the credentials and hands over the push key.

use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::ascii::ascii;
use crate::credentials::Credentials;
use crate::lenient::text_field;

/// `{"username", "password", "token", "pushkey"}`. Sent when the user presses Validate; no other service carries the
/// push key.
#[derive(Debug)]
pub struct ValidateRequest {
    /// Which user asks, and how that is proved.
    pub credentials: Credentials,
    /// The pre-authenticated URL for pushes to this user's Pruvan account; whoever knows it can change their orders.
    pub push_key: Option<SecretString>,
}

impl ValidateRequest {
    /// Reads a payload. Nothing in it can make this fail.
    pub fn from_payload(mut payload: Map<String, Value>) -> ValidateRequest {
        ValidateRequest {
            credentials: Credentials::take(&mut payload),
            push_key: text_field(&payload, "pushkey").map(SecretString::from),
        }
    }
}

/// `{"error":"","validated":true}`, or the reason and `false`.
#[derive(Debug, Serialize)]
pub struct ValidateReply {
    error: String,
    validated: bool,
}

impl ValidateReply {
    /// The credentials are right.
    pub fn validated() -> ValidateReply {
        ValidateReply { error: String::new(), validated: true }
    }

    /// Not validated, with a message that Pruvan shows as it is.
    pub fn refused(error: &str) -> ValidateReply {
        ValidateReply { error: ascii(error).into_owned(), validated: false }
    }
}
