//! What was found so far, and how it is told.

use std::collections::BTreeSet;

use pruvan::lenient::text;
use serde_json::Value;

/// Something that breaks the specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The heading in the specification.
    pub section: &'static str,
    /// What breaks it: a sentence in ASCII, which names the order and the field at fault and shows no long value.
    pub what: String,
}

/// The heading *General* under *Testing*: what holds of all replies and pushes, such as being JSON in ASCII.
pub const GENERAL: &str = "General";
/// Where the specification shows an exchange in Postman.
pub const URL_FORMAT: &str = "URL format";
/// *Pruvan Push API*, *Using the pushkey*.
pub const PUSHKEY: &str = "Using the pushkey";

pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(text) if text.is_empty() => "an empty text",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A text to show: in ASCII, and so short that no key is whole in it.
pub fn quoted(text: &str) -> String {
    const SHOWN: usize = 24;
    let shown: String = text.chars().take(SHOWN).flat_map(char::escape_default).collect();
    let more = if text.chars().nth(SHOWN).is_some() { "..." } else { "" };
    format!("\"{}{more}\"", shown.replace("\\'", "'"))
}

/// What was found so far. One fault that many orders have is told once.
#[derive(Default)]
pub struct Faults {
    found: Vec<Found>,
}

struct Found {
    section: &'static str,
    place: String,
    rule: String,
    /// What else has it.
    others: BTreeSet<String>,
}

impl Faults {
    /// That what is at `place` breaks `rule`, which is put behind it.
    pub fn note(&mut self, section: &'static str, place: String, rule: &str) {
        match self.found.iter_mut().find(|found| found.section == section && found.rule == rule) {
            Some(found) if found.place == place => {}
            Some(found) => {
                found.others.insert(place);
            }
            None => self.found.push(Found { section, place, rule: rule.to_owned(), others: BTreeSet::new() }),
        }
    }

    /// The JSON in a body, which is `what`; notes what is no ASCII in it.
    pub fn json(&mut self, what: &str, body: &[u8]) -> Option<Value> {
        let read = serde_json::from_slice(body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body));
        let mut places = BTreeSet::new();
        if let Ok(json) = &read {
            not_ascii(json, "", "", &mut places);
        }
        if places.is_empty() && !body.is_ascii() {
            places.insert(what.to_owned());
        }
        for place in places {
            self.note(GENERAL, place, "holds characters that are not ASCII");
        }
        if body.trim_ascii().is_empty() {
            self.note(GENERAL, what.to_owned(), "is empty, where JSON is due");
        } else if let Err(error) = &read {
            let rule = format!("is not valid JSON (line {}, column {})", error.line(), error.column());
            self.note(GENERAL, what.to_owned(), &rule);
        }
        read.ok()
    }

    pub fn breaches(self) -> Vec<Breach> {
        let told = self.found.into_iter().map(|Found { section, place, rule, others }| {
            let more = match others.len() {
                0 => String::new(),
                count => format!(" (and {count} more like it)"),
            };
            Breach { section, what: format!("{place} {rule}{more}") }
        });
        told.collect()
    }
}

/// How an order is called in what is told of it.
pub fn named(index: usize, order: &Value) -> String {
    match order.get("workOrderNumber").and_then(text) {
        Some(number) => format!("order {}", quoted(&number)),
        None => format!("order {} of the list", index + 1),
    }
}

/// Collects where strings and keys are no ASCII: the field, and the order that it is in.
fn not_ascii(value: &Value, order: &str, path: &str, places: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if !text.is_ascii() => {
            places.insert(format!("{order}{}", path.trim_start_matches('.')));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                match item.get("workOrderNumber").filter(|_| path == ".workOrders") {
                    Some(_) => not_ascii(item, &format!("{}: ", named(index, item)), "", places),
                    None => not_ascii(item, order, &format!("{path}[{index}]"), places),
                }
            }
        }
        Value::Object(fields) => {
            for (name, item) in fields {
                let path = format!("{path}.{}", quoted(name).trim_matches('"'));
                if !name.is_ascii() {
                    places.insert(format!("{order}the name {}", quoted(name)));
                }
                not_ascii(item, order, &path, places);
            }
        }
        _ => {}
    }
}
