//! DynamoDB: the embedded database behind DynamoDB's own protocol. The crate's own server is not used: it takes every
//! signature, and lets pages of all origins read what it answers.

use std::time::SystemTime;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Request, Response, StatusCode, header};
use dynoxide::{Database, DynoxideError};
use serde_json::json;

use crate::access_key::{AccessKey, why_not};

/// DynamoDB's limit for a request.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// What stands before an operation's name in `x-amz-target`, for tables and for streams.
const TARGETS: [&str; 2] = ["DynamoDB_20120810.", "DynamoDBStreams_20120810."];

/// A server of this database, for whoever signs with this key.
pub fn routes(database: Database, key: AccessKey) -> Router {
    Router::new().fallback(answer).with_state((database, key))
}

async fn answer(State((database, key)): State<(Database, AccessKey)>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    if let Some(why) = why_not(&parts.method, &parts.uri, &parts.headers) {
        return refused(StatusCode::FORBIDDEN, "AccessDeniedException", why);
    }
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", "a request has at most 16 MB");
    };
    if let Err(error) = key.verify(&parts, &body, SystemTime::now()) {
        return refused(StatusCode::BAD_REQUEST, error.kind(), &error.to_string());
    }
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = TARGETS.iter().find_map(|prefix| target.strip_prefix(prefix)).unwrap_or_default();
    match run(&database, operation, &body) {
        Ok(reply) => json_of(StatusCode::OK, reply),
        Err(error) => {
            let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::BAD_REQUEST);
            json_of(status, error.to_json())
        }
    }
}

/// Runs an operation: each is a method of the database that takes its request.
macro_rules! operations {
    ($database:ident, $operation:ident, $body:ident: $($name:literal => $method:ident,)*) => {
        match $operation {
            $($name => {
                let request = serde_json::from_slice($body).map_err(unreadable)?;
                serde_json::to_string(&$database.$method(request)?)
            })*
            _ => return Err(DynoxideError::ValidationException(format!("there is no operation {:?}", $operation))),
        }
    };
}

fn run(database: &Database, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
    let reply = operations!(database, operation, body:
        "CreateTable" => create_table,
        "DescribeTable" => describe_table,
        "UpdateTable" => update_table,
        "DeleteTable" => delete_table,
        "ListTables" => list_tables,
        "UpdateTimeToLive" => update_time_to_live,
        "DescribeTimeToLive" => describe_time_to_live,
        "GetItem" => get_item,
        "PutItem" => put_item,
        "UpdateItem" => update_item,
        "DeleteItem" => delete_item,
        "Query" => query,
        "Scan" => scan,
        "BatchGetItem" => batch_get_item,
        "BatchWriteItem" => batch_write_item,
        "TransactGetItems" => transact_get_items,
        "TransactWriteItems" => transact_write_items,
        "ListStreams" => list_streams,
        "DescribeStream" => describe_stream,
        "GetShardIterator" => get_shard_iterator,
        "GetRecords" => get_records,
    );
    reply.map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// What DynamoDB says of a request that isn't one. The database's own types begin theirs with a mark for its server.
fn unreadable(error: serde_json::Error) -> DynoxideError {
    let said = error.to_string();
    let said =
        said.split_once(':').filter(|(mark, _)| mark.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'));
    DynoxideError::ValidationException(said.map_or_else(|| error.to_string(), |(_, said)| said.to_owned()))
}

fn refused(status: StatusCode, kind: &str, message: &str) -> Response<Body> {
    json_of(status, json!({ "__type": format!("com.amazon.coral.service#{kind}"), "message": message }).to_string())
}

fn json_of(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let content_type = header::HeaderValue::from_static("application/x-amz-json-1.0");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
