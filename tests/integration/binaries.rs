//! The built binaries under Lambda's Runtime API: each starts and answers its first event, and a panic ends no
//! function.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use lambda_simulator::process::{ManagedProcess, ProcessConfig, ProcessRole};
use lambda_simulator::{InvocationStatus, Simulator};
use local::template::{TEMPLATE, Template};
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};

use crate::harness::Harness;
use crate::harness::lambda::{endpoints, event, executable};

const SOON: Duration = Duration::from_secs(20);

/// A function's process, and the Runtime API that it asks for events.
struct Running {
    api: Simulator,
    process: ManagedProcess,
}

impl Running {
    async fn start(name: &str, environment: &BTreeMap<String, String>) -> Running {
        let api = Simulator::builder().function_name(name).invocation_timeout(SOON).build().await.unwrap();
        let mut config = ProcessConfig::new(executable(name), ProcessRole::Runtime).inherit_stdio(false);
        for (name, value) in environment {
            config = config.env(name, value);
        }
        let process = api.spawn_process_with_config(config).unwrap();
        Running { api, process }
    }

    /// The function's answer to an event.
    async fn answer(&self, event: Value) -> Value {
        let id = self.api.enqueue_payload(event).await;
        let state = self.api.wait_for_invocation_complete(&id, SOON).await.unwrap();
        assert_eq!(state.status, InvocationStatus::Success, "{:?}", state.error);
        state.response.unwrap().payload
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_binary_answers_its_first_event() {
    let harness = Harness::start().await;
    let vendor = harness.account("example", IntegrationType::Internal).await;
    let mut functions: BTreeMap<String, _> = Template::parse(TEMPLATE)
        .unwrap()
        .functions
        .into_values()
        .map(|function| (function.binary.clone(), function))
        .collect();
    let stored = json!({ "status": true, "error": null });
    for (name, expected) in [
        ("accounts", json!("example")),
        ("orders", json!("created")),
        ("validate", json!({ "error": "", "validated": true })),
        ("get-work-orders", json!("1001")),
        ("upload-pictures", stored.clone()),
        ("status", stored),
        ("push-drain", json!(null)),
        ("fetch-videos", json!(null)),
        ("count-orders", json!(null)),
    ] {
        let mut environment = functions.remove(name).unwrap().environment;
        environment.extend(endpoints(&harness));
        // The simulator takes whole replies; streaming.rs tests the others.
        environment.insert("BUFFERED_REPLIES".to_owned(), "true".to_owned());
        let mut running = Running::start(name, &environment).await;
        let answer = running.answer(event(name, &vendor.token)).await;
        let body: Value = answer["body"].as_str().map_or(Value::Null, |body| serde_json::from_str(body).unwrap());
        let told = match name {
            "accounts" => &body["username"],
            "orders" => &body["result"],
            "get-work-orders" => &body["workOrders"][0]["workOrderNumber"],
            _ => &body,
        };
        assert_eq!(told, &expected, "{name}: {answer}");
        running.process.kill().unwrap();
    }
    assert!(functions.is_empty(), "every function has its line above: {:?}", functions.keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_answers_json_and_the_next_event_is_served() {
    let mut running = Running::start("panics", &BTreeMap::new()).await;
    let body = async |path: &str| {
        let mut event = event("upload-pictures", "");
        event["path"] = json!(path);
        let answer = running.answer(event).await;
        assert_eq!(answer["statusCode"], 200);
        answer["body"].as_str().unwrap().to_owned()
    };
    let stored = r#"{"status":true,"error":null}"#;
    assert_eq!(body("/uploadPictures").await, stored);
    assert_eq!(
        body("/panic").await,
        r#"{"status":false,"error":"the order system is not available at the moment: please try again in a few minutes"}"#
    );
    assert_eq!(body("/uploadPictures").await, stored);
    assert_eq!(running.process.try_wait().unwrap(), None, "it is the same process still");
    running.process.kill().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_without_its_settings_does_not_start_and_names_what_is_missing() {
    let api = Simulator::builder().function_name("validate").build().await.unwrap();
    let mut command = Command::new(executable("validate"));
    command.env_clear().envs(api.lambda_env_vars()).env("AWS_ACCESS_KEY_ID", "a").env("AWS_SECRET_ACCESS_KEY", "b");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(!output.status.success());
    let log = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("the environment variable ACCOUNTS_TABLE is not set"), "{log}");
}
