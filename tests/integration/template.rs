//! template.yaml against the code and the design: routes, extensions, what is signed, and who may do what.

use std::collections::{BTreeMap, BTreeSet};

use bridge::Dependencies;
use bridge::outbound::Outbound;
use bridge::time::{Clock, Random, Waits};
use local::template::{TEMPLATE, Template};
use serde_yaml_ng::Value;

use crate::harness::pages::Page;
use crate::harness::permissions::{Permission, granted};

#[test]
fn every_service_has_every_extension_and_the_host_has_its_routes() {
    let template = Template::parse(TEMPLATE).unwrap();
    let routes: BTreeSet<(String, String, String, String)> = template
        .functions
        .values()
        .flat_map(|function| function.routes.iter().map(|route| (function.binary.clone(), route.clone())))
        .map(|(binary, route)| (binary, route.api, route.method, route.path))
        .collect();
    let mut expected = BTreeSet::new();
    for (binary, service) in [
        ("validate", "validate"),
        ("get-work-orders", "getWorkOrders"),
        ("upload-pictures", "uploadPictures"),
        ("status", "status"),
    ] {
        for extension in ["", ".html", ".php", ".svc", ".aspx"] {
            expected.insert((binary.into(), "PruvanApi".into(), "POST".into(), format!("/{service}{extension}")));
        }
    }
    let one = "/accounts/{username}/orders/{workOrderNumber}";
    for (binary, method, path) in [
        ("accounts", "GET", "/accounts"),
        ("accounts", "GET", "/accounts/{username}"),
        ("accounts", "PUT", "/accounts/{username}"),
        ("accounts", "POST", "/accounts/{username}/keys"),
        ("accounts", "DELETE", "/accounts/{username}/keys/{keyId}"),
        ("accounts", "GET", "/accounts/{username}/push-queue"),
        ("orders", "GET", "/accounts/{username}/orders"),
        ("orders", "POST", "/accounts/{username}/orders"),
        ("orders", "GET", one),
        ("orders", "PUT", one),
        ("orders", "PATCH", one),
        ("orders", "DELETE", one),
        ("accounts", "POST", "/accounts/{username}/push-queue/retry"),
        ("accounts", "POST", "/accounts/{username}/push-queue/{workOrderNumber}/retry"),
        ("orders", "POST", &format!("{one}/push")),
        ("orders", "GET", &format!("{one}/uploads")),
        ("orders", "GET", &format!("{one}/answers")),
        ("orders", "GET", &format!("{one}/manifest")),
        ("orders", "GET", "/accounts/{username}/uploads/{uuId}"),
        ("orders", "GET", "/accounts/{username}/unmatched"),
        ("orders", "POST", "/accounts/{username}/unmatched/{uuId}/assign"),
    ] {
        expected.insert((binary.into(), "HostApi".into(), method.into(), path.into()));
    }
    assert_eq!(routes, expected);
    let scheduled: BTreeMap<&str, u64> = template
        .functions
        .values()
        .filter_map(|function| Some((function.binary.as_str(), function.every?.as_secs() / 60)))
        .collect();
    assert_eq!(scheduled, BTreeMap::from([("count-orders", 1440), ("fetch-videos", 1), ("push-drain", 1)]));
}

/// SAM takes no other value, and lint lets any pass: what is misspelled is buffered, and cut at 6 MB.
#[test]
fn pulls_are_streamed_on_every_route_and_nothing_else_is() {
    for (id, resource) in resources() {
        for (_, event) in resource["Properties"]["Events"].as_mapping().into_iter().flatten() {
            let of = &event["Properties"];
            let streamed = of["ResponseTransferMode"].as_str() == Some("RESPONSE_STREAM");
            assert_eq!(streamed, id == "GetWorkOrdersFunction", "{id}: {event:?}");
            if streamed {
                let timeout = resource["Properties"]["Timeout"].as_u64().unwrap() * 1000;
                assert_eq!(of["TimeoutInMillis"].as_u64(), Some(timeout), "{id}");
            }
        }
    }
}

#[test]
fn gateway_responses_are_in_pruvans_shape() {
    let template = Template::parse(TEMPLATE).unwrap();
    let responses = &template.apis["PruvanApi"].responses;
    assert!(template.apis["PruvanApi"].binary && !template.apis["HostApi"].binary);
    let kinds = ["MISSING_AUTHENTICATION_TOKEN", "REQUEST_TOO_LARGE", "THROTTLED", "DEFAULT_4XX", "DEFAULT_5XX"];
    for kind in kinds {
        let body: serde_json::Value = serde_json::from_str(&responses[kind].body).unwrap();
        assert_eq!((&body["status"], &body["validated"]), (&false.into(), &false.into()));
        assert!(body["error"].as_str().unwrap().is_ascii());
        // Whichever shapes the reply to what is too large, it says what helps.
        let about_size = body["error"].as_str().unwrap().contains("4.5 MB");
        assert_eq!(about_size, matches!(kind, "REQUEST_TOO_LARGE" | "DEFAULT_4XX"), "{kind}");
    }
    for response in template.apis["HostApi"].responses.values() {
        assert_eq!(response.content_type, "application/problem+json");
        // No message of the gateway's own: that of a wrong signature repeats the caller's session token.
        assert!(!response.body.contains('$'), "{}", response.body);
        let problem: serde_json::Value = serde_json::from_str(&response.body).unwrap();
        assert!(problem["title"].is_string() && problem["detail"].is_string());
    }
}

fn resources() -> BTreeMap<String, Value> {
    let root: Value = serde_yaml_ng::from_str(TEMPLATE).unwrap();
    let resources = root["Resources"].as_mapping().unwrap().iter();
    resources.map(|(id, resource)| (id.as_str().unwrap().to_owned(), resource.clone())).collect()
}

/// The table of infra/docs/architecture.md, action by action: by function, `dynamodb:Query OrdersTable/index/changes`
/// and the like. A row changes there by a decision in infra/decisions.md.
fn documented() -> BTreeMap<String, BTreeSet<Permission>> {
    let tables = Page::read("infra/docs/architecture.md").tables();
    let table = tables.into_iter().find(|table| table[0][0] == "function" && table[0].len() > 3).unwrap();
    let code = |cell: &str| cell.trim_matches('`').to_owned();
    let (head, rows) = table.split_first().unwrap();
    let mut documented = BTreeMap::new();
    for row in rows {
        let mut may = BTreeSet::new();
        // The last column says whom it calls outside.
        for (on, cell) in head[1..head.len() - 1].iter().map(|on| code(on)).zip(&row[1..]) {
            for action in cell.split(", ").filter(|action| !action.is_empty()) {
                assert!(action.starts_with('`') && action.ends_with('`'), "{action}");
                let service = if on == "FilesBucket/*" { "s3" } else { "dynamodb" };
                may.insert(match code(action).split_once(' ') {
                    Some((action, index)) => format!("{service}:{action} {on}/{index}"),
                    None => format!("{service}:{} {on}", code(action)),
                });
            }
        }
        documented.insert(code(&row[0]), may);
    }
    documented
}

#[test]
fn every_function_may_do_exactly_what_the_architecture_says() {
    assert_eq!(granted(), documented());
}

/// A table that a function may not touch has no business in its environment.
#[test]
fn no_function_is_told_of_what_it_may_not_touch() {
    let documented = documented();
    let mut told = 0;
    for (id, function) in resources().into_iter().filter(|(_, of)| of["Type"] == "AWS::Serverless::Function") {
        let environment = function["Properties"]["Environment"]["Variables"].clone();
        let may = &documented[function["Metadata"]["BuildProperties"]["Binary"].as_str().unwrap()];
        for (name, value) in environment.as_mapping().into_iter().flatten() {
            let Value::Tagged(value) = value else { continue };
            let of = value.value.as_str().unwrap_or_default();
            if !of.ends_with("Table") && !of.ends_with("Bucket") {
                continue;
            }
            assert!(may.iter().any(|may| may.contains(of)), "{id} is told {name:?}, and may not touch {of}");
            told += 1;
        }
    }
    assert!(told > 15, "{told}");
}

#[test]
fn the_hosts_api_is_signed_and_no_route_is_excepted() {
    let resources = resources();
    let auth = &resources["HostApi"]["Properties"]["Auth"];
    assert_eq!(auth["DefaultAuthorizer"], "AWS_IAM");
    // With CALLER_CREDENTIALS, SAM's default, a caller would have to be allowed to invoke the functions themselves.
    assert_eq!(auth["InvokeRole"], "NONE");
    for function in resources.values().filter(|resource| resource["Type"] == "AWS::Serverless::Function") {
        for (name, event) in function["Properties"]["Events"].as_mapping().unwrap() {
            assert!(event["Properties"].get("Auth").is_none(), "{name:?} has an Auth of its own");
        }
    }
}

#[test]
fn data_outlives_the_stack_and_schedules_are_not_retried() {
    for (id, resource) in resources() {
        let properties = &resource["Properties"];
        match resource["Type"].as_str().unwrap() {
            "AWS::DynamoDB::Table" => {
                assert_eq!(resource["DeletionPolicy"], "Retain", "{id}");
                assert_eq!(resource["UpdateReplacePolicy"], "Retain", "{id}");
                assert_eq!(properties["DeletionProtectionEnabled"], true, "{id}");
                assert_eq!(properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true, "{id}");
            }
            "AWS::S3::Bucket" => {
                assert_eq!(resource["DeletionPolicy"], "Retain", "{id}");
                let block = properties["PublicAccessBlockConfiguration"].as_mapping().unwrap();
                assert!(block.len() == 4 && block.values().all(|value| *value == Value::Bool(true)), "{id}");
                assert_eq!(properties["VersioningConfiguration"]["Status"], "Enabled", "{id}");
            }
            "AWS::Serverless::Function" => {
                let logs = &properties["LoggingConfig"]["LogGroup"];
                assert!(
                    matches!(logs, Value::Tagged(tagged) if tagged.tag == "Ref"),
                    "{id} has a log group with retention"
                );
                for event in
                    properties["Events"].as_mapping().unwrap().values().filter(|event| event["Type"] == "ScheduleV2")
                {
                    assert_eq!(event["Properties"]["RetryPolicy"]["MaximumRetryAttempts"], 0, "{id}");
                    assert_eq!(event["Properties"]["OmitName"], true, "{id}: two stacks in one account would collide");
                }
            }
            _ => {}
        }
    }
}

/// Without this SAM makes a second stage of each API, named `Stage`, public and without the throttle.
#[test]
fn sam_makes_no_stage_of_its_own() {
    let template: Value = serde_yaml_ng::from_str(TEMPLATE).unwrap();
    assert_eq!(template["Globals"]["Api"]["OpenApiVersion"], "3.0.1");
}

/// Variables without which a function works as the template's default says, or that only stand-ins for AWS set. Those
/// that all functions have are read in one place each.
const OPTIONAL: [&str; 2] = ["BUFFERED_REPLIES", "PHOTO_SIZE"];

/// Each variable of a function is one that it does not start without, or one of [`OPTIONAL`], which the code reads.
#[test]
fn no_variable_is_set_in_vain() {
    let template = Template::parse(TEMPLATE).unwrap();
    let base =
        ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name.to_owned(), "x".to_owned()));
    let mut met = BTreeSet::new();
    for function in template.functions.values() {
        let starts = |without: &str| {
            let kept = function.environment.iter().filter(|(name, _)| *name != without);
            let kept = kept.map(|(name, value)| (name.clone(), value.clone()));
            let settings = base.iter().cloned().chain(kept).collect();
            let (clock, random) = (Clock::system(), Random::system());
            let dependencies = Dependencies::new(settings, clock, random, Waits::REAL, Outbound::public());
            local::functions::start(&function.binary, &dependencies).unwrap().map(|_| ())
        };
        starts("").unwrap();
        for name in function.environment.keys() {
            match starts(name) {
                Err(error) => assert!(error.to_string().contains(name), "{}: {error}", function.binary),
                Ok(()) => {
                    assert!(OPTIONAL.contains(&name.as_str()), "{} starts without {name}", function.binary);
                    met.insert(name.clone());
                }
            }
        }
    }
    assert_eq!(met, OPTIONAL.map(str::to_owned).into());
}
