//! Where the lines about requests and ticks go, and with them the metrics.

use std::io::Write as _;
use std::sync::Arc;

use serde_json::Value;

/// Takes each line as a JSON object, and knows the namespace of the metrics in it.
#[derive(Clone)]
pub struct Lines {
    pub(crate) namespace: String,
    pub(crate) write: Arc<dyn Fn(&Value) + Send + Sync>,
}

impl Lines {
    /// To `write`, with metrics in the namespace `namespace`.
    pub fn new(namespace: &str, write: impl Fn(&Value) + Send + Sync + 'static) -> Lines {
        Lines { namespace: namespace.to_owned(), write: Arc::new(write) }
    }

    /// Lines that go nowhere.
    pub fn none() -> Lines {
        Lines::new("", |_| ())
    }

    /// To the log of the Lambda function.
    pub fn lambda(namespace: &str) -> Lines {
        Lines::new(namespace, |line| {
            // A line that can't be written is no reason to fail.
            let _ = writeln!(std::io::stdout(), "{line}");
        })
    }
}
