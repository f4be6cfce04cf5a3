//! Each alarm of the template watches a metric that the code or AWS really makes, and fires when what it is for
//! happens. Thresholds, statistics, periods and dimensions are read from the template, and the points from the lines
//! that the code writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bridge::lines::Lines;
use bridge::run::Deadline;
use lambda_http::{Body, Request};
use local::functions::{Function, Reply};
use local::template::TEMPLATE;
use pruvan::integration::IntegrationType;
use serde_json::json;
use serde_yaml_ng::Value;
use simulator::{VideoReply, Weather};

use crate::harness::faults::{Fault, Faults};
use crate::harness::{Harness, PHOTO, picture};

/// A metric as it is watched: namespace, name, and its one dimension, or none.
type Metric = (String, String, Option<(String, String)>);

/// A value of a metric.
#[derive(Debug, Clone)]
struct Point {
    of: Metric,
    at: i64,
    value: f64,
}

#[derive(Debug)]
struct Alarm {
    watches: Vec<(Metric, String)>,
    period: i64,
    /// Periods, all of which must be over the threshold.
    periods: i64,
    operator: String,
    threshold: f64,
    missing: String,
    /// Several metrics are added up, and one that has no value counts as 0.
    sums: bool,
}

/// The stack's name, which the harness's namespace ends with.
const STACK: &str = "test";

fn root() -> Value {
    serde_yaml_ng::from_str(TEMPLATE).unwrap()
}

/// The text of a value: `!Sub` with the stack's name, `!Ref` of a parameter with its default, of a resource with its
/// logical id.
fn text(root: &Value, value: &Value) -> String {
    match value {
        Value::Tagged(tagged) if tagged.tag == "Sub" => {
            tagged.value.as_str().unwrap().replace("${AWS::StackName}", STACK)
        }
        Value::Tagged(tagged) if tagged.tag == "Ref" => match &root["Parameters"][&tagged.value]["Default"] {
            Value::Null => tagged.value.as_str().unwrap().to_owned(),
            default => text(root, default),
        },
        Value::Number(number) => number.to_string(),
        _ => value.as_str().unwrap_or_else(|| panic!("{value:?}")).to_owned(),
    }
}

fn metric(root: &Value, of: &Value) -> Metric {
    let dimension = match of["Dimensions"].as_sequence().map(Vec::as_slice) {
        None => None,
        Some([dimension]) => Some((text(root, &dimension["Name"]), text(root, &dimension["Value"]))),
        Some(_) => panic!("one dimension: {of:?}"),
    };
    (text(root, &of["Namespace"]), text(root, &of["MetricName"]), dimension)
}

fn alarms() -> BTreeMap<String, Alarm> {
    let root = root();
    let mut alarms = BTreeMap::new();
    for (id, resource) in root["Resources"].as_mapping().unwrap() {
        let of = &resource["Properties"];
        if resource["Type"] != "AWS::CloudWatch::Alarm" {
            continue;
        }
        let (mut watches, mut periods) = (Vec::new(), BTreeSet::new());
        let sums = of.get("Metrics").is_some();
        match of["Metrics"].as_sequence() {
            Some(metrics) => {
                let (sum, added): (Vec<&Value>, Vec<&Value>) =
                    metrics.iter().partition(|metric| metric.get("Expression").is_some());
                assert_eq!(sum.len(), 1, "{id:?}");
                assert_eq!(sum[0]["Expression"], "SUM(FILL(METRICS(), 0))", "{id:?}");
                assert!(sum[0].get("ReturnData").is_none());
                // CloudWatch takes no more in an alarm.
                assert!(metrics.len() <= 10, "{id:?}");
                for one in added {
                    assert_eq!(one["ReturnData"], false, "{id:?}");
                    let stat = &one["MetricStat"];
                    watches.push((metric(&root, &stat["Metric"]), text(&root, &stat["Stat"])));
                    periods.insert(stat["Period"].as_i64().unwrap());
                }
            }
            None => {
                watches.push((metric(&root, of), text(&root, &of["Statistic"])));
                periods.insert(of["Period"].as_i64().unwrap());
            }
        }
        assert_eq!(periods.len(), 1, "{id:?}");
        for actions in ["AlarmActions", "OKActions"] {
            assert_eq!(text(&root, &of[actions][0]), "AlarmTopic", "{id:?}");
        }
        let id = id.as_str().unwrap().to_owned();
        assert!(text(&root, &of["AlarmDescription"]).ends_with(&format!("See {id} in infra/runbook.md.")), "{id}");
        let alarm = Alarm {
            watches,
            period: periods.into_iter().next().unwrap(),
            periods: of["EvaluationPeriods"].as_i64().unwrap(),
            operator: text(&root, &of["ComparisonOperator"]),
            threshold: text(&root, &of["Threshold"]).parse().unwrap(),
            missing: text(&root, &of["TreatMissingData"]),
            sums,
        };
        alarms.insert(id, alarm);
    }
    alarms
}

impl Alarm {
    /// Whether it is in alarm at `at`, in milliseconds, given these points. CloudWatch may take some periods more to
    /// see that there are none.
    fn fires(&self, points: &[Point], at: i64) -> bool {
        (0..self.periods).all(|before| self.is_over(points, at - before * self.period * 1000))
    }

    /// Whether the period that ends at `at` is over the threshold.
    fn is_over(&self, points: &[Point], at: i64) -> bool {
        let window = at - self.period * 1000 + 1..=at;
        let mut values = Vec::new();
        for (metric, statistic) in &self.watches {
            let of = points.iter().filter(|point| point.of == *metric && window.contains(&point.at));
            let of: Vec<f64> = of.map(|point| point.value).collect();
            let value = match statistic.as_str() {
                _ if of.is_empty() => None,
                "Sum" => Some(of.iter().sum()),
                "Maximum" => of.iter().copied().reduce(f64::max),
                "Minimum" => of.iter().copied().reduce(f64::min),
                other => panic!("a statistic that is not known here: {other}"),
            };
            values.push(value);
        }
        let value = if self.sums { Some(values.into_iter().flatten().sum()) } else { values[0] };
        match (value, self.missing.as_str()) {
            (None, "breaching") => true,
            (None, "notBreaching") => false,
            (None, other) => panic!("{other}"),
            (Some(value), _) => match self.operator.as_str() {
                "GreaterThanThreshold" => value > self.threshold,
                "GreaterThanOrEqualToThreshold" => value >= self.threshold,
                "LessThanThreshold" => value < self.threshold,
                "LessThanOrEqualToThreshold" => value <= self.threshold,
                other => panic!("{other}"),
            },
        }
    }
}

/// The points in lines of the embedded metric format, as CloudWatch reads them.
fn points(lines: &[serde_json::Value]) -> Vec<Point> {
    let mut points = Vec::new();
    for line in lines {
        let at = line["_aws"]["Timestamp"].as_i64().unwrap();
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            for dimensions in directive["Dimensions"].as_array().unwrap() {
                let dimension = match dimensions.as_array().unwrap().as_slice() {
                    [] => None,
                    [name] => {
                        let name = name.as_str().unwrap();
                        Some((name.to_owned(), line[name].as_str().unwrap().to_owned()))
                    }
                    _ => panic!("{line}"),
                };
                for metric in directive["Metrics"].as_array().unwrap() {
                    let name = metric["Name"].as_str().unwrap();
                    let unit = metric["Unit"].as_str().unwrap();
                    assert!(["Count", "Bytes", "Milliseconds", "Seconds", "None"].contains(&unit), "{line}");
                    let value = line[name].as_f64().unwrap_or_else(|| panic!("{name} has no value: {line}"));
                    let namespace = directive["Namespace"].as_str().unwrap().to_owned();
                    points.push(Point { of: (namespace, name.to_owned(), dimension.clone()), at, value });
                }
            }
        }
    }
    points
}

/// What AWS makes by itself, by the documentation of API Gateway and of Lambda: names, and the dimension that stands
/// alone.
const AWS: [(&str, &[&str], &str); 2] = [
    ("AWS/ApiGateway", &["4XXError", "5XXError", "Count", "Latency", "IntegrationLatency"], "ApiName"),
    ("AWS/Lambda", &["Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions"], "FunctionName"),
];

/// A point that AWS would make.
fn aws(namespace: &str, name: &str, of: &str, at: i64) -> Point {
    let (_, names, dimension) = AWS.iter().find(|(known, _, _)| *known == namespace).unwrap();
    assert!(names.contains(&name));
    let of = (namespace.to_owned(), name.to_owned(), Some(((*dimension).to_owned(), of.to_owned())));
    Point { of, at, value: 1.0 }
}

struct Watch {
    harness: Harness,
    alarms: BTreeMap<String, Alarm>,
    points: Vec<Point>,
    faults: Faults,
    lines: Arc<Mutex<Vec<serde_json::Value>>>,
    fired: BTreeSet<String>,
}

impl Watch {
    async fn start() -> Watch {
        let (alarms, harness) = (alarms(), Harness::start().await);
        let (faults, points, fired) = (Faults::default(), Vec::new(), BTreeSet::new());
        Watch { harness, alarms, points, faults, lines: Arc::default(), fired }
    }

    /// The alarms that are on now.
    fn on(&mut self) -> BTreeSet<String> {
        let mut lines = self.harness.lines();
        lines.append(&mut self.lines.lock().unwrap());
        self.points.extend(points(&lines));
        let at = self.harness.now() * 1000;
        let on: BTreeSet<String> =
            self.alarms.iter().filter(|(_, alarm)| alarm.fires(&self.points, at)).map(|(id, _)| id.clone()).collect();
        self.fired.extend(on.iter().cloned());
        on
    }

    fn assert_on(&mut self, expected: &[&str]) {
        let on = self.on();
        assert_eq!(on, expected.iter().map(|id| (*id).to_owned()).collect());
    }

    /// A quiet while, after which nothing of before is in any window but the day's.
    async fn quiet(&mut self) {
        self.harness.advance(7200);
        self.harness.system.tick().await;
        self.assert_on(&[]);
    }

    /// The function with stores that fail as planned.
    fn faulty(&self, binary: &str) -> Function {
        let stores = &self.harness.system.stores;
        let mut dependencies = self.faults.meet(self.harness.dependencies(), &stores.dynamodb_url, &stores.s3_url);
        let hears = self.lines.clone();
        dependencies.lines =
            Lines::new(&format!("PruvanBridge/{STACK}"), move |line| hears.lock().unwrap().push(line.clone()));
        local::functions::start(binary, &dependencies).unwrap().unwrap()
    }
}

#[tokio::test]
async fn each_alarm_fires_when_what_it_is_for_happens() {
    let mut watch = Watch::start().await;
    let vendor = watch.harness.account("vendor1", IntegrationType::Internal).await;
    let other = watch.harness.account("vendor2", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    other.validate().await.unwrap();
    watch.harness.put("vendor1", "1", json!({})).await;
    watch.harness.system.tick().await;
    watch.assert_on(&[]);

    // The schedule stands still.
    watch.harness.advance(301);
    watch.assert_on(&["DrainDidNotRunAlarm"]);
    watch.quiet().await;

    // What can't be read is nobody's alarm.
    let garbled = watch.harness.client.post(format!("{}/validate", vendor.web_service_url)).body("{");
    garbled.send().await.unwrap();
    vendor.publish(picture("u", "unknown", json!({})), Some(("1.jpg", PHOTO))).await.unwrap();
    vendor.import(None).await.unwrap();
    watch.assert_on(&[]);

    // Guesses at a key, each on another service.
    let mut liar = vendor.clone();
    liar.token = "guess".to_owned();
    for _ in 0..25 {
        liar.validate().await.unwrap();
        liar.import(None).await.unwrap();
        liar.publish(picture("x", "1", json!({})), Some(("1.jpg", PHOTO))).await.unwrap();
        watch.on();
        assert!(!watch.fired.contains("AuthFailuresAlarm"));
        liar.change_status("1", "complete", "complete").await.unwrap();
    }
    watch.assert_on(&["AuthFailuresAlarm"]);
    watch.quiet().await;

    // DynamoDB is away: Pruvan gets 200 and the documented JSON, the host a 503, and the schedule's call fails.
    let Function::Http(validate) = watch.faulty("validate") else { panic!("no schedule calls it") };
    let payload = json!({ "username": "vendor1", "token": vendor.token }).to_string();
    for times in 1..=5 {
        watch.faults.plan(0, Fault::Outage);
        let request = lambda_http::http::Request::builder().method("POST").body(Body::Text(payload.clone())).unwrap();
        let Reply::Buffered(reply) = validate(request).await else { panic!("validate doesn't stream") };
        assert_eq!(reply.status(), 200);
        watch.assert_on(if times < 5 { &[] } else { &["FailuresAlarm"] });
    }
    watch.faults.end();
    watch.quiet().await;
    // Others keep a row all the while: whoever asked is told to try again, and nobody is woken.
    vendor.change_status("1", "complete", "complete").await.unwrap();
    let Function::Http(status) = watch.faulty("status") else { panic!("no schedule calls it") };
    let report = json!({ "workOrderNumber": "1", "status": "complete" });
    let payload = json!({ "username": "vendor1", "token": vendor.token, "workOrders": [report] }).to_string();
    let request = lambda_http::http::Request::builder().method("POST").body(Body::Text(payload)).unwrap();
    // The account, and the order; then it is written.
    watch.faults.plan_row(2, Fault::Conflict, 1000);
    let Reply::Buffered(reply) = status(request).await else { panic!("status doesn't stream") };
    watch.faults.end();
    assert!(format!("{:?}", reply.body()).contains("others are changing"), "{reply:?}");
    let lines = watch.lines.lock().unwrap().clone();
    let line = lines.last().unwrap();
    assert_eq!((&line["outcome"], &line["Contended"], line.get("Failures")), (&json!("contended"), &json!(1), None));
    watch.assert_on(&[]);
    watch.quiet().await;
    let Function::Http(orders) = watch.faulty("orders") else { panic!("no schedule calls it") };
    let event = json!({
        "resource": "/accounts/{username}/orders", "path": "/accounts/vendor1/orders", "httpMethod": "GET", "headers": {},
        "multiValueHeaders": {}, "pathParameters": { "username": "vendor1" }, "body": null, "isBase64Encoded": false,
        "requestContext": { "resourcePath": "/accounts/{username}/orders", "httpMethod": "GET", "identity": {} },
    });
    for times in 1..=5 {
        watch.faults.plan(0, Fault::Outage);
        let request: Request = lambda_http::request::from_str(&event.to_string()).unwrap();
        let Reply::Buffered(reply) = orders(request).await else { panic!("orders doesn't stream") };
        assert_eq!(reply.status(), 503);
        let at = watch.harness.now() * 1000;
        watch.points.push(aws("AWS/ApiGateway", "5XXError", &format!("{STACK}-host"), at));
        watch.assert_on(if times < 5 { &[] } else { &["FailuresAlarm", "HostApiErrorsAlarm"] });
    }
    watch.faults.end();
    watch.quiet().await;
    let Function::Schedule(drain) = watch.faulty("push-drain") else { panic!("a schedule calls it") };
    watch.faults.plan(0, Fault::Outage);
    let now = watch.harness.now() * 1000;
    assert!(drain(Deadline::at(now + 120_000)).await.is_err());
    watch.faults.end();
    watch.points.push(aws("AWS/Lambda", "Errors", "PushDrainFunction", now));
    watch.assert_on(&["BackgroundErrorsAlarm"]);
    watch.quiet().await;
    // A gateway that can't reach the function answers by itself.
    for _ in 0..5 {
        let at = watch.harness.now() * 1000;
        watch.points.push(aws("AWS/ApiGateway", "5XXError", &format!("{STACK}-pruvan"), at));
    }
    watch.assert_on(&["PruvanApiErrorsAlarm"]);
    watch.quiet().await;
    // Throttles are Lambda's own; no code of ours makes one.
    watch.points.push(aws("AWS/Lambda", "Throttles", "UploadPicturesFunction", watch.harness.now() * 1000));
    watch.assert_on(&["ThrottlesAlarm"]);
    watch.quiet().await;
    watch.points.push(aws("AWS/Lambda", "Throttles", "FetchVideosFunction", watch.harness.now() * 1000));
    watch.assert_on(&["BackgroundThrottlesAlarm"]);
    watch.quiet().await;
    watch.points.push(aws("AWS/Lambda", "Errors", "ValidateFunction", watch.harness.now() * 1000));
    watch.assert_on(&["FunctionErrorsAlarm"]);
    watch.quiet().await;

    // Pruvan is down for longer than it should be.
    watch.harness.put("vendor1", "1", json!({ "reference": "2" })).await;
    for _ in 0..6 {
        watch.assert_on(&[]);
        vendor.forecast([Weather::Answer(503, String::new())]);
        watch.harness.system.tick().await;
        watch.harness.advance(301);
        vendor.forecast([Weather::Answer(503, String::new())]);
        watch.harness.system.tick().await;
    }
    watch.assert_on(&["OldestPushAlarm"]);
    vendor.clear_forecast();
    watch.harness.advance(301);
    watch.harness.system.tick().await;
    watch.quiet().await;

    // Pruvan refuses all that comes, after a change on its side, say.
    let mut errors = Vec::new();
    for number in 0..20 {
        watch.harness.put("vendor1", &format!("r{number}"), json!({})).await;
        errors.push(json!({ "workOrderNumber": format!("r{number}"), "error": "no such service" }));
    }
    let refusal = json!({ "response": { "created": 0 }, "error": errors }).to_string();
    vendor.forecast([Weather::Answer(200, refusal)]);
    watch.harness.system.tick().await;
    watch.assert_on(&["RefusedOrdersAlarm"]);
    watch.quiet().await;

    // Pruvan refuses an order until it is parked.
    let error = r#"{"response":{"created":0},"error":[{"workOrderNumber":"bad","error":"no such state"}]}"#;
    vendor.rules(|held| held.breaks_on.insert("bad".to_owned(), (200, error.to_owned())));
    watch.harness.put("vendor1", "bad", json!({})).await;
    for _ in 0..9 {
        watch.harness.system.tick().await;
        // One order that is refused must not hide that the others wait.
        assert!(!watch.on().contains("OldestPushAlarm"));
        watch.harness.advance(30 * 3600);
    }
    watch.harness.system.tick().await;
    watch.assert_on(&["ParkedAlarm"]);
    vendor.rules(|held| held.breaks_on.clear());
    let (status, _) = watch.harness.host("POST", "/accounts/vendor1/push-queue/retry", None).await;
    assert_eq!(status, 202);
    watch.harness.advance(400);
    watch.harness.system.tick().await;
    watch.harness.advance(400);
    watch.harness.system.tick().await;
    watch.quiet().await;

    // A push key dies, and comes back.
    other.kill_push_key();
    watch.harness.put("vendor2", "1", json!({})).await;
    for _ in 0..2 {
        watch.harness.advance(250);
        watch.harness.system.tick().await;
    }
    watch.assert_on(&["DeadPushKeysAlarm"]);
    let again = watch.harness.pruvan.integrate(
        &other.web_service_url,
        "html",
        "vendor2",
        &other.token,
        IntegrationType::Internal,
        false,
    );
    again.validate().await.unwrap();
    for _ in 0..2 {
        watch.harness.advance(250);
        watch.harness.system.tick().await;
    }
    watch.quiet().await;
    // One comes that leads where it must not.
    again.call("validate", json!({ "pushkey": "https://evil.example/?apiKey=secret" }), None).await.unwrap();
    for _ in 0..2 {
        watch.harness.advance(250);
        watch.harness.system.tick().await;
    }
    watch.assert_on(&["RefusedPushKeysAlarm"]);
    again.validate().await.unwrap();
    for _ in 0..2 {
        watch.harness.advance(250);
        watch.harness.system.tick().await;
    }
    watch.quiet().await;

    // A video's link gives nothing until it ends.
    let link = watch.harness.pruvan.video("gone", [VideoReply::Status(404)]);
    let still = picture("v", "1", json!({ "videoUri": link, "timestamp": watch.harness.now() }));
    vendor.publish(still, Some(("1.jpg", PHOTO))).await.unwrap();
    let mut ends_soon = None;
    for minute in 0..=24 * 60 {
        watch.harness.advance(60);
        if minute % 10 == 0 || minute > 23 * 60 {
            watch.harness.system.tick().await;
            let on = watch.on();
            if on.contains("VideoEndsSoonAlarm") {
                ends_soon.get_or_insert(minute / 60);
            }
            if on.contains("VideoExpiredAlarm") {
                break;
            }
        }
    }
    assert!(watch.fired.contains("VideoExpiredAlarm"));
    assert!((20..22).contains(&ends_soon.unwrap()), "{ends_soon:?}");

    // More orders than Pruvan includes: as many as a parameter says. There are twenty-three.
    watch.alarms.get_mut("ActiveOrdersAlarm").unwrap().threshold = 23.0;
    let Function::Schedule(count) = watch.harness.system.function("count-orders").unwrap().clone() else { panic!() };
    let counted = async |watch: &mut Watch| {
        watch.harness.advance(86_401);
        count(Deadline::at(i64::MAX)).await.unwrap();
        watch.on().contains("ActiveOrdersAlarm")
    };
    assert!(!counted(&mut watch).await);
    watch.harness.put("vendor2", "2", json!({ "status": "closed" })).await;
    assert!(!counted(&mut watch).await, "what has ended isn't active");
    watch.harness.put("vendor2", "3", json!({})).await;
    assert!(counted(&mut watch).await);

    let all: BTreeSet<String> = watch.alarms.keys().cloned().collect();
    assert_eq!(watch.fired, all, "every alarm has fired above");

    // All that is watched or shown is made by the code or by AWS.
    let made: BTreeSet<Metric> = watch.points.iter().map(|point| point.of.clone()).collect();
    let functions: BTreeSet<String> = made
        .iter()
        .filter(|(namespace, _, _)| !namespace.starts_with("AWS/"))
        .filter_map(|of| of.2.clone())
        .map(|of| of.1)
        .collect();
    let watched = watch.alarms.values().flat_map(|alarm| alarm.watches.iter().map(|(metric, _)| metric.clone()));
    for metric in watched.chain(shown()) {
        let (namespace, name, dimension) = &metric;
        if let Some((_, names, known)) = AWS.iter().find(|(known, _, _)| known == namespace) {
            let (dimension, of) = dimension.as_ref().unwrap();
            assert!(names.contains(&name.as_str()) && known == dimension, "AWS makes no {metric:?}");
            assert!(resource_is(namespace, of), "{metric:?} is of no resource");
            continue;
        }
        // What any function may have was not seen of each of them above.
        let of_any = ["Failures", "Requests", "BadRequests", "AuthFailures", "Contended", "duration_ms"]
            .contains(&name.as_str());
        let alike =
            |other: &&Metric| other.0 == *namespace && other.1 == *name && other.2.is_some() == dimension.is_some();
        let known =
            dimension.as_ref().is_none_or(|(_, function)| function == "accounts" || functions.contains(function));
        assert!(
            made.contains(&metric) || (of_any && known && made.iter().any(|made| alike(&made))),
            "nothing makes {metric:?}"
        );
    }
}

/// Whether AWS makes metrics of something of this name: a function, or an API with its name.
fn resource_is(namespace: &str, name: &str) -> bool {
    let root = root();
    let resources = root["Resources"].as_mapping().unwrap();
    match namespace {
        "AWS/Lambda" => root["Resources"][name]["Type"] == "AWS::Serverless::Function",
        _ => resources.values().any(|resource| {
            resource["Type"] == "AWS::Serverless::Api" && text(&root, &resource["Properties"]["Name"]) == name
        }),
    }
}

/// The metrics of the dashboard.
fn shown() -> Vec<Metric> {
    let root = root();
    let body = text(&root, &root["Resources"]["Dashboard"]["Properties"]["DashboardBody"]);
    let body = body.replace("${AWS::Region}", "us-east-1");
    let board: serde_json::Value = serde_json::from_str(&body).unwrap();
    let mut shown = Vec::new();
    for widget in board["widgets"].as_array().unwrap() {
        for metric in widget["properties"]["metrics"].as_array().into_iter().flatten() {
            let part =
                |at: usize| metric[at].as_str().unwrap().trim_start_matches("${").trim_end_matches('}').to_owned();
            shown.push((part(0), part(1), Some((part(2), part(3)))));
        }
        for alarm in widget["properties"]["alarms"].as_array().into_iter().flatten() {
            let id = alarm.as_str().unwrap().trim_start_matches("${").trim_end_matches(".Arn}");
            assert_eq!(root["Resources"][id]["Type"], "AWS::CloudWatch::Alarm");
        }
    }
    assert!(shown.len() > 30);
    shown
}
