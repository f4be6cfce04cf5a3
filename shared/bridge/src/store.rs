//! What the DynamoDB tables have in common: attribute values, and errors that say what failed without saying what was
//! in it.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use serde::de::DeserializeOwned;

use crate::contention::Contention;

/// A row as DynamoDB has it.
pub type Item = HashMap<String, AttributeValue>;

/// A store that didn't do what it was asked. Nothing in it repeats a value, so it can be logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A call failed after the SDK's own retries; it may have taken effect.
    #[error("{operation} failed: {reason}")]
    Call {
        /// The AWS operation, and the table where that helps.
        operation: &'static str,
        /// The service's error code, or what kept the call from ending.
        reason: String,
    },
    /// A row is not what this version of the code writes.
    #[error("a row of {table} can't be read: {fault}")]
    Row {
        /// The table's name in the template.
        table: &'static str,
        /// The field, and what is wrong with it.
        fault: String,
    },
    /// A request that lacks something that it must have: a fault of ours, whatever others do.
    #[error("a request could not be made: {0}")]
    Unfit(&'static str),
    /// Others kept changing the same row.
    #[error("{0} was changed by others each time it was tried")]
    Contended(&'static str),
}

impl StoreError {
    /// Whether nothing is broken: others were only quicker.
    pub fn is_contention(&self) -> bool {
        matches!(self, StoreError::Contended(_))
    }

    /// From what the SDK says.
    pub fn call<E: ProvideErrorMetadata, R>(operation: &'static str, error: &SdkError<E, R>) -> StoreError {
        let reason = match error {
            SdkError::ServiceError(error) => error.err().code().unwrap_or("an error without a code").to_owned(),
            SdkError::TimeoutError(_) => "timed out".to_owned(),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => "timed out".to_owned(),
            SdkError::DispatchFailure(_) => "could not connect".to_owned(),
            SdkError::ResponseError(_) => "the reply could not be read".to_owned(),
            _ => "the request could not be made".to_owned(),
        };
        StoreError::Call { operation, reason }
    }
}

/// Maps an SDK error of `operation`, for `map_err`.
pub fn failed<E: ProvideErrorMetadata, R>(operation: &'static str) -> impl Fn(SdkError<E, R>) -> StoreError {
    move |error| StoreError::call(operation, &error)
}

/// A conditional write: what the service replied, or its refusal if the condition doesn't hold. While a transaction has
/// the row it is tried again, which the SDK doesn't do by itself.
pub async fn conditional<T, E: ProvideErrorMetadata, R, F: Future<Output = Result<T, SdkError<E, R>>>>(
    contention: &Contention,
    operation: &'static str,
    write: impl Fn() -> F,
) -> Result<Result<T, E>, StoreError> {
    let mut tries = contention.tries();
    loop {
        match write().await {
            Ok(reply) => return Ok(Ok(reply)),
            Err(SdkError::ServiceError(refusal)) if refusal.err().code() == Some("ConditionalCheckFailedException") => {
                return Ok(Err(refusal.into_err()));
            }
            Err(error) if conflicted(&error) => {
                if !tries.again().await {
                    return Err(StoreError::Contended("a row"));
                }
            }
            Err(error) => return Err(StoreError::call(operation, &error)),
        }
    }
}

/// True if a transaction had the row.
fn conflicted<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    code(error) == Some("TransactionConflictException")
}

fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// Most rows that one call can ask for.
const MOST_IN_BATCH: usize = 100;

/// The rows of these keys that exist, as they are now, in no order: these attributes of them, or all if none is named.
pub async fn batch_get(
    client: &Client,
    table: &str,
    mut keys: Vec<Item>,
    attributes: &[&str],
) -> Result<Vec<Item>, StoreError> {
    let mut items = Vec::with_capacity(keys.len());
    // By placeholders, since DynamoDB reserves words.
    let names: Vec<(String, String)> =
        attributes.iter().enumerate().map(|(index, name)| (format!("#a{index}"), (*name).to_owned())).collect();
    let projection: Vec<&str> = names.iter().map(|(placeholder, _)| placeholder.as_str()).collect();
    let projection = Some(projection.join(", ")).filter(|projection| !projection.is_empty());
    let names = Some(HashMap::from_iter(names)).filter(|names: &HashMap<String, String>| !names.is_empty());
    while !keys.is_empty() {
        let mut asked = keys.split_off(keys.len().saturating_sub(MOST_IN_BATCH));
        while !asked.is_empty() {
            let ask = KeysAndAttributes::builder().set_keys(Some(asked)).consistent_read(true);
            let ask = ask.set_projection_expression(projection.clone()).set_expression_attribute_names(names.clone());
            let ask = ask.build().map_err(|_| StoreError::Unfit("a batch without keys"))?;
            let reply = client.batch_get_item().request_items(table, ask).send().await;
            let reply = reply.map_err(failed("BatchGetItem"))?;
            let before = items.len();
            items.extend(reply.responses.into_iter().flatten().flat_map(|(_, items)| items));
            asked = reply.unprocessed_keys.into_iter().flatten().flat_map(|(_, left)| left.keys).collect();
            if !asked.is_empty() && items.len() == before {
                // Throttled: not asked again at once. What is only too much for one reply is.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    Ok(items)
}

/// A row as the type `T`.
pub fn row<T: DeserializeOwned>(table: &'static str, item: Item) -> Result<T, StoreError> {
    serde_dynamo::from_item(item).map_err(|error| unreadable(table, &error))
}

/// What is wrong with a row, without the value that serde quotes: it may be a push key.
pub fn unreadable(table: &'static str, error: &dyn std::fmt::Display) -> StoreError {
    let fault = error.to_string();
    // A missing field's name is ours, and of help; all else in quotes stood in the row.
    let own =
        if fault.starts_with("missing field") { fault.len() } else { fault.find(['"', '`']).unwrap_or(fault.len()) };
    let unquoted = fault[..own].trim_end();
    StoreError::Row { table, fault: unquoted.to_owned() }
}

/// A text as an attribute of DynamoDB's type S.
pub fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number as an attribute of DynamoDB's type N.
pub fn n(number: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// A time, in milliseconds, so that text sorts as time does.
pub fn sortable(ms: i64) -> String {
    format!("{:015}", ms.max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_cannot_be_read_is_told_without_its_values() {
        let fault = |name: &str, value: &str| {
            let item =
                Item::from([("username".to_owned(), s("u")), ("madeAt".to_owned(), n(0)), (name.to_owned(), s(value))]);
            row::<crate::accounts::Account>("Accounts", item).unwrap_err().to_string()
        };
        assert_eq!(fault("pushKeyState", "a-secret"), "a row of Accounts can't be read: unknown variant");
        assert!(!fault("madeAt", "a-secret").contains("a-secret"));
        let empty = row::<crate::accounts::Account>("Accounts", Item::new()).unwrap_err().to_string();
        assert!(empty.contains("missing field"), "{empty}");
    }
}
