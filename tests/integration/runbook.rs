//! infra/runbook.md against the template and the code: each alarm has its entry, and what is named and asked for is
//! there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bridge::StoreError;
use bridge::lines::Lines;
use bridge::telemetry::Telemetry;
use lambda_http::Request;
use local::template::TEMPLATE;
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use simulator::VideoReply;

use crate::harness::imports::rust_files;
use crate::harness::pages;
use crate::harness::{Harness, PHOTO, picture};

const RUNBOOK: &str = include_str!("../../infra/runbook.md");

/// The parts of an alarm's entry.
const PARTS: [&str; 4] =
    ["**What it means.**", "**What to look at.**", "**What to do.**", "**How to see that it worked.**"];

/// Names of AWS's own that the text uses.
const AWS: [&str; 8] = [
    "AccessDenied",
    "ConcurrentExecutions",
    "Count",
    "FunctionError",
    "InternalServerError",
    "MemorySize",
    "NoSuchBucket",
    "ReservedConcurrentExecutions",
];

fn root() -> serde_yaml_ng::Value {
    serde_yaml_ng::from_str(TEMPLATE).unwrap()
}

/// The template's resources of a type.
fn resources_of(kind: &str) -> BTreeSet<String> {
    let root = root();
    let resources = root["Resources"].as_mapping().unwrap();
    let of = resources.iter().filter(|(_, resource)| resource["Type"] == kind);
    of.map(|(id, _)| id.as_str().unwrap().to_owned()).collect()
}

/// What the template names, and what SAM names after it.
fn named() -> BTreeSet<String> {
    let root = root();
    let mut named = BTreeSet::new();
    for section in ["Parameters", "Resources", "Outputs"] {
        for (name, of) in root[section].as_mapping().unwrap() {
            let name = name.as_str().unwrap();
            named.insert(name.to_owned());
            for (event, _) in of["Properties"]["Events"].as_mapping().into_iter().flatten() {
                let event = event.as_str().unwrap();
                named.extend([format!("{name}{event}"), format!("{name}{event}Role")]);
            }
        }
    }
    named
}

/// The runbook between two headings.
fn section(from: &str, to: Option<&str>) -> &'static str {
    let (_, section) = RUNBOOK.split_once(&format!("\n## {from}\n")).unwrap();
    match to {
        Some(to) => section.split_once(&format!("\n## {to}\n")).unwrap().0,
        None => section,
    }
}

#[test]
fn every_alarm_has_one_entry_and_no_entry_is_left_over() {
    let mut entries = Vec::new();
    for entry in section("Alarms", Some("Procedures")).split("\n### ").skip(1) {
        let (id, text) = entry.split_once('\n').unwrap();
        let mut rest = text;
        for part in PARTS {
            assert_eq!(text.matches(part).count(), 1, "{id}: {part}");
            let (before, after) = rest.split_once(part).unwrap_or_else(|| panic!("{id}: {part} comes too late"));
            assert!(part == PARTS[0] || before.trim().len() > 30, "{id}: nothing stands before {part}");
            rest = after;
        }
        assert!(rest.trim().len() > 30, "{id}");
        entries.push(id.to_owned());
    }
    entries.sort();
    assert_eq!(entries, resources_of("AWS::CloudWatch::Alarm").into_iter().collect::<Vec<String>>());
}

/// The text and the shell's lines, apart.
fn text_and_commands() -> (String, Vec<&'static str>) {
    let (mut text, mut commands, mut fenced) = (String::new(), Vec::new(), false);
    for line in RUNBOOK.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            commands.push(line.trim_start());
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    assert!(!fenced);
    (text, commands)
}

/// Lines of all functions, with every outcome.
async fn lines() -> Vec<Value> {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({})).await;
    vendor.import(None).await.unwrap();
    vendor.change_status("1", "complete", "complete").await.unwrap();
    let link = harness.pruvan.video("gone", [VideoReply::Status(404)]);
    let still = picture("v", "unknown", json!({ "videoUri": link, "timestamp": harness.now() }));
    vendor.publish(still, Some(("1.jpg", PHOTO))).await.unwrap();
    let mut liar = vendor.clone();
    liar.token = "guess".to_owned();
    liar.validate().await.unwrap();
    let garbled = harness.client.post(format!("{}/validate", vendor.web_service_url)).body("{");
    garbled.send().await.unwrap();
    harness.host("GET", "/accounts/nobody", None).await;
    harness.host("GET", "/accounts/vendor1/orders/1", None).await;
    harness.system.tick().await;
    // What nobody says anything of has failed.
    let failed: Arc<Mutex<Vec<Value>>> = Arc::default();
    let hears = failed.clone();
    let mut dependencies = harness.dependencies();
    dependencies.lines = Lines::new("PruvanBridge/test", move |line| hears.lock().unwrap().push(line.clone()));
    drop(Telemetry::new(&dependencies, "status").request(&Request::default()));
    let contended = StoreError::Contended("an order");
    Telemetry::new(&dependencies, "status").request(&Request::default()).store_failed(&contended);
    let mut lines = harness.lines();
    lines.append(&mut failed.lock().unwrap());
    let functions: BTreeSet<&str> = lines.iter().filter_map(|line| line["Function"].as_str()).collect();
    assert_eq!(functions.len(), 9, "{functions:?}");
    let outcomes: BTreeSet<&str> = lines.iter().filter_map(|line| line["outcome"].as_str()).collect();
    assert_eq!(outcomes, BTreeSet::from(["bad_request", "contended", "denied", "failed", "ok"]));
    lines
}

/// The metrics in lines, each with the function that makes it.
fn metrics(lines: &[Value]) -> BTreeSet<(String, String)> {
    let mut metrics = BTreeSet::new();
    for line in lines {
        let function = line["Function"].as_str().unwrap();
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            for metric in directive["Metrics"].as_array().unwrap() {
                metrics.insert((metric["Name"].as_str().unwrap().to_owned(), function.to_owned()));
            }
        }
    }
    metrics
}

#[tokio::test]
async fn what_is_named_is_there() {
    let metrics = metrics(&lines().await);
    let mut known = named();
    known.extend(metrics.iter().map(|(name, _)| name.clone()));
    known.extend(AWS.map(str::to_owned));
    let (text, commands) = text_and_commands();
    let mut seen = BTreeSet::new();
    for name in text.split('`').skip(1).step_by(2) {
        let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.contains(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric());
        assert!(!is_name || known.contains(name), "there is no {name}");
        if is_name {
            seen.insert(name);
        }
    }
    assert!(seen.len() > 40, "{seen:?}");

    // What is looked up by its name in the template, and the metrics that are asked for.
    let named = named();
    let (mut looked_up, mut asked_for) = (0, 0);
    let in_text = text.split('`').skip(1).step_by(2);
    for line in commands.iter().copied().chain(in_text) {
        for after in line.split("physical ").skip(1) {
            let name: String = after.chars().take_while(char::is_ascii_alphanumeric).collect();
            let whole = !after[name.len()..].starts_with('$');
            if !name.is_empty() && whole {
                assert!(named.contains(&name), "{line}");
                looked_up += 1;
            }
        }
        for after in line.split("alarm ").skip(1) {
            let name: String = after.chars().take_while(char::is_ascii_alphanumeric).collect();
            assert!(!name.ends_with("Alarm") || named.contains(&name), "{line}");
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["metric", name, function, statistic, ..] = words.as_slice() {
            assert!(metrics.contains(&((*name).to_owned(), (*function).to_owned())), "{line}");
            assert!(["Sum", "Maximum", "Minimum", "Average"].contains(statistic), "{line}");
            asked_for += 1;
        }
        if let ["ask", question, ..] = words.as_slice() {
            assert!(
                question.parse::<usize>().is_ok_and(|question| (1..=10).contains(&question)) || *question == "NUMBER"
            );
        }
    }
    assert!(looked_up > 10 && asked_for > 5, "{looked_up}, {asked_for}");
}

/// The names and the fields of our tracing events, read from the sources.
fn events() -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut names, mut fields) = (BTreeSet::new(), BTreeSet::new());
    for folder in ["shared/bridge", "functions"] {
        for file in rust_files(&pages::root().join(folder)) {
            let source = std::fs::read_to_string(file).unwrap();
            for macro_call in ["tracing::info!(", "tracing::warn!(", "tracing::error!("] {
                for after in source.split(macro_call).skip(1) {
                    for argument in arguments(after) {
                        match argument.strip_prefix('"') {
                            Some(name) => names.insert(name.trim_end_matches('"').to_owned()),
                            None => {
                                let name = argument.split('=').next().unwrap_or_default().trim();
                                fields.insert(name.trim_start_matches(['%', '?']).to_owned())
                            }
                        };
                    }
                }
            }
        }
    }
    (names, fields)
}

/// The arguments of a call, whose text begins behind its opening parenthesis.
fn arguments(call: &str) -> Vec<String> {
    let (mut arguments, mut argument, mut depth, mut in_text) = (Vec::new(), String::new(), 0, false);
    for c in call.chars() {
        match c {
            '"' => in_text = !in_text,
            '(' | '[' | '{' if !in_text => depth += 1,
            ')' if !in_text && depth == 0 => break,
            ')' | ']' | '}' if !in_text => depth -= 1,
            ',' if !in_text && depth == 0 => {
                arguments.push(std::mem::take(&mut argument));
                continue;
            }
            _ => {}
        }
        argument.push(c);
    }
    arguments.push(argument);
    arguments.iter().map(|argument| argument.trim().to_owned()).filter(|argument| !argument.is_empty()).collect()
}

/// The fields that a query asks for: names in it that are no words of the language and that it doesn't give itself.
fn asked_for(query: &str) -> BTreeSet<String> {
    const WORDS: [&str; 20] = [
        "and", "as", "asc", "bin", "by", "count", "desc", "fields", "filter", "latest", "like", "limit", "max", "min",
        "not", "or", "pct", "sort", "stats", "sum",
    ];
    let (mut asked, mut given) = (BTreeSet::new(), BTreeSet::new());
    let (mut word, mut before, mut skipped_to) = (String::new(), String::new(), None);
    let lines = query.lines().filter(|line| !line.starts_with('#'));
    for c in lines.flat_map(|line| line.chars().chain(['\n'])) {
        if skipped_to.is_some() {
            if skipped_to == Some(c) {
                skipped_to = None;
            }
            continue;
        }
        if c.is_ascii_alphanumeric() || "@_.".contains(c) {
            word.push(c);
            continue;
        }
        // Texts and patterns.
        if c == '"' || c == '/' {
            skipped_to = Some(c);
        }
        if word.is_empty() {
            continue;
        }
        let name = std::mem::take(&mut word);
        if before == "as" {
            given.insert(name.clone());
        } else if !WORDS.contains(&name.as_str()) && !name.starts_with(|c: char| c.is_ascii_digit()) {
            asked.insert(name.clone());
        }
        before = name;
    }
    &asked - &given
}

#[tokio::test]
async fn every_query_asks_for_what_is_in_the_lines() {
    let lines = lines().await;
    let (mut messages, mut fields) = events();
    for event in ["push.attempted", "push.refused", "video.attempted"] {
        assert!(messages.contains(event), "{event}");
    }
    for field in ["account", "accepted", "attempts", "duration_ms", "error", "orders", "parked"] {
        assert!(fields.contains(field), "{field}");
    }
    for line in &lines {
        messages.insert(line["message"].as_str().unwrap().to_owned());
        fields.extend(line.as_object().unwrap().keys().cloned());
    }
    fields.remove("_aws");
    fields.extend(["@message", "@timestamp", "level", "message", "spans", "timestamp"].map(str::to_owned));

    let mut queries: Vec<(String, Vec<String>)> = Vec::new();
    let groups = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<String>>();
    let questions: Vec<&str> = section("Ten questions", None).split("\n### ").skip(1).collect();
    for (at, question) in questions.iter().enumerate() {
        let (title, rest) = question.split_once('\n').unwrap();
        assert!(title.starts_with(&format!("{}. ", at + 1)) && title.ends_with('?'), "{title}");
        let (_, query) = rest.split_once("```logs\n").unwrap();
        let (query, after) = query.split_once("\n```").unwrap();
        assert!(!after.contains("```"), "{title}");
        let of = query.lines().next().unwrap().strip_prefix("# log groups: ").unwrap();
        queries.push((query.to_owned(), groups(of)));
    }
    assert_eq!((queries.len(), RUNBOOK.matches("```logs\n").count()), (10, 10));

    // And those that stand in commands.
    let (_, commands) = text_and_commands();
    for line in commands {
        let Some(call) = line.strip_prefix("logs ").filter(|call| call.starts_with(|c: char| c.is_ascii_digit()))
        else {
            continue;
        };
        let call = call.replace("\"'\"$ACCOUNT\"'\"", "\"ACCOUNT\"");
        let parts: Vec<&str> = call.split('\'').collect();
        let [_, query, of] = parts[..] else { panic!("{line}") };
        queries.push((query.to_owned(), groups(of)));
    }
    assert!(queries.len() > 15);

    let log_groups = resources_of("AWS::Logs::LogGroup");
    for (query, groups) in &queries {
        for group in groups {
            assert!(log_groups.contains(group) || group.starts_with('$'), "there is no {group}: {query}");
        }
        assert!(!groups.is_empty(), "{query}");
        for field in asked_for(query) {
            assert!(fields.contains(&field), "no line has {field}: {query}");
        }
        for after in query.split("message = \"").skip(1) {
            let (message, _) = after.split_once('"').unwrap();
            assert!(messages.contains(message), "no line says {message}: {query}");
        }
    }
}
