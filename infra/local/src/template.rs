//! What the local runner reads out of template.yaml.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_yaml_ng::Value;

/// The template that this crate was built beside.
pub const TEMPLATE: &str = include_str!("../../../template.yaml");

/// The parts of it that run here.
#[derive(Debug, Clone)]
pub struct Template {
    /// The Lambda functions, by logical id.
    pub functions: BTreeMap<String, Function>,
    /// By logical id, as `CreateTable` takes them.
    pub tables: BTreeMap<String, Table>,
    /// Logical ids of the buckets.
    pub buckets: Vec<String>,
    /// The APIs of API Gateway, by logical id.
    pub apis: BTreeMap<String, Api>,
}

/// An API of API Gateway.
#[derive(Debug, Clone)]
pub struct Api {
    /// Whether functions get bodies of every media type in base64.
    pub binary: bool,
    /// The gateway's own answers, by response type.
    pub responses: BTreeMap<String, GatewayResponse>,
}

/// What the gateway itself answers where a request reaches no function.
#[derive(Debug, Clone)]
pub struct GatewayResponse {
    /// The body, in which nothing is put in place of variables.
    pub body: String,
    /// The reply's header Content-Type.
    pub content_type: String,
}

/// A Lambda function, as far as it matters here.
#[derive(Debug, Clone)]
pub struct Function {
    /// The Cargo binary that is deployed.
    pub binary: String,
    /// How long one call of it may take: 3 seconds unless the template says otherwise, as in AWS.
    pub timeout: Duration,
    /// Environment variables; a `!Ref` to a resource is its logical id, as in `sam local`.
    pub environment: BTreeMap<String, String>,
    /// Routes that call it.
    pub routes: Vec<Route>,
    /// How often a schedule calls it, if one does.
    pub every: Option<Duration>,
}

/// One route of an API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Logical id of the API.
    pub api: String,
    /// HTTP method in capitals, such as `GET`.
    pub method: String,
    /// Path of the route, with its parameters in braces: such as `/accounts/{username}`.
    pub path: String,
}

/// A table's keys: names, and types by name.
#[derive(Debug, Clone)]
pub struct Table {
    /// `S` or `N` by attribute.
    pub attributes: BTreeMap<String, String>,
    /// Partition and sort key.
    pub key: Vec<String>,
    /// The table's secondary indexes, the local ones first.
    pub indexes: Vec<Index>,
}

/// A secondary index of a DynamoDB table.
#[derive(Debug, Clone)]
pub struct Index {
    /// The name of the index, by which queries choose it.
    pub name: String,
    /// True for a local index, which has the table's partition key; false for a global one, which has its own.
    pub local: bool,
    /// Partition and sort key.
    pub key: Vec<String>,
    /// `ALL`, `KEYS_ONLY` or `INCLUDE`.
    pub projection: String,
    /// Attributes that are copied into the index beside the keys, with `INCLUDE`; otherwise there are none.
    pub non_key_attributes: Vec<String>,
}

/// The template has something that the local runner can't follow.
#[derive(Debug, thiserror::Error)]
#[error("template.yaml: {0}")]
pub struct TemplateError(String);

impl Template {
    /// Reads the YAML of a template. An error says what in it can't be read or isn't known here.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let root: Value = serde_yaml_ng::from_str(text).map_err(|error| TemplateError(error.to_string()))?;
        let parameters =
            map(&root["Parameters"]).map(|(name, parameter)| (name, scalar(&parameter["Default"]))).collect();
        let mut template = Template {
            functions: BTreeMap::new(),
            tables: BTreeMap::new(),
            buckets: Vec::new(),
            apis: BTreeMap::new(),
        };
        for (id, resource) in map(&root["Resources"]) {
            let properties = &resource["Properties"];
            match resource["Type"].as_str() {
                Some("AWS::Serverless::Function") => {
                    template.functions.insert(id.clone(), function(&id, resource, &parameters)?);
                }
                Some("AWS::Serverless::Api") => {
                    let responses = map(&properties["GatewayResponses"]);
                    let responses = responses.map(|(kind, response)| (kind, gateway_response(response))).collect();
                    let binary =
                        list(&properties["BinaryMediaTypes"]).any(|media_type| media_type.as_str() == Some("*~1*"));
                    template.apis.insert(id, Api { binary, responses });
                }
                Some("AWS::DynamoDB::Table") => {
                    template.tables.insert(id, table(properties));
                }
                Some("AWS::S3::Bucket") => template.buckets.push(id),
                _ => {}
            }
        }
        Ok(template)
    }
}

fn gateway_response(response: &Value) -> GatewayResponse {
    let header = scalar(&response["ResponseParameters"]["Headers"]["Content-Type"]);
    let content_type = if header.is_empty() { "application/json" } else { header.trim_matches('\'') };
    let body = scalar(&response["ResponseTemplates"]["application/json"]);
    GatewayResponse { body, content_type: content_type.to_owned() }
}

fn function(id: &str, resource: &Value, parameters: &BTreeMap<String, String>) -> Result<Function, TemplateError> {
    let properties = &resource["Properties"];
    let binary = resource["Metadata"]["BuildProperties"]["Binary"].as_str();
    let binary = binary.ok_or_else(|| TemplateError(format!("{id} names no Binary")))?.to_owned();
    let (mut routes, mut every) = (Vec::new(), None);
    for (event_id, event) in map(&properties["Events"]) {
        let of = &event["Properties"];
        match event["Type"].as_str() {
            Some("Api") => routes.push(Route {
                api: reference(&of["RestApiId"]).unwrap_or_default(),
                method: scalar(&of["Method"]).to_ascii_uppercase(),
                path: scalar(&of["Path"]),
            }),
            Some("ScheduleV2") => every = Some(rate(id, &scalar(&of["ScheduleExpression"]))?),
            other => return Err(TemplateError(format!("{id} has an event {event_id} of type {other:?}"))),
        }
    }
    let value = |value: &Value| match reference(value) {
        Some(name) => parameters.get(&name).cloned().unwrap_or(name),
        None => scalar(value),
    };
    let environment = map(&properties["Environment"]["Variables"]).map(|(name, of)| (name, value(of))).collect();
    let timeout = Duration::from_secs(properties["Timeout"].as_u64().unwrap_or(3));
    Ok(Function { binary, timeout, environment, routes, every })
}

/// `rate(1 minute)` and its like.
fn rate(id: &str, expression: &str) -> Result<Duration, TemplateError> {
    let parsed = expression.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')')).and_then(|rate| {
        let (number, unit) = rate.split_once(' ')?;
        let minutes = match unit.trim_end_matches('s') {
            "minute" => 1,
            "hour" => 60,
            "day" => 1440,
            _ => return None,
        };
        Some(Duration::from_secs(number.parse::<u64>().ok()? * minutes * 60))
    });
    parsed.ok_or_else(|| TemplateError(format!("{id} has a schedule that is no rate: {expression}")))
}

fn table(properties: &Value) -> Table {
    let key = |of: &Value| list(&of["KeySchema"]).map(|part| scalar(&part["AttributeName"])).collect();
    let attributes = list(&properties["AttributeDefinitions"]);
    let attributes = attributes.map(|part| (scalar(&part["AttributeName"]), scalar(&part["AttributeType"]))).collect();
    let indexes = |name: &str, local| {
        let indexes: Vec<Index> = list(&properties[name])
            .map(|index| Index {
                name: scalar(&index["IndexName"]),
                local,
                key: key(index),
                projection: scalar(&index["Projection"]["ProjectionType"]),
                non_key_attributes: list(&index["Projection"]["NonKeyAttributes"]).map(scalar).collect(),
            })
            .collect();
        indexes
    };
    let indexes = [indexes("LocalSecondaryIndexes", true), indexes("GlobalSecondaryIndexes", false)].concat();
    Table { attributes, key: key(properties), indexes }
}

fn map(value: &Value) -> impl Iterator<Item = (String, &Value)> {
    value.as_mapping().into_iter().flatten().map(|(name, value)| (scalar(name), value))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_sequence().into_iter().flatten()
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        _ => String::new(),
    }
}

/// The name in a `!Ref`.
fn reference(value: &Value) -> Option<String> {
    match value {
        Value::Tagged(tagged) if tagged.tag == "Ref" => Some(scalar(&tagged.value)),
        _ => None,
    }
}
