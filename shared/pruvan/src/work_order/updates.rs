//! What Pruvan won't take over of a change: the column *Updateable* of the tables, with the kind of integration.

use serde_json::{Map, Value};

use super::fields::{DIRECTIVES, SERVICE_FIELDS, Updatable, WORK_ORDER_FIELDS};
use crate::integration::IntegrationType;

/// A field of an order that Pruvan has, whose new value it won't take over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotUpdated {
    /// JSON pointer (RFC 6901) to the field in the order, such as `/services/0/instructions`.
    pub field: String,
    /// Why Pruvan doesn't take the value over.
    pub why: WhyNotUpdated,
}

/// Why Pruvan won't take a new value over, by the tables of fields and the kind of integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WhyNotUpdated {
    /// The field isn't updateable.
    #[error("is not updated once Pruvan has the order: it keeps what it was created with")]
    NeverOfOrder,
    /// An external integration may set it only by force.
    #[error("is not taken from an external integration once Pruvan has the order: \"force\": true overrides that")]
    OnlyByForce,
    /// An external integration may set it only with its option `auto_admin`, or by force.
    #[error(
        "is not taken from an external integration without its option auto_admin once Pruvan has the order: override with \"force\": true"
    )]
    OnlyByAutoAdmin,
    /// A field that is left out stays as it is.
    #[error("is left out now, and Pruvan keeps what it has: send another text to replace it")]
    LeftOut,
    /// The service's field isn't updateable.
    #[error("is not updated once Pruvan has the service: give the service another serviceName")]
    NeverOfService,
    /// The specification says of the service's field that it is updateable, and that it isn't.
    #[error(
        "may not be updated once Pruvan has the service (the specification says both): give the service another serviceName if the crew must see it"
    )]
    PerhapsOfService,
}

/// What Pruvan won't take over when an order that it has changes from `was` to `is`, by the tables of fields and the
/// kind of integration; `set` are directives that are set anew, also with the value they had; `anew` says whether the
/// service of a name is deleted there first. It does no harm to send all the same: Pruvan may know better.
pub fn not_updated(
    was: &Map<String, Value>,
    is: &Map<String, Value>,
    integration: IntegrationType,
    auto_admin: bool,
    force: bool,
    set: &[String],
    anew: impl Fn(&str) -> bool,
) -> Vec<NotUpdated> {
    let mut found = Vec::new();
    for field in &WORK_ORDER_FIELDS {
        let (before, now) = (was.get(field.name), is.get(field.name));
        if before == now && !set.iter().any(|name| name == field.name) {
            continue;
        }
        let why = match field.updatable {
            Updatable::No => WhyNotUpdated::NeverOfOrder,
            Updatable::ByIntegration if force || integration.may_set(field.name, auto_admin) => match now {
                None if !DIRECTIVES.contains(&field.name) => WhyNotUpdated::LeftOut,
                _ => continue,
            },
            Updatable::ByIntegration if field.name == "assignedTo" => WhyNotUpdated::OnlyByForce,
            Updatable::ByIntegration => WhyNotUpdated::OnlyByAutoAdmin,
            Updatable::Yes if now.is_none() => WhyNotUpdated::LeftOut,
            Updatable::Yes => continue,
        };
        found.push(NotUpdated { field: format!("/{}", field.name), why });
    }
    let services = |of: &Map<String, Value>| of.get("services").and_then(Value::as_array).cloned().unwrap_or_default();
    let before = services(was);
    for (index, service) in services(is).iter().enumerate() {
        let name = service.get("serviceName").and_then(Value::as_str).unwrap_or_default();
        let Some(before) = before.iter().find(|before| before.get("serviceName").and_then(Value::as_str) == Some(name))
        else {
            continue;
        };
        if anew(name) {
            continue;
        }
        for field in SERVICE_FIELDS.iter().filter(|field| before.get(field.name) != service.get(field.name)) {
            let why = match field.updatable {
                Updatable::No => WhyNotUpdated::NeverOfService,
                _ => WhyNotUpdated::PerhapsOfService,
            };
            found.push(NotUpdated { field: format!("/services/{index}/{}", field.name), why });
        }
    }
    found
}
