//! The replies that the specification documents, and what to do about others.

use serde_json::Value;

use crate::report::Fault;
use crate::spec::{Service, is_documented, is_documented_refusal};

/// The order that no account has.
pub const NO_ORDER: &str = "doctor-no-such-order";

impl Service {
    /// As it is called in the template.
    fn function(self) -> &'static str {
        match self {
            Service::Validate => "ValidateFunction",
            Service::GetWorkOrders => "GetWorkOrdersFunction",
            Service::UploadPictures => "UploadPicturesFunction",
            Service::Status => "StatusFunction",
        }
    }

    /// The reply to a call with the right key; of `status`, to a report of [`NO_ORDER`].
    fn due(self) -> &'static str {
        if self == Service::Status { self.documented_refusal() } else { self.documented() }
    }

    /// The reply to a call with a wrong key.
    fn due_refusal(self) -> &'static str {
        match self {
            Service::Validate => r#"{"error":"invalid username or password","validated":false}"#,
            _ => self.documented_refusal(),
        }
    }

    fn is_due(self, reply: &Value) -> bool {
        match self {
            Service::GetWorkOrders => {
                let numbered = |order: &Value| order["workOrderNumber"].is_string();
                is_documented(self, reply)
                    && reply["workOrders"].as_array().is_some_and(|orders| orders.iter().all(numbered))
            }
            Service::Status => {
                let records = reply["error"].as_array();
                let only = records
                    .is_some_and(|records| matches!(records.as_slice(), [one] if one["workOrderNumber"] == NO_ORDER));
                is_documented_refusal(self, reply) && only
            }
            _ => is_documented(self, reply),
        }
    }

    fn is_due_refusal(self, reply: &Value) -> bool {
        match self {
            Service::Validate => is_documented_refusal(self, reply) && reply["error"] == "invalid username or password",
            Service::Status => self.is_due(reply),
            _ => is_documented_refusal(self, reply),
        }
    }

    /// Whether a reply to the right key is the documented one.
    pub(super) fn judge(self, reply: &Reply) -> Result<(), Fault> {
        let body = self.json_of(reply)?;
        let said = body["error"].as_str().or(body["error"][0]["error"].as_str()).unwrap_or_default();
        let not_taken = said.contains("invalid username or password");
        // A refusal of status has the shape of what it says of an unknown order.
        if self.is_due(&body) && !not_taken {
            return Ok(());
        }
        let next = if said.contains("not available") {
            format!("its stores fail: look into its log, sam logs --stack-name NAME -n {}", self.function())
        } else if not_taken {
            "the key that this run made or was given was refused: look whether other services took it; if they did, deploy anew".to_owned()
        } else {
            format!("documented is {}: see that the latest version is deployed at this URL", self.due())
        };
        Err(Fault::new(reply.seen(), next))
    }

    /// Whether a reply to a wrong key refuses it as documented.
    pub(super) fn judge_refusal(self, reply: &Reply) -> Result<(), Fault> {
        let body = self.json_of(reply)?;
        if self.is_due_refusal(&body) {
            return Ok(());
        }
        let taken = match self {
            Service::Validate => body["validated"] == true,
            Service::GetWorkOrders => body["workOrders"].is_array(),
            Service::UploadPictures | Service::Status => body["status"] == true,
        };
        let next = if taken { taken_anyway(self) } else { format!("documented is {}", self.due_refusal()) };
        Err(Fault::new(reply.seen(), next))
    }

    fn json_of(self, reply: &Reply) -> Result<Value, Fault> {
        if reply.status == 200 {
            return reply.json();
        }
        let next = match reply.status {
            300..=399 => "Pruvan isn't known to follow redirects: type the URL into Pruvan that this one leads to".to_owned(),
            403..=405 => {
                "this path isn't known there: the URL must be the output WebServiceUrl as it is, with its stage (/live); if it is, deploy template.yaml anew, and look whether a firewall (WAF) is in front".to_owned()
            }
            429 => "too many requests at once: try again, and raise the parameter RequestsPerSecond if it stays so".to_owned(),
            500.. => format!("the function failed or could not be called: sam logs --stack-name NAME -n {}", self.function()),
            _ => "every reply to Pruvan has status 200: look what stands in front of the bridge, a proxy or a firewall".to_owned(),
        };
        Err(Fault::new(reply.seen(), next))
    }
}

/// What to do when a wrong key is let in.
pub fn taken_anyway(service: Service) -> String {
    format!(
        "a WRONG key was let in: anybody can call {}. Take this deployment from the net (sam delete, or throttle its API to 0) and find out what is deployed there",
        service.name()
    )
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// What came back. The key that was sent is blotted out in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Empty if there is none.
    pub content_type: String,
    /// The body.
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

/// An error that Pruvan understands, whichever service it called: `{"status":false,"validated":false,"error":"..."}`.
pub fn is_general_refusal(reply: &Value) -> bool {
    is_text(&reply["error"]) && reply["status"] == false && reply["validated"] == false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(status: u16, content_type: &str, text: &str) -> Reply {
        Reply { status, content_type: content_type.to_owned(), text: text.to_owned() }
    }

    fn json_reply(text: &str) -> Reply {
        reply(200, "application/json", text)
    }

    #[test]
    fn the_documented_replies_and_no_others() {
        let status = format!(
            r#"{{"status":false,"error":[{{"workOrderNumber":"{NO_ORDER}","error":"work order does not exist"}}]}}"#
        );
        let good = [
            (Service::Validate, r#"{"error":"","validated":true}"#),
            (Service::GetWorkOrders, r#"{"workOrders":[],"error":""}"#),
            (Service::GetWorkOrders, r#"{"error":"","workOrders":[{"workOrderNumber":"1","city":"Hutto"}]}"#),
            (Service::UploadPictures, r#"{"status":true,"error":null}"#),
            (Service::Status, &status),
        ];
        for (service, text) in good {
            assert_eq!(service.judge(&json_reply(text)), Ok(()), "{text}");
            assert!(service == Service::Status || service.judge_refusal(&json_reply(text)).is_err(), "{text}");
        }
        let bad = [
            (Service::Validate, r#"{"error":null,"validated":true}"#),
            (Service::Validate, r#"{"error":"","validated":"true"}"#),
            (Service::GetWorkOrders, r#"{"error":""}"#),
            (Service::GetWorkOrders, r#"{"workOrders":[7],"error":""}"#),
            (Service::UploadPictures, r#"{"status":true,"error":""}"#),
            (Service::Status, r#"{"status":false,"error":"work order does not exist"}"#),
            (Service::Status, r#"{"status":true,"error":null}"#),
            (Service::Status, r#"{"status":false,"error":[]}"#),
        ];
        for (service, text) in bad {
            let fault = service.judge(&json_reply(text)).unwrap_err();
            assert!(fault.next.starts_with(&format!("documented is {}", service.due())), "{fault:?}");
        }
    }

    #[test]
    fn an_unknown_order_is_not_an_unknown_key() {
        let reply = format!(
            r#"{{"status":false,"error":[{{"workOrderNumber":"{NO_ORDER}","error":"invalid username or password"}}]}}"#
        );
        assert_eq!(Service::Status.judge_refusal(&json_reply(&reply)), Ok(()));
        assert!(Service::Status.judge(&json_reply(&reply)).is_err());
    }

    #[test]
    fn refusals() {
        let refusals = [
            (Service::Validate, r#"{"error":"invalid username or password","validated":false}"#),
            (Service::GetWorkOrders, r#"{"error":"no"}"#),
            (Service::UploadPictures, r#"{"status":false,"error":"no"}"#),
        ];
        for (service, text) in refusals {
            assert_eq!(service.judge_refusal(&json_reply(text)), Ok(()));
            assert!(service.judge(&json_reply(text)).is_err());
        }
        let fault = Service::GetWorkOrders.judge_refusal(&json_reply(r#"{"workOrders":[],"error":""}"#)).unwrap_err();
        assert!(fault.next.contains("WRONG key was let in: anybody can call getWorkOrders"), "{fault:?}");
        let fault = Service::UploadPictures.judge_refusal(&json_reply(r#"{"status":false,"error":""}"#)).unwrap_err();
        assert_eq!(fault.next, r#"documented is {"status":false,"error":"..."}"#);
        assert!(is_general_refusal(&json!({ "status": false, "validated": false, "error": "no" })));
        assert!(!is_general_refusal(&json!({ "message": "Forbidden" })));
    }

    #[test]
    fn each_fault_has_its_next_step() {
        for (reply, next) in [
            (reply(302, "text/html", ""), "redirects"),
            (reply(403, "application/json", r#"{"message":"Missing Authentication Token"}"#), "with its stage (/live)"),
            (reply(429, "application/json", "{}"), "RequestsPerSecond"),
            (reply(502, "application/json", "{}"), "sam logs --stack-name NAME -n ValidateFunction"),
            (reply(401, "text/html", "who?"), "a proxy or a firewall"),
            (reply(200, "text/html", "<html>\n welcome"), "something else answers here"),
            (reply(200, "text/plain", r#"{"error":"","validated":true}"#), "Content-Type application/json"),
            (json_reply(r#"{"error":"invalid username or password","validated":false}"#), "deploy anew"),
            (
                json_reply(r#"{"error":"the order system is not available at the moment","validated":false}"#),
                "its stores fail",
            ),
        ] {
            let fault = Service::Validate.judge(&reply).unwrap_err();
            assert!(fault.next.contains(next), "{fault:?}");
            assert!(fault.seen.starts_with(&format!("HTTP {}, ", reply.status)), "{fault:?}");
        }
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
