//! `cargo run -p local -- demo`: one work order makes the whole trip, and each step is checked.

use std::io::Write as _;

use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use simulator::listen::ListenError;
use simulator::{CallError, Exchange, Simulator};

use crate::start_error::StartError;
use crate::system::{Options, System};

const PHOTO: &[u8] = include_bytes!("../../../tests/fixtures/photo.jpg");
const REPORT: &[u8] = include_bytes!("../../../tests/fixtures/survey.pdf");
const PHOTO_ID: &str = "a52eafbf-cfd2-45f6-8351-2cff2bec1d3b";

/// Why the demo ended before its last step.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The system didn't start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The simulator didn't start.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A call that Pruvan made to a web service got no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The host's API could not be called.
    #[error("the host's API could not be called: {0}")]
    Host(#[from] reqwest::Error),
    /// A step came out otherwise than it must.
    #[error("this did not hold: {0}")]
    NotSo(String),
}

struct Demo {
    system: System,
    client: reqwest::Client,
    step: usize,
}

/// Runs the demo on a system of its own and prints each step. An error says what did not hold, or why a step could
/// not be made.
#[expect(clippy::too_many_lines, reason = "a story, told from beginning to end")]
pub async fn run() -> Result<(), DemoError> {
    let system = System::start(Options::default()).await?;
    let pruvan = Simulator::start().await?;
    let mut demo = Demo { system, client: reqwest::Client::new(), step: 0 };
    let url = demo.system.gateway_url.clone();

    demo.title("The host makes an account; its API key is shown this once");
    let made = demo.host("PUT", "/accounts/vendor1", Some(json!({ "integration": "internal" }))).await?;
    demo.holds(made["apiKey"].as_str().is_some_and(|key| key.len() == 43), "the account has an API key")?;
    let token = made["apiKey"].as_str().unwrap_or_default().to_owned();
    let vendor = pruvan.integrate(&url, "html", "vendor1", &token, IntegrationType::Internal, false);

    demo.title("The host puts a work order in");
    let order = json!({
        "address1": "110 East Main Street", "city": "Round Rock", "state": "TX", "zip": 78664,
        "instructions": "Mow the lawn. Caf\u{e9} key at the neighbour\u{2019}s.", "status": "assigned", "assignedTo": "crew1",
        "dueDate": "2016-05-25", "services": [{ "serviceName": "Grass cut" }, { "serviceName": "Inspection", "survey": "Simple" }],
    });
    let put = demo.host("PUT", "/accounts/vendor1/orders/SIMPLE%2F1", Some(order)).await?;
    demo.holds(put["result"] == "created", "the order is created")?;
    demo.holds(put["warnings"][0]["field"] == "/instructions", "a warning tells of the text that became ASCII")?;

    demo.title("The Pruvan user presses Validate");
    let validated = vendor.validate().await?;
    demo.shows(&validated);
    demo.holds(validated.body == r#"{"error":"","validated":true}"#, "the reply is the documented one")?;
    let account = demo.host("GET", "/accounts/vendor1", None).await?;
    demo.holds(account["pushKey"]["state"] == "live", "the push key is on file")?;

    demo.title("... and Import Orders");
    let imported = vendor.import(None).await?;
    demo.shows(&imported);
    let project = vendor.project("SIMPLE/1").unwrap_or_default();
    demo.holds(
        project.get("dueDate") == Some(&json!("2016-05-25 1200 +0")),
        "the due date is noon UTC of the day meant",
    )?;
    demo.holds(
        project.get("instructions") == Some(&json!("Mow the lawn. Cafe key at the neighbour's.")),
        "all text is ASCII",
    )?;

    demo.title("The schedule pushes the order, too: it can't know that the import arrived");
    demo.system.tick().await;
    demo.holds(vendor.pushes().len() == 1, "one push came")?;
    let order = demo.host("GET", "/accounts/vendor1/orders/SIMPLE%2F1", None).await?;
    demo.holds(order["push"]["state"] == "upToDate", "nothing waits any longer")?;

    demo.title("The crew takes a photo");
    let photo =
        vendor.publish(item("picture", PHOTO_ID, "Grass cut", "before"), Some(("1415913831993.jpg", PHOTO))).await?;
    demo.shows(&photo);
    demo.holds(photo.body == r#"{"status":true,"error":null}"#, "it is stored")?;

    demo.title("... and fills in a survey");
    let mut survey = item("survey", "2602cfc4-e6e5-4a8a-ae31-cca90aa2f6a2", "Inspection", "Survey");
    survey["survey"] = Value::from(
        json!({
            "meta": { "surveyId": "2602cfc4-e6e5-4a8a-ae31-cca90aa2f6a2", "surveyTemplateId": "vendor1::Simple-v1" },
            "answers": [{
                "id": "question1", "question": "What is your favorite color?", "answer": ["blue"], "answerType": "chooseOne",
                "picIds": [PHOTO_ID], "answerOptions": [{ "answer": "blue", "display": "Blue" }],
            }],
        })
        .to_string(),
    );
    let survey = vendor.publish(survey, Some(("survey.pdf", REPORT))).await?;
    demo.shows(&survey);
    demo.holds(survey.body == r#"{"status":true,"error":null}"#, "it is stored")?;

    demo.title("The crew marks the order complete");
    let complete = vendor.change_status("SIMPLE/1", "complete", "complete").await?;
    demo.shows(&complete);
    demo.holds(complete.body == r#"{"status":true,"error":null}"#, "the report is taken")?;

    demo.title("The host changes the order, and the schedule pushes it");
    demo.host("PATCH", "/accounts/vendor1/orders/SIMPLE%2F1", Some(json!({ "clientStatus": "In review" }))).await?;
    demo.system.tick().await;
    let pushed = vendor.pushes().pop().unwrap_or_default();
    demo.say(&format!("    pushed   {}", short(&pushed.to_string())));
    let project = vendor.project("SIMPLE/1").unwrap_or_default();
    demo.holds(project.get("clientStatus") == Some(&json!("In review")), "Pruvan has the change")?;
    demo.holds(
        project.get("status") == Some(&json!("complete")),
        "the crew's \"complete\" is not undone by the host's \"assigned\"",
    )?;

    demo.title("The host gets the results");
    let order = demo.host("GET", "/accounts/vendor1/orders/SIMPLE%2F1", None).await?;
    demo.holds(order["reported"]["fieldStatus"] == "complete", "the order is reported complete")?;
    let uploads = demo.host("GET", "/accounts/vendor1/orders/SIMPLE%2F1/uploads", None).await?;
    let uploads = uploads["uploads"].as_array().cloned().unwrap_or_default();
    demo.holds(uploads.len() == 2, "photo and survey are listed")?;
    for (kind, bytes) in [("picture", PHOTO), ("survey", REPORT)] {
        let link = uploads.iter().find(|upload| upload["fileType"] == kind).and_then(|upload| upload["link"].as_str());
        let got = demo.client.get(link.unwrap_or_default()).send().await?.bytes().await?;
        demo.holds(got == bytes, &format!("the {kind} comes back byte for byte ({} bytes)", bytes.len()))?;
    }
    demo.say("\nAll of it held.");
    demo.system.stop().await;
    Ok(())
}

fn item(file_type: &str, uu_id: &str, service: &str, evidence_type: &str) -> Value {
    json!({
        "uuId": uu_id, "key2": "SIMPLE/1", "key4": service, "fileType": file_type, "evidenceType": evidence_type,
        "gpsLatitude": "30.50881246", "gpsLongitude": "-97.67852886", "gpsTimestamp": "1414434574",
        "creationDate": "2014-10-27 13:29:35", "timestamp": 1_414_434_590, "notes": null, "authenticated": "1",
    })
}

impl Demo {
    fn title(&mut self, title: &str) {
        self.step += 1;
        self.say(&format!("\n{:>2}. {title}", self.step));
    }

    fn shows(&self, exchange: &Exchange) {
        self.say(&format!(
            "    POST {}\n    sent     {}\n    answered {} {}",
            exchange.url,
            short(&exchange.payload),
            exchange.status,
            short(&exchange.body)
        ));
    }

    fn holds(&self, holds: bool, what: &str) -> Result<(), DemoError> {
        if holds {
            self.say(&format!("    ok       {what}"));
            return Ok(());
        }
        Err(DemoError::NotSo(what.to_owned()))
    }

    fn say(&self, line: &str) {
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    async fn host(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, DemoError> {
        let url = format!("{}{path}", self.system.gateway_url);
        let method_name = method;
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap_or_default();
        let mut request = self.client.request(method, &url);
        self.say(&format!("    {method_name} {url}"));
        if let Some(body) = body {
            self.say(&format!("    sent     {}", short(&body.to_string())));
            request = request.body(body.to_string());
        }
        let reply = request.send().await?;
        let status = reply.status().as_u16();
        let mut body: Value = serde_json::from_slice(&reply.bytes().await?).unwrap_or_default();
        let shown = body.clone();
        mask(&mut body);
        self.say(&format!("    answered {status} {}", short(&body.to_string())));
        Ok(shown)
    }
}

/// Enough of a long line to see what it is.
fn short(text: &str) -> String {
    match text.char_indices().nth(400) {
        Some((end, _)) => format!("{} ... ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// Secrets are shown once, to their owner, and not on a screen.
fn mask(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if matches!(name.as_str(), "apiKey" | "link" | "fieldsLink") && value.is_string() {
                    *value = Value::from("***");
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        _ => {}
    }
}
