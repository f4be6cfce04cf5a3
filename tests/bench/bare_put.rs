//! The floor of uploads in `cold.rs`: as `bare.rs`, and the event's body is stored in S3 as it came. It is a program of
//! its own, so that the other floor has no S3 in it.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use lambda_http::{Body, Error, Request, Response, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let settings: BTreeMap<String, String> = std::env::vars().collect();
    let text = |name: &str| settings.get(name).cloned().unwrap_or_default();
    let key = Credentials::new(text("AWS_ACCESS_KEY_ID"), text("AWS_SECRET_ACCESS_KEY"), None, None, "environment");
    let region = Region::new(text("AWS_REGION"));
    let dynamodb = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(key.clone())
        .region(region.clone())
        .endpoint_url(text("AWS_ENDPOINT_URL_DYNAMODB"));
    let s3 = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(key)
        .region(region)
        .endpoint_url(text("AWS_ENDPOINT_URL_S3"))
        .force_path_style(true);
    let dynamodb = aws_sdk_dynamodb::Client::from_conf(dynamodb.build());
    let s3 = aws_sdk_s3::Client::from_conf(s3.build());
    let (table, username, bucket) = (text("ACCOUNTS_TABLE"), text("USERNAME"), text("FILES_BUCKET"));
    lambda_http::run(service_fn(|request: Request| async {
        let get = dynamodb.get_item().table_name(&table).key("username", AttributeValue::S(username.clone()));
        let found = get.send().await?.item.is_some();
        let body = match request.into_body() {
            Body::Binary(bytes) => bytes,
            other => other.to_vec(),
        };
        s3.put_object().bucket(&bucket).key("floor").body(ByteStream::from(body)).send().await?;
        Ok::<_, Error>(Response::new(Body::from(format!("{{\"found\":{found}}}"))))
    }))
    .await
}
