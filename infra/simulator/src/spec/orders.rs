//! Work orders by *Available workOrder Object Fields* and what follows it.

use std::collections::BTreeSet;

use pruvan::dates::WrittenDate;
use pruvan::lenient::{is_nothing, number, structure, text};
use pruvan::status::OfficeStatus;
use pruvan::work_order::{Field, Kind, SERVICE_FIELDS, SERVICES, WORK_ORDER_FIELDS};
use serde_json::{Map, Value};

use super::faults::{Faults, PUSHKEY, kind_of, named, quoted};

const FIELDS: &str = "Available workOrder Object Fields";
const SERVICE: &str = "Available workOrder service Object Fields";
const DATES: &str = "Date Fields";

/// The most work orders that one reply may have, by *Limits* of the specification.
const MOST: usize = 5000;

/// Orders in a reply of `getWorkOrders`: each whole.
pub fn pulled(faults: &mut Faults, list: &[Value]) {
    if list.len() > MOST {
        faults.note(
            "Limits",
            format!("the reply, with {} work orders,", list.len()),
            "has more than the 5000 of a single call",
        );
    }
    all(faults, list, true);
}

/// Orders in a push: of each as little as the number.
pub fn pushed(faults: &mut Faults, list: &[Value]) {
    if list.is_empty() {
        faults.note(PUSHKEY, "the array workOrders".to_owned(), "is empty");
    }
    all(faults, list, false);
}

fn all(faults: &mut Faults, list: &[Value], whole: bool) {
    let mut seen = BTreeSet::new();
    for (index, order) in list.iter().enumerate() {
        let name = named(index, order);
        let Value::Object(fields) = order else {
            faults.note(FIELDS, name, &format!("is {} and no object", kind_of(order)));
            continue;
        };
        if let Some(number) = fields.get("workOrderNumber").and_then(text)
            && !seen.insert(number)
        {
            faults.note("Requirements", name.clone(), "is there twice: numbers must be unique");
        }
        table(faults, FIELDS, &name, &WORK_ORDER_FIELDS, fields, whole);
        for reserved in (1..=6).map(|n| format!("attribute{n}")) {
            if fields.get(&reserved).is_some_and(|value| !is_nothing(value)) {
                faults.note(
                    "Numbered Attributes",
                    name.clone(),
                    &format!("has {reserved}, which is reserved for the address"),
                );
            }
        }
        if let Some(force) = fields.get("force")
            && !force.is_boolean()
        {
            faults.note(
                "Force Updates",
                name.clone(),
                &format!("has {} as force, where true or false is due", kind_of(force)),
            );
        }
        services(faults, &name, fields, whole);
    }
}

fn services(faults: &mut Faults, name: &str, fields: &Map<String, Value>, whole: bool) {
    let list = match fields.get(SERVICES.name) {
        // `null` is seen in the field for what isn't said.
        None | Some(Value::Null) if whole => {
            return faults.note(FIELDS, name.to_owned(), "has no services: at least one is required");
        }
        None | Some(Value::Null) => return,
        Some(Value::Array(list)) => list,
        Some(other) => {
            let rule = format!("has {} as services, where an array of objects is due", kind_of(other));
            return faults.note(FIELDS, name.to_owned(), &rule);
        }
    };
    if list.is_empty() {
        let rule = "has an empty array of services: at least one is required, and those that are missing are deleted";
        faults.note(FIELDS, name.to_owned(), rule);
    }
    for (index, service) in list.iter().enumerate() {
        let place = format!("{name}, service {}", index + 1);
        match service {
            Value::Object(fields) => table(faults, SERVICE, &place, &SERVICE_FIELDS, fields, true),
            other => faults.note(SERVICE, place, &format!("is {} and no object", kind_of(other))),
        }
    }
}

/// The fields of one order or service.
fn table(
    faults: &mut Faults,
    section: &'static str,
    place: &str,
    table: &[Field],
    fields: &Map<String, Value>,
    whole: bool,
) {
    for field in table {
        let needed = field.required && (whole || field.name == "workOrderNumber");
        match fields.get(field.name).filter(|value| !is_nothing(value)) {
            Some(value) => {
                if let Some((section, rule)) = fault(section, field, value) {
                    // Its status is told as it is: a hundred statuses are still one fault.
                    let shown =
                        text(value).filter(|_| field.kind == Kind::Status && !value.is_object() && !value.is_array());
                    let place = shown.map_or(place.to_owned(), |shown| format!("{place}: status {}", quoted(&shown)));
                    faults.note(section, place, &rule);
                }
            }
            None if needed => {
                faults.note(section, place.to_owned(), &format!("has no {}, which is required", field.name))
            }
            None => {}
        }
    }
}

/// What is wrong with a field's value, and the section that says so.
fn fault(section: &'static str, field: &Field, value: &Value) -> Option<(&'static str, String)> {
    let name = field.name;
    let scalar = matches!(value, Value::String(_) | Value::Number(_));
    let wrong = |due: &str| Some((section, format!("has {} as {name}, where {due} is due", kind_of(value))));
    match field.kind {
        Kind::Options(_) | Kind::Json => match structure(value) {
            Some(Value::Object(_)) => None,
            _ => wrong("an object (or the JSON of one in a text)"),
        },
        _ if !scalar => wrong("a text"),
        Kind::Number => {
            let number = text(value).unwrap_or_default();
            let rule = format!("has a {name} with \"::\" in it: Pruvan itself puts the client code there");
            number.contains("::").then_some((section, rule))
        }
        Kind::Status => {
            let text = text(value).unwrap_or_default();
            if OfficeStatus::ALL.iter().any(|status| status.as_str() == text) {
                return None;
            }
            let near = OfficeStatus::parse(&text).map(|status| format!("write {:?}", status.as_str()));
            let near = near.unwrap_or_else(|| "an own status belongs in clientStatus".to_owned());
            Some(("Pruvan Status Values", format!("is none of Pruvan's: {near}")))
        }
        Kind::DueDate | Kind::Date => match WrittenDate::parse(value) {
            Ok(WrittenDate::Local(_)) => {
                Some((DATES, format!("has a {name} with a time and no time zone: write it in UTC, with +0")))
            }
            Ok(_) => None,
            Err(_) => Some((DATES, format!("has a {name} that can't be read as a date"))),
        },
        Kind::Degrees(most) if number(value).is_none_or(|degrees| degrees.abs() > most) => {
            Some((section, format!("has a {name} that is not degrees from -{most} to {most}")))
        }
        _ => None,
    }
}
