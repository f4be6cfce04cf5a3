//! The replies that the specification documents, and what to do about others.

use serde_json::Value;
use simulator::spec::{Service, is_documented, is_documented_refusal};

use crate::reply::Reply;
use crate::report::Fault;

/// The order that no account has.
pub const NO_ORDER: &str = "doctor-no-such-order";

/// As it is called in the template.
fn function(service: Service) -> &'static str {
    match service {
        Service::Validate => "ValidateFunction",
        Service::GetWorkOrders => "GetWorkOrdersFunction",
        Service::UploadPictures => "UploadPicturesFunction",
        Service::Status => "StatusFunction",
    }
}

/// The reply to a call with the right key; of `status`, to a report of [`NO_ORDER`].
fn due(service: Service) -> &'static str {
    if service == Service::Status { service.documented_refusal() } else { service.documented() }
}

/// The reply to a call with a wrong key.
fn due_refusal(service: Service) -> &'static str {
    match service {
        Service::Validate => r#"{"error":"invalid username or password","validated":false}"#,
        _ => service.documented_refusal(),
    }
}

fn is_due(service: Service, reply: &Value) -> bool {
    match service {
        Service::GetWorkOrders => {
            let numbered = |order: &Value| order["workOrderNumber"].is_string();
            is_documented(service, reply)
                && reply["workOrders"].as_array().is_some_and(|orders| orders.iter().all(numbered))
        }
        Service::Status => {
            let records = reply["error"].as_array();
            let only = records
                .is_some_and(|records| matches!(records.as_slice(), [one] if one["workOrderNumber"] == NO_ORDER));
            is_documented_refusal(service, reply) && only
        }
        _ => is_documented(service, reply),
    }
}

fn is_due_refusal(service: Service, reply: &Value) -> bool {
    match service {
        Service::Validate => is_documented_refusal(service, reply) && reply["error"] == "invalid username or password",
        Service::Status => is_due(service, reply),
        _ => is_documented_refusal(service, reply),
    }
}

/// Whether a reply to the right key is the documented one.
pub fn judge(service: Service, reply: &Reply) -> Result<(), Fault> {
    let body = json_of(service, reply)?;
    let said = body["error"].as_str().or(body["error"][0]["error"].as_str()).unwrap_or_default();
    let not_taken = said.contains("invalid username or password");
    // A refusal of status has the shape of what it says of an unknown order.
    if is_due(service, &body) && !not_taken {
        return Ok(());
    }
    let next = if said.contains("not available") {
        format!("its stores fail: look into its log, sam logs --stack-name NAME -n {}", function(service))
    } else if not_taken {
        "the key that this run made or was given was refused: look whether other services took it; if they did, deploy anew".to_owned()
    } else {
        format!("documented is {}: see that the latest version is deployed at this URL", due(service))
    };
    Err(Fault::new(reply.seen(), next))
}

/// Whether a reply to a wrong key refuses it as documented.
pub fn judge_refusal(service: Service, reply: &Reply) -> Result<(), Fault> {
    let body = json_of(service, reply)?;
    if is_due_refusal(service, &body) {
        return Ok(());
    }
    let taken = match service {
        Service::Validate => body["validated"] == true,
        Service::GetWorkOrders => body["workOrders"].is_array(),
        Service::UploadPictures | Service::Status => body["status"] == true,
    };
    let next = if taken { taken_anyway(service) } else { format!("documented is {}", due_refusal(service)) };
    Err(Fault::new(reply.seen(), next))
}

fn json_of(service: Service, reply: &Reply) -> Result<Value, Fault> {
    if reply.status == 200 {
        return reply.json();
    }
    let next = match reply.status {
        300..=399 => "Pruvan isn't known to follow redirects: type the URL into Pruvan that this one leads to".to_owned(),
        403..=405 => {
            "this path isn't known there: the URL must be the output WebServiceUrl as it is, with its stage (/live); if it is, deploy template.yaml anew, and look whether a firewall (WAF) is in front".to_owned()
        }
        429 => "too many requests at once: try again, and raise the parameter RequestsPerSecond if it stays so".to_owned(),
        500.. => format!("the function failed or could not be called: sam logs --stack-name NAME -n {}", function(service)),
        _ => "every reply to Pruvan has status 200: look what stands in front of the bridge, a proxy or a firewall".to_owned(),
    };
    Err(Fault::new(reply.seen(), next))
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
            assert_eq!(judge(service, &json_reply(text)), Ok(()), "{text}");
            assert!(service == Service::Status || judge_refusal(service, &json_reply(text)).is_err(), "{text}");
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
            let fault = judge(service, &json_reply(text)).unwrap_err();
            assert!(fault.next.starts_with(&format!("documented is {}", due(service))), "{fault:?}");
        }
    }

    #[test]
    fn an_unknown_order_is_not_an_unknown_key() {
        let reply = format!(
            r#"{{"status":false,"error":[{{"workOrderNumber":"{NO_ORDER}","error":"invalid username or password"}}]}}"#
        );
        assert_eq!(judge_refusal(Service::Status, &json_reply(&reply)), Ok(()));
        assert!(judge(Service::Status, &json_reply(&reply)).is_err());
    }

    #[test]
    fn refusals() {
        let refusals = [
            (Service::Validate, r#"{"error":"invalid username or password","validated":false}"#),
            (Service::GetWorkOrders, r#"{"error":"no"}"#),
            (Service::UploadPictures, r#"{"status":false,"error":"no"}"#),
        ];
        for (service, text) in refusals {
            assert_eq!(judge_refusal(service, &json_reply(text)), Ok(()));
            assert!(judge(service, &json_reply(text)).is_err());
        }
        let fault = judge_refusal(Service::GetWorkOrders, &json_reply(r#"{"workOrders":[],"error":""}"#)).unwrap_err();
        assert!(fault.next.contains("WRONG key was let in: anybody can call getWorkOrders"), "{fault:?}");
        let fault = judge_refusal(Service::UploadPictures, &json_reply(r#"{"status":false,"error":""}"#)).unwrap_err();
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
            let fault = judge(Service::Validate, &reply).unwrap_err();
            assert!(fault.next.contains(next), "{fault:?}");
            assert!(fault.seen.starts_with(&format!("HTTP {}, ", reply.status)), "{fault:?}");
        }
    }
}
