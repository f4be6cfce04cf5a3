//! The wire between Pruvan and a host: every exchange in both directions, with its secrets masked and with what breaks
//! the specification.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::body::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::spec::{self, Breach, Service};

/// Exchanges that are kept.
const KEPT: usize = 500;

/// Bytes that they may hold together: payloads, files and replies.
const BYTES: usize = 64 * 1024 * 1024;

/// What stands for a secret.
const MASK: &str = "***";

/// Fields whose values are secrets, in payloads and replies. The link to a video is one for a day.
const SECRET_FIELDS: [&str; 6] = ["password", "token", "pushkey", "apiKey", "link", "videoUri"];

/// Bytes of an argument that a shell can be given with certainty.
const ARGUMENT: usize = 100_000;

/// Which side made a call: Pruvan or the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Pruvan called a web service of the host.
    ToHost,
    /// The host called its push key.
    ToPruvan,
}

/// One call and what became of it. What is public in it has no secrets.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Its place on the wire, from 1; 0 if it isn't on one.
    pub id: u64,
    /// When it began, in milliseconds since 1970.
    pub at: i64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Which side made the call.
    pub direction: Direction,
    /// The user name at the host of the integration.
    pub username: String,
    /// The web service, or `push`, or `refresh` for a GET of the push key.
    pub service: String,
    /// HTTP method of the request: `POST` or `GET`.
    pub method: &'static str,
    /// The URL that was called; the secret in a push key is masked.
    pub url: String,
    /// The request's `Content-Type`, without its boundary.
    pub content_type: String,
    /// The payload, as JSON if it is some.
    pub payload: String,
    /// Name and size of the file that went along.
    pub file: Option<(String, usize)>,
    /// HTTP status; 0 if no answer came.
    pub status: u16,
    /// The reply's `Content-Type`; empty if it has none.
    pub reply_type: String,
    /// The body as it came.
    pub body: String,
    /// Why no answer came.
    pub error: Option<String>,
    /// What in it breaks the specification, once somebody has asked.
    pub(crate) judged: OnceLock<Vec<Breach>>,
    /// What was really sent.
    pub(crate) sent: Sent,
}

/// A request with its secrets, to send it again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent {
    pub url: SecretString,
    pub payload: SecretString,
    pub file: Option<Bytes>,
    /// Of a push, its `Content-Type` with the boundary, as it came.
    pub content_type: String,
    /// Of a push, as it came.
    pub body: Bytes,
}

impl Exchange {
    /// The body as JSON; null if it isn't.
    pub fn reply(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// What in it breaks the specification.
    pub fn breaches(&self) -> &[Breach] {
        self.judged.get_or_init(|| match self.direction {
            Direction::ToPruvan if self.service == "push" => spec::push(Some(&self.sent.content_type), &self.sent.body),
            Direction::ToHost if self.error.is_none() => {
                let service = Service::ALL.into_iter().find(|service| service.name() == self.service);
                let judge = |service| spec::reply(service, self.status, Some(&self.reply_type), self.body.as_bytes());
                service.map(judge).unwrap_or_default()
            }
            _ => Vec::new(),
        })
    }

    /// The file that went along.
    pub fn file_sent(&self) -> Option<Bytes> {
        self.sent.file.clone()
    }

    /// The payload that was sent, with its secrets.
    pub fn payload_sent(&self) -> &str {
        self.sent.payload.expose_secret()
    }

    /// A command line for a shell that makes the same call. It holds the secrets; what is large is taken from `base`,
    /// where this exchange's `payload` and `file` can be had.
    pub fn curl(&self, base: &str) -> String {
        self.command(self.sent.url.expose_secret(), self.sent.payload.expose_secret(), base)
    }

    /// The same with the secrets masked, to be looked at.
    pub fn masked_curl(&self, base: &str) -> String {
        self.command(&self.url, &self.payload, base)
    }

    fn command(&self, url: &str, payload: &str, base: &str) -> String {
        let url = quoted(url);
        if self.method == "GET" {
            return format!("curl -sS {url}");
        }
        let (fetched, large) = (quoted(&format!("{base}/{}/payload", self.id)), payload.len() > ARGUMENT);
        match (self.direction, &self.file) {
            (Direction::ToPruvan, _) if large => {
                format!("curl -sS {fetched} | curl -sS {url} --data-urlencode workOrders@-")
            }
            (Direction::ToPruvan, _) => {
                format!("curl -sS {url} --data-urlencode {}", quoted(&format!("workOrders={payload}")))
            }
            (Direction::ToHost, None) if large => format!("curl -sS {fetched} | curl -sS {url} -F 'payload=<-'"),
            (Direction::ToHost, None) => {
                format!("curl -sS {url} --form-string {}", quoted(&format!("payload={payload}")))
            }
            (Direction::ToHost, Some((name, _))) => {
                let payload = if large {
                    format!("-F \"payload=<\"<(curl -sS {fetched})")
                } else {
                    format!("--form-string {}", quoted(&format!("payload={payload}")))
                };
                let file = quoted(&format!("file=@-;filename=\"{}\"", name.replace(['"', '\\'], "_")));
                let from = quoted(&format!("{base}/{}/file", self.id));
                format!("curl -sS {from} | curl -sS {url} {payload} -F {file}")
            }
        }
    }

    fn bytes(&self) -> usize {
        let file = self.sent.file.as_ref().map_or(0, Bytes::len);
        // The payload is there twice, with secrets and without.
        self.payload.len() + self.sent.payload.expose_secret().len() + self.sent.body.len() + self.body.len() + file
    }
}

/// A word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Puts [`MASK`] where secrets are.
pub fn masked(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| {
                let secret =
                    SECRET_FIELDS.contains(&name.as_str()) && value.as_str().is_some_and(|text| !text.is_empty());
                (name.clone(), if secret { Value::from(MASK) } else { masked(value) })
            })
            .collect(),
        Value::Array(items) => items.iter().map(masked).collect(),
        other => other.clone(),
    }
}

/// A secret in all forms that a text may have it in: as it is, in JSON, in JSON with its slashes escaped, and in a
/// form.
pub fn forms(secret: &str) -> [String; 4] {
    let quoted = Value::from(secret).to_string();
    let json = quoted.trim_matches('"').to_owned();
    let encoded = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    [secret.to_owned(), json.replace('/', "\\/"), json, encoded]
}

/// A text without these secrets, wherever they stand in it.
pub fn without(text: &str, secrets: &[&str]) -> String {
    let forms = secrets.iter().filter(|secret| !secret.is_empty()).flat_map(|secret| forms(secret));
    forms.fold(text.to_owned(), |text, form| if text.contains(&form) { text.replace(&form, MASK) } else { text })
}

/// The last exchanges, oldest first.
#[derive(Default)]
pub struct Wire(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    last: u64,
    bytes: usize,
    exchanges: VecDeque<Arc<Exchange>>,
}

impl Wire {
    /// Puts an exchange on the wire and gives it its place.
    pub fn put(&self, mut exchange: Exchange) -> Exchange {
        let mut kept = self.kept();
        kept.last += 1;
        exchange.id = kept.last;
        kept.bytes += exchange.bytes();
        kept.exchanges.push_back(Arc::new(exchange.clone()));
        while kept.exchanges.len() > KEPT || (kept.bytes > BYTES && kept.exchanges.len() > 1) {
            let gone = kept.exchanges.pop_front().map_or(0, |gone| gone.bytes());
            kept.bytes -= gone;
        }
        exchange
    }

    /// The last `count` that `wanted` wants, newest first.
    pub fn last(&self, count: usize, wanted: impl Fn(&Exchange) -> bool) -> Vec<Arc<Exchange>> {
        self.kept().exchanges.iter().rev().filter(|exchange| wanted(exchange)).take(count).cloned().collect()
    }

    /// The exchange at this place, if it is still kept.
    pub fn get(&self, id: u64) -> Option<Arc<Exchange>> {
        self.kept().exchanges.iter().find(|exchange| exchange.id == id).cloned()
    }

    /// How many there have been.
    pub fn count(&self) -> u64 {
        self.kept().last
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn exchange(direction: Direction, payload: &str, file: Option<&str>) -> Exchange {
        let url = "http://127.0.0.1/x?apiKey=secret1".to_owned();
        Exchange {
            id: 7,
            at: 0,
            took_ms: 0,
            direction,
            username: "u".to_owned(),
            service: "validate".to_owned(),
            method: "POST",
            url: without(&url, &["secret1"]),
            content_type: String::new(),
            payload: masked(&serde_json::from_str(payload).unwrap()).to_string(),
            file: file.map(|file| ("a\".jpg".to_owned(), file.len())),
            status: 200,
            reply_type: String::new(),
            body: String::new(),
            error: None,
            judged: OnceLock::new(),
            sent: Sent {
                url: url.into(),
                payload: payload.to_owned().into(),
                file: file.map(|file| file.to_owned().into()),
                ..Sent::default()
            },
        }
    }

    #[test]
    fn a_command_is_quoted_and_shows_its_secrets_only_when_asked() {
        let call = exchange(Direction::ToHost, r#"{"token":"secret2","notes":"it's"}"#, None);
        assert_eq!(
            call.curl("http://c"),
            r#"curl -sS 'http://127.0.0.1/x?apiKey=secret1' --form-string 'payload={"token":"secret2","notes":"it'\''s"}'"#
        );
        let shown = call.masked_curl("http://c");
        assert!(!shown.contains("secret"), "{shown}");
        let upload = exchange(Direction::ToHost, "{}", Some("bytes")).curl("http://c");
        assert_eq!(
            upload,
            r#"curl -sS 'http://c/7/file' | curl -sS 'http://127.0.0.1/x?apiKey=secret1' --form-string 'payload={}' -F 'file=@-;filename="a_.jpg"'"#
        );
        let large = format!("\"{}\"", "x".repeat(ARGUMENT));
        let push = exchange(Direction::ToPruvan, &large, None).curl("http://c");
        assert!(push.starts_with("curl -sS 'http://c/7/payload' | ") && push.len() < 200, "{push}");
    }

    #[test]
    fn secrets_are_masked_wherever_they_are() {
        let value = json!({ "token": "a", "password": null, "workOrders": [{ "token": "b", "videoUri": "" }] });
        let expected = json!({ "token": "***", "password": null, "workOrders": [{ "token": "***", "videoUri": "" }] });
        assert_eq!(masked(&value), expected);
        assert_eq!(without("key a/\"d, a\\/\\\"d a%2F%22d", &["a/\"d", ""]), "key ***, *** ***");
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let wire = Wire::default();
        for _ in 0..KEPT + 2 {
            wire.put(exchange(Direction::ToHost, "{}", None));
        }
        assert_eq!((wire.count(), wire.last(usize::MAX, |_| true).len()), (KEPT as u64 + 2, KEPT));
        assert!(wire.get(2).is_none() && wire.get(3).is_some());
        let large = "x".repeat(BYTES);
        wire.put(exchange(Direction::ToHost, "{}", Some(&large)));
        assert_eq!(wire.last(usize::MAX, |_| true).len(), 1);
    }
}
