//! One line of JSON for each request and each tick. It is the log's line and, in CloudWatch's embedded metric format,
//! the metrics too, so that neither costs a call.

use jiff::Timestamp;
use lambda_http::http::StatusCode;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _};
use serde_json::{Map, Value, json};

use crate::dependencies::Dependencies;
use crate::lines::Lines;
use crate::store::StoreError;
use crate::time::Clock;

/// Makes the lines of one function.
#[derive(Clone)]
pub struct Telemetry {
    function: &'static str,
    lines: Lines,
    clock: Clock,
}

/// How a request or tick ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked.
    Ok,
    /// What was asked for can't be done: whoever asked has to change something.
    BadRequest,
    /// The credentials are wrong.
    Denied,
    /// Others kept changing the same rows: it can be sent again, and nothing is broken.
    Contended,
    /// By a fault of ours or of a store. Also where nothing else was said, as after a panic.
    Failed,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::BadRequest => "bad_request",
            Outcome::Denied => "denied",
            Outcome::Contended => "contended",
            Outcome::Failed => "failed",
        }
    }

    /// The metric that counts it, beside `Requests`.
    fn metric(self) -> Option<&'static str> {
        match self {
            Outcome::Ok => None,
            Outcome::BadRequest => Some("BadRequests"),
            Outcome::Denied => Some("AuthFailures"),
            Outcome::Contended => Some("Contended"),
            Outcome::Failed => Some("Failures"),
        }
    }
}

/// What a metric counts in, in CloudWatch's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things that are counted.
    Count,
    /// Sizes, in bytes.
    Bytes,
    /// Times, in milliseconds.
    Milliseconds,
    /// Times, in seconds.
    Seconds,
    /// A unit that CloudWatch has no name for, such as hours.
    None,
}

impl Telemetry {
    /// Of the function whose binary is `function`.
    pub fn new(dependencies: &Dependencies, function: &'static str) -> Telemetry {
        Telemetry { function, lines: dependencies.lines.clone(), clock: dependencies.clock.clone() }
    }

    /// Begins the line of a request.
    pub fn request(&self, request: &Request) -> Record {
        let mut record = self.begin(Kind::Request);
        let context = request.request_context_ref();
        let of_gateway = context.and_then(|context| match context {
            RequestContext::ApiGatewayV1(context) => context.request_id.clone(),
            _ => None,
        });
        let of_lambda = request.lambda_context_ref().map(|context| context.request_id.clone());
        if let Some(id) = of_lambda.or_else(|| of_gateway.clone()) {
            record.note("requestId", id);
        }
        if let Some(id) = of_gateway {
            record.note("gatewayRequestId", id);
        }
        record
    }

    /// Begins the line of a tick.
    pub fn tick(&self, request_id: &str) -> Record {
        let mut record = self.begin(Kind::Tick);
        record.note("requestId", request_id);
        record
    }

    fn begin(&self, kind: Kind) -> Record {
        let began = self.clock.now_ms();
        let telemetry = self.clone();
        Record { telemetry, kind, began, outcome: Outcome::Failed, fields: Map::new(), metrics: Vec::new() }
    }
}

/// A longer text is cut to so many characters.
const MAX_TEXT: usize = 200;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    Tick,
}

/// A line that is still being gathered. It is written when it is dropped, after a panic too, so that no path is without
/// one.
pub struct Record {
    telemetry: Telemetry,
    kind: Kind,
    began: i64,
    outcome: Outcome,
    fields: Map<String, Value>,
    metrics: Vec<(&'static str, Unit)>,
}

impl Record {
    /// Whose request it is, or says it is.
    pub fn account(&mut self, username: &str) {
        self.note("account", username);
    }

    /// The one order that it is about.
    pub fn order(&mut self, number: &str) {
        self.note("order", number);
    }

    /// Whatever else is worth looking for; never a secret. A text is cut where it gets long, since callers send what
    /// they like.
    pub fn note(&mut self, name: &str, value: impl Into<Value>) {
        let value = match value.into() {
            Value::String(text) if text.len() > MAX_TEXT => {
                Value::from(text.chars().take(MAX_TEXT).collect::<String>())
            }
            value => value,
        };
        self.fields.insert(name.to_owned(), value);
    }

    /// A metric, under the dimension `Function`.
    pub fn metric(&mut self, name: &'static str, unit: Unit, value: f64) {
        self.note(name, value);
        self.metrics.push((name, unit));
    }

    /// Metrics that count things.
    pub fn counts<const N: usize>(&mut self, counts: [(&'static str, u64); N]) {
        for (name, count) in counts {
            self.metric(name, Unit::Count, count as f64);
        }
    }

    /// It ended as it should.
    pub fn ok(&mut self) {
        self.outcome = Outcome::Ok;
    }

    /// What was asked for can't be done.
    pub fn bad_request(&mut self, why: &str) {
        self.end(Outcome::BadRequest, why);
    }

    /// The credentials are wrong.
    pub fn denied(&mut self, why: &str) {
        self.end(Outcome::Denied, why);
    }

    /// Something failed, such as a store, that is no fault of who asked.
    pub fn fault(&mut self, why: &str) {
        self.end(Outcome::Failed, why);
    }

    /// A store didn't do what it was asked: by a fault, or because others kept changing the same rows.
    pub fn store_failed(&mut self, error: &StoreError) {
        let outcome = if error.is_contention() { Outcome::Contended } else { Outcome::Failed };
        self.end(outcome, &error.to_string());
    }

    /// How a reply of the host's API ended.
    pub fn status(&mut self, status: StatusCode) {
        self.note("status", status.as_u16());
        self.outcome = if status.is_server_error() {
            Outcome::Failed
        } else if status.is_client_error() {
            Outcome::BadRequest
        } else {
            Outcome::Ok
        };
    }

    fn end(&mut self, outcome: Outcome, why: &str) {
        self.outcome = outcome;
        self.note("error", why);
    }

    fn line(&mut self) -> Value {
        let Telemetry { function, lines, clock } = &self.telemetry;
        let now = clock.now_ms();
        let duration = u32::try_from(now - self.began).unwrap_or_default();
        let (counted, message) = match self.kind {
            Kind::Request => ("Requests", "request.done"),
            Kind::Tick => ("Ticks", "tick.done"),
        };
        let mut metrics = std::mem::take(&mut self.metrics);
        let mut fields = std::mem::take(&mut self.fields);
        let count = |name| (name, Unit::Count, json!(1));
        let of_all = [count(counted), ("duration_ms", Unit::Milliseconds, json!(duration))];
        for (name, unit, value) in of_all.into_iter().chain(self.outcome.metric().map(count)) {
            fields.insert(name.to_owned(), value);
            metrics.push((name, unit));
        }
        let of = |metrics: &mut dyn Iterator<Item = &(&str, Unit)>| -> Vec<Value> {
            metrics.map(|(name, unit)| json!({ "Name": name, "Unit": format!("{unit:?}") })).collect()
        };
        let namespace = &lines.namespace;
        let mut directives =
            vec![json!({ "Namespace": namespace, "Dimensions": [["Function"]], "Metrics": of(&mut metrics.iter()) })];
        // An alarm watches these of all functions together, so that it costs one and not nine.
        let in_all = of(&mut metrics.iter().filter(|(name, _)| ["Failures", "AuthFailures"].contains(name)));
        if !in_all.is_empty() {
            directives.push(json!({ "Namespace": namespace, "Dimensions": [[]], "Metrics": in_all }));
        }
        let timestamp = Timestamp::from_millisecond(now).map(|at| format!("{at:.3}")).unwrap_or_default();
        let mut line = Map::from_iter([
            // What Lambda's JSON log format reads.
            ("timestamp".to_owned(), Value::from(timestamp)),
            ("level".to_owned(), Value::from(if self.outcome == Outcome::Failed { "ERROR" } else { "INFO" })),
            ("message".to_owned(), Value::from(message)),
            ("Function".to_owned(), Value::from(*function)),
            ("outcome".to_owned(), Value::from(self.outcome.as_str())),
        ]);
        line.extend(fields);
        line.insert("_aws".to_owned(), json!({ "Timestamp": now, "CloudWatchMetrics": directives }));
        Value::Object(line)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let line = self.line();
        (self.telemetry.lines.write)(&line);
    }
}

/// What a handler of the host's API adds to its request's line: it goes with the response, and no further.
#[derive(Debug, Clone, Default)]
pub struct Notes(pub Vec<(&'static str, Value)>);

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::outbound::Outbound;
    use crate::time::{Random, Waits};

    fn telemetry() -> (Telemetry, Receiver<Value>) {
        let (said, hears) = channel();
        let clock = Clock::new(|| Timestamp::from_millisecond(1_795_435_200_000).unwrap());
        let mut dependencies = Dependencies::new(
            std::iter::empty::<(&str, &str)>().collect(),
            clock,
            Random::system(),
            Waits::REAL,
            Outbound::public(),
        );
        dependencies.lines = Lines::new("PruvanBridge/test", move |line| said.send(line.clone()).unwrap());
        (Telemetry::new(&dependencies, "status"), hears)
    }

    #[test]
    fn a_line_is_what_cloudwatch_documents() {
        let (telemetry, lines) = telemetry();
        let mut record = telemetry.tick("id-1");
        record.counts([("Waiting", 3)]);
        record.ok();
        drop(record);
        let expected = json!({
            "timestamp": "2026-11-23T12:00:00.000Z", "level": "INFO", "message": "tick.done", "requestId": "id-1",
            "Function": "status", "outcome": "ok", "Waiting": 3.0, "Ticks": 1, "duration_ms": 0,
            "_aws": { "Timestamp": 1_795_435_200_000_i64, "CloudWatchMetrics": [{
                "Namespace": "PruvanBridge/test", "Dimensions": [["Function"]], "Metrics": [
                    { "Name": "Waiting", "Unit": "Count" }, { "Name": "Ticks", "Unit": "Count" },
                    { "Name": "duration_ms", "Unit": "Milliseconds" },
                ],
            }] },
        });
        assert_eq!(lines.recv().unwrap(), expected);
    }

    #[test]
    fn whatever_becomes_of_it_there_is_one_line() {
        let (telemetry, lines) = telemetry();
        let panics = telemetry.clone();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _record = panics.request(&Request::default());
            panic!("as told");
        }));
        assert!(panicked.is_err());
        let line = lines.recv().unwrap();
        assert_eq!((&line["outcome"], &line["Failures"], &line["Requests"]), (&json!("failed"), &json!(1), &json!(1)));
        assert!(lines.try_recv().is_err());
        let mut record = telemetry.request(&Request::default());
        record.order(&"\u{e9}".repeat(100_000));
        drop(record);
        assert_eq!(lines.recv().unwrap()["order"], "\u{e9}".repeat(200));
        let mut record = telemetry.request(&Request::default());
        record.denied("invalid username or password");
        drop(record);
        let line = lines.recv().unwrap();
        assert_eq!((&line["outcome"], &line["AuthFailures"]), (&json!("denied"), &json!(1)));
    }

    #[test]
    fn a_write_that_others_kept_from_its_row_is_no_failure() {
        let (telemetry, lines) = telemetry();
        let mut record = telemetry.request(&Request::default());
        record.store_failed(&StoreError::Contended("the upload"));
        drop(record);
        let line = lines.recv().unwrap();
        assert_eq!((&line["outcome"], &line["level"]), (&json!("contended"), &json!("INFO")));
        assert_eq!((&line["Contended"], line.get("Failures")), (&json!(1), None));
        let mut record = telemetry.request(&Request::default());
        record.store_failed(&StoreError::Unfit("a batch without keys"));
        drop(record);
        assert_eq!(lines.recv().unwrap()["Failures"], 1);
    }
}
