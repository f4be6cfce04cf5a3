//! What IAM would say of each call that a function makes: the connector between SDK and store knows which action on
//! which resource the call needs, and refuses as AWS does what template.yaml doesn't grant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use bridge::Dependencies;
use local::template::TEMPLATE;
use serde_json::{Value, json};
use serde_yaml_ng::Value as Yaml;

/// An action on a resource, such as `dynamodb:Query OrdersTable/index/changes`.
pub type Permission = String;

/// By function: what template.yaml lets it do.
pub fn granted() -> BTreeMap<String, BTreeSet<Permission>> {
    let template: Yaml = serde_yaml_ng::from_str(TEMPLATE).unwrap();
    let resources = template["Resources"].as_mapping().unwrap().values();
    let functions = resources.filter(|resource| resource["Type"] == "AWS::Serverless::Function");
    let mut granted = BTreeMap::new();
    for function in functions {
        let mut may = BTreeSet::new();
        for policy in function["Properties"]["Policies"].as_sequence().unwrap() {
            for statement in policy["Statement"].as_sequence().unwrap() {
                assert_eq!(statement["Effect"], "Allow");
                assert!(statement["Sid"].as_str().is_some_and(|sid| !sid.is_empty()));
                for action in statement["Action"].as_sequence().unwrap() {
                    assert!(!action.as_str().unwrap().contains('*'));
                    may.insert(format!("{} {}", action.as_str().unwrap(), resource(&statement["Resource"])));
                }
            }
        }
        granted.insert(function["Metadata"]["BuildProperties"]["Binary"].as_str().unwrap().to_owned(), may);
    }
    granted
}

/// The text of `!GetAtt X.Arn` and `!Sub '${X.Arn}/…'`: the resource, and what of it.
fn resource(value: &Yaml) -> String {
    let Yaml::Tagged(tagged) = value else { panic!("a resource that names no other: {value:?}") };
    tagged.value.as_str().unwrap().replace("${", "").replace(".Arn}", "").replace(".Arn", "")
}

/// What a call needs, each action of a transaction and each table of a batch by itself.
pub fn needed(request: &HttpRequest) -> Vec<Permission> {
    let Some(target) = request.headers().get("x-amz-target") else { return vec![needed_of_s3(request)] };
    let operation = target.rsplit('.').next().unwrap();
    let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
    let of = |action: &str, table: &Value| format!("dynamodb:{action} {}", table.as_str().unwrap());
    match operation {
        "TransactWriteItems" => {
            let actions = body["TransactItems"].as_array().unwrap().iter();
            let action = |action: &Value| {
                let (kind, of_it) = action.as_object().unwrap().iter().next().unwrap();
                let name = if kind == "ConditionCheck" { "ConditionCheckItem" } else { &format!("{kind}Item") };
                of(name, &of_it["TableName"])
            };
            actions.map(action).collect()
        }
        "BatchGetItem" | "BatchWriteItem" => {
            let tables = body["RequestItems"].as_object().unwrap().keys();
            tables.map(|table| format!("dynamodb:{operation} {table}")).collect()
        }
        _ => match body["IndexName"].as_str() {
            Some(index) => vec![format!("{}/index/{index}", of(operation, &body["TableName"]))],
            None => vec![of(operation, &body["TableName"])],
        },
    }
}

/// An upload in parts needs what a whole one needs, but for its end without a file.
fn needed_of_s3(request: &HttpRequest) -> Permission {
    let path = request.uri().split("://").nth(1).and_then(|rest| rest.split_once('/')).unwrap().1;
    let (bucket, key) = path.split_once(['/', '?']).unwrap();
    assert!(!key.is_empty());
    let action = match request.method() {
        "PUT" | "POST" => "PutObject",
        "DELETE" if path.contains("uploadId=") => "AbortMultipartUpload",
        "GET" | "HEAD" => "GetObject",
        other => panic!("{other} {path}"),
    };
    format!("s3:{action} {bucket}/*")
}

/// What functions asked for, and what they were refused.
#[derive(Debug, Clone, Default)]
pub struct Permissions {
    used: Arc<Mutex<BTreeMap<String, BTreeSet<Permission>>>>,
    refused: Arc<Mutex<BTreeSet<String>>>,
}

impl Permissions {
    /// The function's clients, which IAM looks at.
    pub fn of(&self, function: &str, dependencies: Dependencies) -> Dependencies {
        let guarded = |inner: Option<SharedHttpClient>| {
            let may = granted().remove(function).unwrap_or_default();
            let inner = inner.unwrap();
            SharedHttpClient::new(Guarded { function: function.to_owned(), may, permissions: self.clone(), inner })
        };
        let dynamodb = dependencies.dynamodb().unwrap().config().clone();
        let s3 = dependencies.s3().unwrap().config().clone();
        let dynamodb_client = guarded(dynamodb.http_client());
        let s3_client = guarded(s3.http_client());
        dependencies.with_clients(
            aws_sdk_dynamodb::Client::from_conf(dynamodb.to_builder().http_client(dynamodb_client).build()),
            aws_sdk_s3::Client::from_conf(s3.to_builder().http_client(s3_client).build()),
        )
    }

    /// The same for each function of a system.
    pub fn clients(&self) -> local::system::Clients {
        let permissions = self.clone();
        Arc::new(move |function, dependencies| permissions.of(function, dependencies))
    }

    /// Notes what somebody else did with a function's rights, such as follow a link that it signed.
    pub fn use_of(&self, function: &str, permission: &str) {
        self.used.lock().unwrap().entry(function.to_owned()).or_default().insert(permission.to_owned());
    }

    /// By function, what it did.
    pub fn used(&self) -> BTreeMap<String, BTreeSet<Permission>> {
        self.used.lock().unwrap().clone()
    }

    /// What was refused since this was last asked, each with its function.
    pub fn refused(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.refused.lock().unwrap())
    }
}

#[derive(Debug, Clone)]
struct Guarded<T> {
    function: String,
    may: BTreeSet<Permission>,
    permissions: Permissions,
    inner: T,
}

impl HttpClient for Guarded<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let Guarded { function, may, permissions, inner } = self.clone();
        let inner = inner.http_connector(settings, components);
        SharedHttpConnector::new(Guarded { function, may, permissions, inner })
    }
}

impl HttpConnector for Guarded<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        for permission in needed(&request) {
            if !self.may.contains(&permission) {
                self.permissions.refused.lock().unwrap().insert(format!("{}: {permission}", self.function));
                return HttpConnectorFuture::ready(Ok(access_denied(&request)));
            }
            self.permissions.use_of(&self.function, &permission);
        }
        self.inner.call(request)
    }
}

fn access_denied(request: &HttpRequest) -> HttpResponse {
    let (status, body) = match request.headers().get("x-amz-target") {
        Some(_) => {
            let kind = "com.amazon.coral.service#AccessDeniedException";
            (400, json!({ "__type": kind, "Message": "not authorized" }).to_string())
        }
        None => (403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>".to_owned()),
    };
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
}
