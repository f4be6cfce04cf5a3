//! A work order as the host gives it, checked by the specification's tables and brought into the form that is sent.

mod check;
mod fields;
mod remark;
mod shapes;
mod updates;

use serde_json::{Map, Value};

use crate::lenient::{is_nothing, text};
use check::Check;
pub use check::{MAX_SERVICES, MAX_VALUE_DEPTH};
pub use fields::{DIRECTIVES, Field, Kind, SERVICE_FIELDS, SERVICES, Updatable, WORK_ORDER_FIELDS};
pub use remark::Remark;
pub use shapes::{could_be_number, is_in_us, nearest, number_fault};
pub use updates::{NotUpdated, WhyNotUpdated, not_updated};

/// An order as JSON has at most this many bytes, so that it fits a push, and twice a database row of 400 KB with room
/// for what is reported: an index on the row counts against the same limit.
pub const MAX_DOCUMENT: usize = 150_000;

/// A whole work order with every field checked and in the form that Pruvan gets.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkOrder {
    number: String,
    /// In the specification's order.
    fields: Vec<(&'static str, Value)>,
}

/// The values of the [`DIRECTIVES`], by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directives(pub std::collections::BTreeMap<String, String>);

impl Directives {
    /// As fields to put in front of a document's own: `"dueDate":"2016-05-25 1200 +0","status":"rush",`. Empty without
    /// any.
    pub fn fragment(&self) -> String {
        self.0
            .iter()
            .map(|(name, value)| format!("{}:{},", Value::from(name.as_str()), Value::from(value.as_str())))
            .collect()
    }
}

impl WorkOrder {
    /// Checks a whole order for the number it has or is to have, and brings it into the form that is sent.
    ///
    /// Text is transliterated to ASCII, numbers are read as text where text is due, `dueDate` becomes noon UTC of the
    /// day meant. `null` and `""` are the same as leaving a field out. What is accepted and yet changed is told in the
    /// warnings; otherwise every fault found is told, not only the first.
    pub fn parse(number: &str, mut body: Map<String, Value>) -> Result<(WorkOrder, Vec<Remark>), Vec<Remark>> {
        let mut check = Check::default();
        if let Some(given) = body.get("workOrderNumber").and_then(text)
            && given != number
        {
            check.error("/workOrderNumber", format!("is {given:?}, but the order addressed is {number:?}"));
        }
        body.insert("workOrderNumber".to_owned(), Value::from(number));
        let services = body.remove(SERVICES.name);
        let mut fields = check.object("", &WORK_ORDER_FIELDS, body, "work order");
        match services.as_ref().filter(|services| !is_nothing(services)) {
            Some(services) => fields.push((SERVICES.name, check.services(services))),
            None => check.error(
                "/services",
                "is required: a list of at least one service, such as [{\"serviceName\": \"Photos\"}]",
            ),
        }
        check.place(&mut fields);
        let order = WorkOrder { number: number.to_owned(), fields };
        if check.errors.is_empty() {
            let size = order.document().len();
            if size > MAX_DOCUMENT {
                check.error(
                    "",
                    format!("the order has {size} bytes as JSON; at most {MAX_DOCUMENT} can be stored and pushed"),
                );
            }
        }
        if check.errors.is_empty() { Ok((order, check.warnings)) } else { Err(check.errors) }
    }

    /// The same with these services, which were checked before: those of the order as it is.
    pub fn with_services(&self, services: Value) -> WorkOrder {
        let mut order = self.clone();
        order.fields.retain(|(name, _)| *name != SERVICES.name);
        order.fields.push((SERVICES.name, services));
        order
    }

    /// The order's `workOrderNumber`, which is unique in the account.
    pub fn number(&self) -> &str {
        &self.number
    }

    /// A field's value in the form that is sent.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// The order as compact ASCII JSON, keys in the specification's order, without the [`DIRECTIVES`].
    pub fn document(&self) -> String {
        let mut document = "{".to_owned();
        for (name, value) in self.fields.iter().filter(|(name, _)| !DIRECTIVES.contains(name)) {
            if document.len() > 1 {
                document.push(',');
            }
            document.push_str(&format!("\"{name}\":{value}"));
        }
        document.push('}');
        document
    }

    /// The directives that the order gives.
    pub fn directives(&self) -> Directives {
        let given = self.fields.iter().filter(|(name, _)| DIRECTIVES.contains(name));
        Directives(given.map(|(name, value)| ((*name).to_owned(), text(value).unwrap_or_default())).collect())
    }
}

/// The services of an order's document, by name, each with its survey or an empty text. Pruvan takes no other survey
/// under the same name (*Available workOrder service Object Fields*).
pub fn surveys(document: &Map<String, Value>) -> std::collections::BTreeMap<String, String> {
    let services = document.get("services").and_then(Value::as_array).into_iter().flatten();
    let named = services.filter_map(|service| {
        let text = |name: &str| service.get(name).and_then(Value::as_str).map(str::to_owned);
        Some((text("serviceName")?, text("survey").unwrap_or_default()))
    });
    named.collect()
}

/// The order's document without these services: what goes first where a survey is to change under the same name.
pub fn without_services(document: &str, names: &std::collections::BTreeSet<String>) -> String {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(document) else { return document.to_owned() };
    if let Some(Value::Array(services)) = fields.get_mut("services") {
        services.retain(|service| {
            service.get("serviceName").and_then(Value::as_str).is_none_or(|name| !names.contains(name))
        });
    }
    Value::Object(fields).to_string()
}

/// The document that deletes an order in Pruvan. An external integration can't, so the client's own status says it,
/// too.
pub fn delete_request(number: &str) -> String {
    serde_json::json!({ "workOrderNumber": number, "status": "deleted", "clientStatus": "Deleted" }).to_string()
}

/// Applies an RFC 7386 merge patch: objects are merged, `null` removes, all else (so `services` too) is replaced.
pub fn merge_patch(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (key, change) in patch {
        match change {
            Value::Null => {
                target.remove(&key);
            }
            Value::Object(change) => {
                let slot = target.entry(key).or_insert(Value::Null);
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                if let Value::Object(slot) = slot {
                    merge_patch(slot, change);
                }
            }
            change => {
                target.insert(key, change);
            }
        }
    }
}

#[cfg(test)]
mod tests;
