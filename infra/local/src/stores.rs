//! DynamoDB and S3 inside the process, each behind its real protocol on a port of 127.0.0.1.

use std::path::{Path, PathBuf};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, LocalSecondaryIndex, Projection,
    ProjectionType, ScalarAttributeType,
};
use axum::Router;
use axum::error_handling::HandleError;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use bridge::time::Random;
use s3s::auth::{S3Auth, SecretKey};
use s3s::service::S3ServiceBuilder;
use s3s::validation::NameValidation;
use s3s::{S3Result, s3_error};
use secrecy::ExposeSecret as _;
use simulator::listen::listen;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::access_key::{AccessKey, NotSigned, why_not};
use crate::dynamodb;
use crate::s3_store::Store;
use crate::start_error::StartError;
use crate::template::{Table, Template};

/// DynamoDB and S3, both running inside this process.
#[derive(Debug)]
pub struct Stores {
    /// Base URL of DynamoDB.
    pub dynamodb_url: String,
    /// Base URL of S3.
    pub s3_url: String,
    /// Where S3 keeps its objects.
    pub objects: PathBuf,
    /// The only access key that both take.
    pub key: AccessKey,
    servers: Vec<JoinHandle<()>>,
}

impl Stores {
    /// Starts both, in `folder`, or with DynamoDB in memory if `keep` is false.
    pub async fn start(
        folder: &Path,
        keep: bool,
        template: &Template,
        stop: &watch::Receiver<bool>,
    ) -> Result<Stores, StartError> {
        let unusable = |error: &dyn std::fmt::Display| {
            StartError(format!(
                "the folder {} can't be used: {error}; choose another with --data, or --memory",
                folder.display()
            ))
        };
        std::fs::create_dir_all(folder).map_err(|error| unusable(&error))?;
        let (database, key) = if keep {
            let database = dynoxide::Database::new(&folder.join("dynamodb.sqlite").to_string_lossy());
            (database, AccessKey::kept(&folder.join("stores-key.json"), &Random::system()))
        } else {
            (dynoxide::Database::memory(), Ok(AccessKey::random(&Random::system())))
        };
        let database = database.map_err(|error| unusable(&error))?;
        let key = key.map_err(|error| unusable(&error))?;
        let (dynamodb, dynamodb_url) = serve(dynamodb::routes(database, key.clone()), stop).await?;
        let objects = folder.join("s3");
        let store = Store::open(&objects, template.buckets.clone()).map_err(|error| unusable(&error))?;
        let mut service = S3ServiceBuilder::new(store);
        service.set_auth(OwnKey(key.clone()));
        service.set_validation(LogicalIds);
        let service =
            HandleError::new(service.build(), |_: s3s::HttpError| async { StatusCode::INTERNAL_SERVER_ERROR });
        let (s3, s3_url) = serve(Router::new().fallback_service(service).layer(from_fn(s3_guard)), stop).await?;
        Ok(Stores { dynamodb_url, s3_url, objects, key, servers: vec![dynamodb, s3] })
    }

    /// Waits until both have stopped.
    pub async fn stopped(self) {
        for server in self.servers {
            let _ = server.await;
        }
    }
}

/// Serves these routes on a free port until it is told to stop.
async fn serve(routes: Router, stop: &watch::Receiver<bool>) -> Result<(JoinHandle<()>, String), StartError> {
    let (listener, url) = listen(0).await?;
    let stopped = until(stop.clone());
    let server = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(stopped).await {
            tracing::error!(%error, "store.stopped");
        }
    });
    Ok((server, url))
}

/// The runner's own key, and what to do about every other.
struct OwnKey(AccessKey);

#[async_trait::async_trait]
impl S3Auth for OwnKey {
    async fn get_secret_key(&self, id: &str) -> S3Result<SecretKey> {
        match id == self.0.id {
            true => Ok(self.0.secret.expose_secret().into()),
            false => Err(s3_error!(InvalidAccessKeyId, "{}", NotSigned::OtherKey)),
        }
    }
}

/// Signatures are `s3s`'s to check; what no SDK sends doesn't come so far.
async fn s3_guard(request: Request, next: Next) -> Response {
    match why_not(request.method(), request.uri(), request.headers()) {
        None => next.run(request).await,
        Some(why) => {
            let error = format!("<Error><Code>AccessDenied</Code><Message>{why}</Message></Error>");
            (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, "application/xml")], error).into_response()
        }
    }
}

/// Buckets are named by their logical ids here, as `sam local` names them; those have capitals.
struct LogicalIds;

impl NameValidation for LogicalIds {
    fn validate_bucket_name(&self, name: &str) -> bool {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }
}

/// Ends when the system is told to stop.
pub async fn until(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Makes the template's tables that aren't there yet.
pub async fn create_tables(client: &aws_sdk_dynamodb::Client, template: &Template) -> Result<(), StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError(format!("the tables could not be made: {error}"));
    for (name, table) in &template.tables {
        let mut create = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        for (attribute, kind) in &table.attributes {
            let attribute = AttributeDefinition::builder()
                .attribute_name(attribute)
                .attribute_type(ScalarAttributeType::from(kind.as_str()));
            create = create.attribute_definitions(attribute.build().map_err(|error| failed(&error))?);
        }
        create = create.set_key_schema(Some(key_schema(&table.key)?));
        for index in &table.indexes {
            let projection = Projection::builder()
                .projection_type(ProjectionType::from(index.projection.as_str()))
                .set_non_key_attributes(Some(index.non_key_attributes.clone()).filter(|names| !names.is_empty()))
                .build();
            let schema = key_schema(&index.key)?;
            create = if index.local {
                let index = LocalSecondaryIndex::builder()
                    .index_name(&index.name)
                    .set_key_schema(Some(schema))
                    .projection(projection);
                create.local_secondary_indexes(index.build().map_err(|error| failed(&error))?)
            } else {
                let index = GlobalSecondaryIndex::builder()
                    .index_name(&index.name)
                    .set_key_schema(Some(schema))
                    .projection(projection);
                create.global_secondary_indexes(index.build().map_err(|error| failed(&error))?)
            };
        }
        match create.send().await {
            Ok(_) => {}
            Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_in_use_exception()) => {
                check_kept(client, name, table).await?;
            }
            Err(error) => return Err(failed(&aws_sdk_dynamodb::error::DisplayErrorContext(error))),
        }
    }
    Ok(())
}

/// A table kept from an earlier run must have today's indexes: local ones can't be added.
async fn check_kept(client: &aws_sdk_dynamodb::Client, name: &str, table: &Table) -> Result<(), StartError> {
    let outdated = || {
        StartError(format!(
            "the kept table {name} is of an earlier version: delete the folder, or choose another with --data"
        ))
    };
    let kept =
        client.describe_table().table_name(name).send().await.map_err(|_| outdated())?.table.ok_or_else(outdated)?;
    let local = kept.local_secondary_indexes.unwrap_or_default().into_iter().filter_map(|index| index.index_name);
    let global = kept.global_secondary_indexes.unwrap_or_default().into_iter().filter_map(|index| index.index_name);
    let kept: Vec<String> = local.chain(global).collect();
    if table.indexes.iter().all(|index| kept.contains(&index.name)) { Ok(()) } else { Err(outdated()) }
}

fn key_schema(key: &[String]) -> Result<Vec<KeySchemaElement>, StartError> {
    let kinds = [KeyType::Hash, KeyType::Range];
    let parts = key
        .iter()
        .zip(kinds)
        .map(|(name, kind)| KeySchemaElement::builder().attribute_name(name).key_type(kind).build());
    parts.collect::<Result<_, _>>().map_err(|error| StartError(error.to_string()))
}
