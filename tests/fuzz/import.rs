//! Files of work orders: `shared/bridge/src/import.rs`. An input is a line with the format, and the file.

use bridge::import::{Choices as Chosen, Format, protected, read, text_of};
use pruvan::lenient::text_field;
use serde_json::{Map, Value, json};

use crate::choices::Choices;
use crate::{Target, Whole};

pub const IMPORT: Target = Target {
    name: "import",
    about: "work orders as CSV, NDJSON or JSON",
    make,
    any,
    floods: &[
        ("json\n", "[", ""),
        ("json\n[", "{},", "{}]"),
        ("ndjson\n", "{}\n", ""),
        ("ndjson\n", "[\n", ""),
        ("csv\n", "options.a,", "workOrderNumber\n1\n"),
        ("csv\n", ",", "\n"),
        ("csv\nworkOrderNumber,city\n", "1,A\n", ""),
        ("csv\nworkOrderNumber,city\n", "1,\"", ""),
        ("csv\nworkOrderNumber,serviceName\n", "1,A\n", ""),
        ("csv\nworkOrderNumber,city\n1,\"", "a\n", ""),
        ("csv\nworkOrderNumber,city\n", "\n", "1,A\n"),
        ("csv\nworkOrderNumber,city\n", "1,A,B\n", ""),
    ],
    most: 500_000,
};

/// What is read by the deployment.
fn chosen() -> Chosen {
    Chosen { most: 5_000, ..Chosen::default() }
}

fn cell(text: &str, separator: char) -> String {
    // As lists of ours are written for spreadsheets.
    let text = protected(text);
    match text.contains([separator, '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.into_owned(),
    }
}

/// A text that a cell gives back: not empty, without spaces around, and no apostrophe that hides a formula.
fn value(choices: &mut Choices) -> String {
    let text = match choices.below(6) {
        0 => format!("{}\n{}", choices.plain(9), choices.plain(9)),
        1 => format!("{}\u{e9}\u{1f44d}", choices.plain(9)),
        2 => format!("={}", choices.plain(9)),
        _ => choices.plain(20),
    };
    text.trim_start_matches(['\'', '"']).trim().to_owned() + "."
}

fn make(choices: &mut Choices) -> (Vec<u8>, Whole) {
    const COLUMNS: [(&str, &str); 8] = [
        ("address1", "Address 1*"),
        ("city", "city"),
        ("zip", "Zip Code"),
        ("dueDate", "Due Date"),
        ("instructions", "INSTRUCTIONS"),
        ("attribute7", "attribute7"),
        ("options.photo_size", "options.photo_size"),
        ("options.x", "options.x"),
    ];
    let number = *choices.one(&["workOrderNumber", "Project Number*", "project number"]);
    let columns: Vec<(&str, &str)> = COLUMNS.into_iter().filter(|_| choices.once_in(2)).collect();
    let separator = *choices.one(&[',', ';', '\t']);
    let end = *choices.one(&["\n", "\r\n"]);
    let named = choices.once_in(2);
    let mut lines = vec![
        [number, "serviceName", "service.options.required"]
            .into_iter()
            .chain(columns.iter().map(|(_, column)| *column))
            .collect::<Vec<_>>()
            .join(&separator.to_string()),
    ];
    let mut orders = Vec::new();
    for index in 0..choices.below(6) {
        let mut order = Map::new();
        // Some are what a spreadsheet would take for something else.
        let number = match choices.below(6) {
            0 => format!("00{index}"),
            1 => format!("1-{index}2"),
            2 => format!("{index}.5E+11"),
            3 => format!("12345678901234567{index}"),
            _ => format!("{}{index}", choices.word()),
        };
        order.insert("workOrderNumber".to_owned(), json!(number));
        let mut cells = Vec::new();
        for (name, _) in &columns {
            if choices.once_in(4) {
                cells.push(String::new());
                continue;
            }
            let value = value(choices);
            cells.push(cell(&value, separator));
            match name.strip_prefix("options.") {
                Some(option) => {
                    let options = order.entry("options").or_insert_with(|| json!({}));
                    options[option] = json!(value);
                }
                None => drop(order.insert((*name).to_owned(), json!(value))),
            }
        }
        let mut services = Vec::new();
        for row in 0..=choices.below(3) {
            let service = if named { choices.word() } else { String::new() };
            let required = if named && choices.once_in(3) { "true" } else { "" };
            if named {
                services.push(match required {
                    "" => json!({ "serviceName": service }),
                    required => json!({ "serviceName": service, "options": { "required": required } }),
                });
            }
            // The order's own fields once; its number with each service.
            let of_order = if row == 0 { cells.clone() } else { vec![String::new(); columns.len()] };
            let number = match choices.below(3) {
                0 if !number.contains('"') => format!("\"=\"\"{number}\"\"\""),
                _ => cell(&number, separator),
            };
            let beyond = vec![String::new(); choices.below(3)];
            let row = [number, service, required.to_owned()].into_iter().chain(of_order).chain(beyond);
            lines.push(row.collect::<Vec<_>>().join(&separator.to_string()));
        }
        if services.is_empty() {
            services.push(json!({ "serviceName": "Task" }));
        }
        order.insert("services".to_owned(), Value::from(services));
        orders.push(Value::Object(order));
    }
    let open = choices.once_in(12) && !orders.is_empty();
    let title = match choices.below(4) {
        0 => format!("sep={separator}{end}"),
        1 => format!("Orders of May{end}{end}"),
        _ => String::new(),
    };
    let mut csv = format!("{}{title}{}{end}", choices.one(&["", "\u{feff}"]), lines.join(end));
    if open {
        csv.push_str(&format!("Z{separator}\"Mow{end}Y{separator}Rake{end}"));
    }
    let (name, text) = match choices.below(5) {
        0 => ("json", Value::from(orders.clone()).to_string()),
        1 => ("ndjson", orders.iter().map(|order| format!("{order}{end}{end}")).collect()),
        _ => ("csv", csv),
    };
    let input = format!("{name}\n{text}").into_bytes();
    let check = move || {
        let utf_16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(text_of(&utf_16).ok().as_deref(), Some(text.trim_start_matches('\u{feff}')));
        let read = read(Format::of(name, &text), &text, &chosen());
        let Ok(mut rows) = read else { panic!("a whole file is refused: {read:?}") };
        if open && name == "csv" {
            let last = rows.pop().map(|row| row.order);
            assert!(matches!(&last, Some(Err(fault)) if fault.contains("never closed")), "{last:?}");
        }
        let put_in = |order: &Value| name == "csv" && !named && order["services"] == json!([{ "serviceName": "Task" }]);
        assert!(rows.iter().zip(&orders).all(|(row, order)| row.service_put_in == put_in(order)));
        let read: Vec<Value> = rows.into_iter().map(|row| row.order.map_or_else(Value::from, Value::Object)).collect();
        assert_eq!(read, orders, "each order comes out as it went in");
    };
    (input, Box::new(check))
}

fn any(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (name, file) = text.split_once('\n').unwrap_or(("csv", &text));
    let format = Format::of(name, file);
    let _ = text_of(input);
    let chosen = chosen();
    let rows = match read(format, file, &chosen) {
        Ok(rows) => rows,
        Err(fault) => {
            assert!(!fault.to_string().is_empty());
            return;
        }
    };
    assert!(rows.len() <= chosen.most);
    let lines = u64::try_from(file.lines().count()).unwrap_or(u64::MAX);
    for row in &rows {
        assert_eq!(row.line.is_none(), format == Format::Json);
        assert!(row.line.is_none_or(|line| (1..=lines.max(1)).contains(&line)), "line {:?} of {lines}", row.line);
        match &row.order {
            Ok(order) => {
                assert_eq!(text_field(order, "workOrderNumber").unwrap_or_default(), row.number);
                let services = order.get("services").and_then(Value::as_array);
                assert!(format != Format::Csv || services.is_some_and(|services| !services.is_empty()));
            }
            Err(fault) => assert!(!fault.is_empty()),
        }
    }
}
