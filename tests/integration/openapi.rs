//! infra/openapi.yaml against the code: the same routes, fields, lengths, options and statuses. The linter and the
//! fuzzer see to the rest (`tests/fuzz/openapi.sh`).

use std::collections::{BTreeMap, BTreeSet};

use local::template::{TEMPLATE, Template};
use pruvan::options::{Level, OPTIONS};
use pruvan::status::OfficeStatus;
use pruvan::work_order::{Field, Kind, MAX_SERVICES, SERVICE_FIELDS, SERVICES, WORK_ORDER_FIELDS};
use serde_yaml_ng::Value;

fn document() -> Value {
    let mut document: Value = serde_yaml_ng::from_str(include_str!("../../infra/openapi.yaml")).unwrap();
    document.apply_merge().unwrap();
    document
}

fn names(map: &Value) -> BTreeSet<String> {
    map.as_mapping().into_iter().flatten().map(|(name, _)| name.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_route_is_described_and_no_other() {
    let functions = Template::parse(TEMPLATE).unwrap().functions;
    let routes: BTreeSet<(String, String)> = functions
        .values()
        .flat_map(|function| &function.routes)
        .map(|route| (route.method.to_lowercase(), route.path.clone()))
        .collect();
    let document = document();
    let methods = ["get", "put", "post", "patch", "delete"];
    let mut described = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_mapping().unwrap() {
        for method in methods {
            let operation = &item[method];
            if operation.is_null() {
                continue;
            }
            let path = path.as_str().unwrap();
            described.insert((method.to_owned(), path.to_owned()));
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path}");
            // Pruvan signs nothing; the host does, but on this machine.
            let open = operation["security"].as_sequence().is_some_and(Vec::is_empty);
            assert_eq!(open, !path.starts_with("/accounts"), "{method} {path}");
            // Parameters of the path are declared, and no others.
            let of = |value: &Value| value["parameters"].as_sequence().cloned().unwrap_or_default();
            let declared: BTreeSet<String> = [of(item), of(operation)]
                .concat()
                .iter()
                .map(|parameter| resolve(&document, parameter))
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
                .collect();
            let in_path: BTreeSet<String> = path
                .split('/')
                .filter_map(|part| Some(part.strip_prefix('{')?.strip_suffix('}')?.to_owned()))
                .collect();
            assert_eq!(declared, in_path, "{method} {path}");
        }
    }
    assert_eq!(described, routes);
}

#[test]
fn the_query_parameters_are_those_that_the_code_takes_and_no_others() {
    let document = document();
    let mut described = BTreeMap::new();
    for (path, item) in document["paths"].as_mapping().unwrap() {
        let path = path.as_str().unwrap();
        for method in ["get", "put", "post", "patch", "delete"].into_iter().filter(|_| path.starts_with("/accounts")) {
            let of = |value: &Value| value["parameters"].as_sequence().cloned().unwrap_or_default();
            let all = [of(item), of(&item[method])].concat();
            let query = all.iter().map(|parameter| resolve(&document, parameter)).filter(|it| it["in"] == "query");
            let names: BTreeSet<String> = query.map(|it| it["name"].as_str().unwrap().to_owned()).collect();
            if !names.is_empty() {
                described.insert(format!("{} {path}", method.to_uppercase()), names);
            }
        }
    }
    let taken = accounts::QUERY.iter().chain(orders::QUERY);
    let taken =
        taken.map(|(route, names)| ((*route).to_owned(), names.iter().map(|name| (*name).to_owned()).collect()));
    assert_eq!(described, taken.collect::<BTreeMap<_, _>>());
}

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let Some(reference) = value["$ref"].as_str() else { return value };
    reference.trim_start_matches("#/").split('/').fold(document, |value, part| &value[part])
}

/// One table against its schemas, as it is sent in and as it is kept.
fn same_fields(document: &Value, table: &[Field], kept: &str, given: &str, flags: &[&str]) {
    let schemas = &document["components"]["schemas"];
    let (kept, given) = (&schemas[kept], &schemas[given]);
    let fields: BTreeSet<String> = table.iter().map(|field| field.name.to_owned()).collect();
    assert_eq!(names(&kept["properties"]), fields);
    let with_flags: BTreeSet<String> =
        fields.iter().cloned().chain(flags.iter().map(|flag| (*flag).to_owned())).collect();
    assert_eq!(names(&given["properties"]), with_flags);
    for schema in [kept, given] {
        assert_eq!(schema["additionalProperties"], Value::Bool(false));
    }
    let required: BTreeSet<&str> =
        kept["required"].as_sequence().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(required, table.iter().filter(|field| field.required).map(|field| field.name).collect());
    for field in table {
        if let Kind::Text(max) | Kind::Html(max) = field.kind {
            for schema in [kept, given] {
                let schema = resolve(document, &schema["properties"][field.name]);
                assert_eq!(schema["maxLength"].as_u64(), Some(max as u64), "{}", field.name);
            }
        }
    }
}

#[test]
fn the_schemas_are_the_tables() {
    let document = document();
    let orders: Vec<Field> = WORK_ORDER_FIELDS.into_iter().chain([SERVICES]).collect();
    same_fields(&document, &orders, "WorkOrder", "WorkOrderPatch", &["force", "replaceSurvey", "keepServices"]);
    same_fields(&document, &SERVICE_FIELDS, "Service", "ServiceRequest", &[]);
    let schemas = &document["components"]["schemas"];
    let services = &schemas["WorkOrderPatch"]["properties"]["services"]["anyOf"][0];
    assert_eq!(services["maxItems"].as_u64(), Some(MAX_SERVICES as u64));
    let statuses: Vec<&str> =
        schemas["OfficeStatus"]["enum"].as_sequence().unwrap().iter().map(|status| status.as_str().unwrap()).collect();
    assert_eq!(statuses, OfficeStatus::ALL.iter().map(|status| status.as_str()).collect::<Vec<_>>());
    for (schema, level) in [("WorkOrderOptions", Level::WorkOrder), ("ServiceOptions", Level::Service)] {
        let (here, elsewhere): (Vec<_>, Vec<_>) = OPTIONS.iter().partition(|option| option.levels.contains(&level));
        let named = |options: Vec<&pruvan::options::MobileOption>| -> BTreeSet<String> {
            options.into_iter().map(|option| option.name.to_owned()).collect()
        };
        assert_eq!(names(&schemas[schema]["properties"]), named(here));
        let refused = schemas[schema]["propertyNames"]["not"]["enum"].as_sequence().unwrap();
        let refused: BTreeSet<String> = refused.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
        assert_eq!(refused, named(elsewhere));
    }
}

/// The document's examples are taken by the code.
#[test]
fn the_examples_are_good_orders() {
    let document = document();
    let bodies = &document["paths"]["/accounts/{username}/orders"]["post"]["requestBody"]["content"];
    let mut seen = BTreeMap::new();
    for (kind, content) in bodies.as_mapping().unwrap() {
        for (name, example) in content["examples"].as_mapping().into_iter().flatten() {
            let text = match &example["value"] {
                Value::String(text) => text.clone(),
                value => serde_json::to_string(value).unwrap(),
            };
            let format = bridge::import::Format::of(kind.as_str().unwrap(), &text);
            let rows = bridge::import::read(format, &text, &bridge::import::Choices::default()).unwrap();
            for row in rows {
                let order = row.order.unwrap_or_else(|fault| panic!("{name:?}: {fault}"));
                let parsed = pruvan::work_order::WorkOrder::parse(&row.number, order);
                assert!(parsed.is_ok(), "{name:?}: {parsed:?}");
                *seen.entry(kind.as_str().unwrap().to_owned()).or_insert(0) += 1;
            }
        }
    }
    assert_eq!(seen.keys().collect::<Vec<_>>(), ["application/json", "application/x-ndjson", "text/csv"]);
}
