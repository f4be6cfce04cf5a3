//! What a web service answered.

use serde_json::Value;

use crate::report::Fault;

/// What came back. The key that was sent is blotted out in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status code of the response.
    pub status: u16,
    /// Empty if there is none.
    pub content_type: String,
    /// The body as text; bytes that are no UTF-8 are replaced.
    pub text: String,
}

impl Reply {
    /// The JSON in it, said to be such.
    pub fn json(&self) -> Result<Value, Fault> {
        let typed = self.content_type.split(';').next().is_some_and(|kind| kind.trim() == "application/json");
        match serde_json::from_str(&self.text) {
            Ok(json) if typed => Ok(json),
            Ok(_) => Err(Fault::new(
                self.seen(),
                "the JSON must come as Content-Type application/json: look what stands in front of the bridge and changes headers",
            )),
            Err(_) => Err(Fault::new(
                self.seen(),
                "this is no JSON, so something else answers here (a proxy, a login page, another site): compare the URL with the output WebServiceUrl",
            )),
        }
    }

    /// It in one short line, in ASCII.
    pub fn seen(&self) -> String {
        const SHOWN: usize = 160;
        let line = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown: String = line.chars().take(SHOWN).flat_map(char::escape_default).collect();
        let shown = shown.replace("\\\"", "\"").replace("\\'", "'");
        let more = if line.chars().count() > SHOWN { " ..." } else { "" };
        let kind = if self.content_type.is_empty() { "no Content-Type" } else { &self.content_type };
        let body = if shown.is_empty() { "an empty body" } else { &shown };
        format!("HTTP {}, {kind}: {body}{more}", self.status)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(status: u16, content_type: &str, text: &str) -> Reply {
        Reply { status, content_type: content_type.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn what_is_shown_is_short_and_ascii() {
        assert_eq!(reply(200, "", " ").seen(), "HTTP 200, no Content-Type: an empty body");
        assert_eq!(
            reply(200, "text/html", "a\r\n\u{1b}[31m \"b\" \u{e9}").seen(),
            "HTTP 200, text/html: a \\u{1b}[31m \"b\" \\u{e9}"
        );
        assert!(reply(200, "text/html", &"x".repeat(1000)).seen().len() < 200);
        let typed = reply(200, "application/json; charset=utf-8", "{}");
        assert_eq!(typed.json(), Ok(json!({})));
    }
}
