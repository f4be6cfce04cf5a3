//! Metrics in CloudWatch's embedded format: a line of JSON on the standard output, from which Lambda's log makes metrics without a call.

use std::io::Write as _;
use std::sync::Arc;

use serde_json::{Map, Value, json};

/// The namespace of all of them.
pub const NAMESPACE: &str = "PruvanBridge";

/// Where metrics go.
#[derive(Clone)]
pub struct Metrics(Arc<dyn Fn(&Value) + Send + Sync>);

impl Metrics {
    /// Nowhere: what laptops and most tests need.
    pub fn none() -> Metrics {
        Metrics::new(|_| ())
    }

    /// To the log of the Lambda function.
    pub fn lambda() -> Metrics {
        Metrics::new(|line| {
            // A metric that can't be written is no reason to fail.
            let _ = writeln!(std::io::stdout(), "{line}");
        })
    }

    /// To `emit`, as they are written.
    pub fn new(emit: impl Fn(&Value) + Send + Sync + 'static) -> Metrics {
        Metrics(Arc::new(emit))
    }

    /// Emits values of this moment, each with its unit (`Count`, `Seconds`), under the dimension `Function`.
    pub fn put(&self, function: &str, now_ms: i64, values: &[(&str, &str, f64)]) {
        let metrics: Vec<Value> = values.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
        let mut line = Map::new();
        line.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": now_ms,
                "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [["Function"]], "Metrics": metrics }],
            }),
        );
        line.insert("Function".to_owned(), Value::from(function));
        line.extend(values.iter().map(|(name, _, value)| ((*name).to_owned(), Value::from(*value))));
        (self.0)(&Value::Object(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_cloudwatch_documents() {
        let (said, hears) = std::sync::mpsc::channel();
        let metrics = Metrics::new(move |line| said.send(line.clone()).unwrap());
        metrics.put("push-drain", 1_795_435_200_000, &[("Waiting", "Count", 3.0)]);
        let expected = json!({
            "_aws": { "Timestamp": 1_795_435_200_000_i64, "CloudWatchMetrics": [{
                "Namespace": "PruvanBridge", "Dimensions": [["Function"]], "Metrics": [{ "Name": "Waiting", "Unit": "Count" }],
            }] },
            "Function": "push-drain", "Waiting": 3.0,
        });
        assert_eq!(hears.recv().unwrap(), expected);
    }
}
