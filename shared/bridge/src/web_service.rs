//! What the four web services have in common: how a call is read, and what is said when it can't be answered.

use std::borrow::Cow;

use lambda_http::Request;

use crate::form::{self, PruvanForm};
use crate::http::{TRY_AGAIN, try_again};
use crate::store::StoreError;
use crate::telemetry::Record;

/// Why a call isn't answered as it asks, in words for Pruvan's people, who see them as they are. The record has the
/// reason already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(Cow<'static, str>);

impl Refusal {
    /// What was asked for can't be done: whoever asked has to change something.
    pub fn bad_request(record: &mut Record, why: impl Into<Cow<'static, str>>) -> Refusal {
        let why = why.into();
        record.bad_request(&why);
        Refusal(why)
    }

    /// The credentials are wrong.
    pub fn denied(record: &mut Record, why: &'static str) -> Refusal {
        record.denied(why);
        Refusal(Cow::Borrowed(why))
    }

    /// Our own stores failed, or others kept changing the same rows: Pruvan's people can only try again.
    pub fn failed(record: &mut Record, error: &StoreError) -> Refusal {
        record.store_failed(error);
        Refusal(Cow::Borrowed(try_again(error)))
    }

    /// To be tried again, for a reason that is in the record, or after a panic.
    pub fn again() -> Refusal {
        Refusal(Cow::Borrowed(TRY_AGAIN))
    }

    /// For a reason that is in the record already.
    pub fn recorded(why: &'static str) -> Refusal {
        Refusal(Cow::Borrowed(why))
    }

    /// What Pruvan's user reads.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads the body of a call, in any of the forms that Pruvan and test tools send.
pub async fn read(request: Request, record: &mut Record) -> Result<PruvanForm, Refusal> {
    form::read(request).await.map_err(|error| Refusal::bad_request(record, error.to_string()))
}
