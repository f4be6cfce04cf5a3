//! The floor of `cold.rs`: the least that a function with a table can be. It makes its client when it starts, the
//! ordinary way, and reads one row for each event.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::{Client, Config};
use lambda_http::{Body, Error, Request, Response, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let settings: BTreeMap<String, String> = std::env::vars().collect();
    let text = |name: &str| settings.get(name).cloned().unwrap_or_default();
    let key = Credentials::new(text("AWS_ACCESS_KEY_ID"), text("AWS_SECRET_ACCESS_KEY"), None, None, "environment");
    let config = Config::builder().behavior_version(BehaviorVersion::v2026_01_12()).credentials_provider(key);
    let config = config.region(Region::new(text("AWS_REGION"))).endpoint_url(text("AWS_ENDPOINT_URL_DYNAMODB"));
    let (client, table, username) = (Client::from_conf(config.build()), text("ACCOUNTS_TABLE"), text("USERNAME"));
    lambda_http::run(service_fn(|_: Request| async {
        let get = client.get_item().table_name(&table).key("username", AttributeValue::S(username.clone()));
        let found = get.send().await?.item.is_some();
        Ok::<_, Error>(Response::new(Body::from(format!("{{\"found\":{found}}}"))))
    }))
    .await
}
