//! A work order as the host gives it: `shared/pruvan/src/work_order`. An input is its JSON.

use pruvan::lenient::text_field;
use pruvan::work_order::{
    DIRECTIVES, Field, Kind, MAX_DOCUMENT, SERVICE_FIELDS, WORK_ORDER_FIELDS, WorkOrder, merge_patch, number_fault,
};
use serde_json::{Map, Value, json};

use crate::choices::Choices;
use crate::{Target, Whole};

pub const ORDER: Target = Target {
    name: "order",
    about: "a work order of the host's, up to the JSON that Pruvan gets",
    make,
    any,
    floods: &[
        ("{\"options\":", "[", ""),
        ("{\"instructions\":\"", "<script></script>", "\"}"),
        ("{\"instructions\":\"", "\u{1f44d}", "\"}"),
        ("{\"services\":[", "{\"serviceName\":1},", "{}]}"),
        ("{\"services\":\"[", "{},", "{}]\"}"),
        ("{\"options\":{\"", "x", "\":1}}"),
        ("{\"workOrderNumber\":\"", ":", "\"}"),
        ("{\"zip\":", "1", "}"),
    ],
    most: 1_000_000,
};

/// A field's value that is fit, and what is sent of it.
fn fit(choices: &mut Choices, kind: Kind) -> Option<(Value, Value)> {
    let same = |value: Value| Some((value.clone(), value));
    match kind {
        Kind::Text(_) | Kind::Line(_) => same(json!(choices.plain(60))),
        Kind::User => same(json!(choices.word())),
        // Without these signs it stays as it is.
        Kind::Html(_) => same(json!(choices.plain(60).replace(['<', '>', '&'], "("))),
        Kind::Status => Some((json!("Cancelled"), json!("canceled"))),
        Kind::DueDate => Some((json!("5/25/2026"), json!("2026-05-25 1200 +0"))),
        Kind::Date => Some((json!("2026-05-25T08:00:00-06:00"), json!("2026-05-25 1400 +0"))),
        Kind::Degrees(most) => same(json!(choices.below(89) as f64 / 90.0 * most)),
        Kind::Options(_) => same(json!({ "photo_size": choices.plain(5) })),
        Kind::SurveyTemplate => same(json!(format!("master::{}-v2", choices.word()))),
        Kind::Json => same(json!({ "questions": [choices.plain(9)] })),
        Kind::Number | Kind::Services => None,
    }
}

fn put(choices: &mut Choices, table: &[Field], into: &mut Map<String, Value>, sent: &mut Map<String, Value>) {
    for field in table {
        if (field.required || choices.once_in(3))
            && let Some((given, goes)) = fit(choices, field.kind)
        {
            into.insert(field.name.to_owned(), given);
            sent.insert(field.name.to_owned(), goes);
        }
    }
}

fn make(choices: &mut Choices) -> (Vec<u8>, Whole) {
    let (mut order, mut sent) = (Map::new(), Map::new());
    let number = choices.word();
    order.insert("workOrderNumber".to_owned(), json!(number));
    sent.insert("workOrderNumber".to_owned(), json!(number));
    put(choices, &WORK_ORDER_FIELDS, &mut order, &mut sent);
    // A place has both degrees, and isn't in the sea.
    let degrees = ["gpsLatitude", "gpsLongitude"].map(|name| sent.get(name).and_then(Value::as_f64));
    if degrees.iter().any(Option::is_none) || degrees == [Some(0.0), Some(0.0)] {
        sent.retain(|name, _| !name.starts_with("gps"));
    }
    let (mut services, mut services_sent) = (Vec::new(), Vec::new());
    for index in 0..=choices.below(3) {
        let (mut service, mut goes) = (Map::new(), Map::new());
        put(choices, &SERVICE_FIELDS, &mut service, &mut goes);
        for service in [&mut service, &mut goes] {
            service.insert("serviceName".to_owned(), json!(format!("Service {index}")));
        }
        services.push(Value::Object(service));
        services_sent.push(Value::Object(goes));
    }
    order.insert("services".to_owned(), Value::from(services));
    sent.insert("services".to_owned(), Value::from(services_sent));
    let mut exact = true;
    if choices.once_in(3) {
        exact = false;
        let names = WORK_ORDER_FIELDS.iter().map(|field| field.name).chain(["services", "zipcode", "attribute3"]);
        let name = *choices.one(&names.collect::<Vec<_>>());
        order.insert(name.to_owned(), choices.value(3));
        let deep = choices.deep();
        match choices.below(4) {
            0 => drop(order.insert("options".to_owned(), json!(deep))),
            1 => {
                let services = json!([{ "serviceName": "S", "surveyDynamic": deep }]);
                order.insert("services".to_owned(), Value::from(services.to_string()));
            }
            2 => drop(order.insert("instructions".to_owned(), json!(choices.text()))),
            _ => {}
        }
    }
    let input = Value::Object(order.clone()).to_string().into_bytes();
    let check = move || {
        if !exact {
            return;
        }
        let taken = WorkOrder::parse(&number, order.clone());
        let Ok((taken, _)) = taken else { panic!("a whole order is refused: {taken:?}") };
        let mut document: Map<String, Value> = serde_json::from_str(&taken.document()).unwrap_or_default();
        document.extend(taken.directives().0.into_iter().map(|(name, value)| (name, Value::from(value))));
        assert_eq!(document, sent);
    };
    (input, Box::new(check))
}

fn any(input: &[u8]) {
    let Ok(Value::Object(order)) = serde_json::from_slice(input) else { return };
    let number = text_field(&order, "workOrderNumber").unwrap_or_else(|| "1".to_owned());
    let mut merged = order.clone();
    merge_patch(&mut merged, Map::new());
    assert_eq!(merged, order, "nothing is no change");
    let (taken, warnings) = match WorkOrder::parse(&number, order.clone()) {
        Ok(taken) => taken,
        Err(errors) => {
            assert!(!errors.is_empty() && errors.len() <= 25_000, "{} errors", errors.len());
            assert!(errors.iter().all(|error| error.field.is_empty() || error.field.starts_with('/')), "{errors:?}");
            return;
        }
    };
    assert_eq!(number_fault(&number), None);
    assert_eq!(taken.number(), number);
    let document = taken.document();
    assert!(document.is_ascii() && document.len() <= MAX_DOCUMENT);
    let directives = taken.directives();
    assert!(directives.0.keys().all(|name| DIRECTIVES.contains(&name.as_str())));
    let mut again: Map<String, Value> = match serde_json::from_str(&document) {
        Ok(again) => again,
        Err(error) => panic!("what is stored can't be read: {error}"),
    };
    assert!(!DIRECTIVES.iter().any(|name| again.contains_key(*name)), "{document}");
    again.extend(directives.0.into_iter().map(|(name, value)| (name, Value::from(value))));
    match WorkOrder::parse(&number, again) {
        Ok((again, more)) => {
            assert_eq!(again, taken, "what is sent is sent as it is");
            // What is only doubted is told each time; nothing is altered any more.
            assert!(more.len() <= warnings.len() && more.iter().all(|warning| warning.altered.is_empty()), "{more:?}");
            let doubts = |field: &str| field.contains("options") || ["/zip", "/assignedTo"].contains(&field);
            assert!(more.iter().all(|warning| doubts(&warning.field)), "{more:?}");
        }
        Err(errors) => panic!("what was taken is not taken again: {errors:?}"),
    }
}
