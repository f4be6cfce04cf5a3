//! Files of orders, in the columns that the field uses.

use super::row::MOST_COLUMNS;
use super::table::LONGEST_CELL;
use super::*;

/// The error as it is told.
fn read(format: Format, text: &str, choices: &Choices) -> Result<Vec<Row>, String> {
    super::read(format, text, choices).map_err(|error| error.to_string())
}
use proptest::prelude::*;
use pruvan::work_order::MAX_SERVICES;
use serde_json::json;

fn orders(text: &str) -> Vec<Value> {
    let rows = read(Format::Csv, text, &Choices::default()).unwrap();
    rows.into_iter().map(|row| row.order.map_or_else(Value::from, Value::Object)).collect()
}

#[test]
fn pruvans_own_columns() {
    let text = "Project Number*,Due Date*,Address 1*,Address 2,City*,State*,Zip Code*,Assigned To,Instructions,Status,Reference,Description\r\n\
                1001,5/25/2026,110 East Main Street,,Round Rock,TX,78664,crew1,\"Mow, edge\",Assigned,R-1,Back yard\r\n";
    assert_eq!(
        orders(text),
        [json!({
            "workOrderNumber": "1001", "dueDate": "2026-05-25", "address1": "110 East Main Street", "city": "Round Rock", "state": "TX",
            "zip": "78664", "assignedTo": "crew1", "instructions": "Mow, edge", "status": "Assigned", "reference": "R-1",
            "description": "Back yard", "services": [{"serviceName": "Task"}],
        })]
    );
    assert!(read(Format::Csv, text, &Choices::default()).unwrap()[0].service_put_in);
}

#[test]
fn rows_of_one_number_are_one_order() {
    let text = "workOrderNumber;address1;options.photo_size;serviceName;survey;service.options.required;service.attribute1\n\
                1;Main;1024;Photos;;true;a\n2;Oak;;Mow;;;\n1;;;Survey;master::id-v2;;\n";
    assert_eq!(
        orders(text),
        [
            json!({
                "workOrderNumber": "1", "address1": "Main", "options": {"photo_size": "1024"}, "services": [
                    {"serviceName": "Photos", "options": {"required": "true"}, "attribute1": "a"},
                    {"serviceName": "Survey", "survey": "master::id-v2"},
                ],
            }),
            json!({"workOrderNumber": "2", "address1": "Oak", "services": [{"serviceName": "Mow"}]}),
        ]
    );
    let rows = read(Format::Csv, "workOrderNumber,city\n1,A\n\n2,B\n1,C\n", &Choices::default()).unwrap();
    assert_eq!(rows[0].line, Some(2));
    assert!(rows[0].order.as_ref().unwrap_err().starts_with("has another city in line 5"));
    assert_eq!((rows[0].number.as_str(), rows[1].line, rows[1].order.is_ok()), ("1", Some(4), true));
    assert_eq!(
        orders("workOrderNumber,options.a,options.b\n1,x,\n1,,z\n"),
        [json!({"workOrderNumber": "1", "options": {"a": "x", "b": "z"}, "services": [{"serviceName": "Task"}]})]
    );
    let differ = read(Format::Csv, "\nworkOrderNumber;options.a\n1;x\n1;y\n", &Choices::default()).unwrap();
    assert!(differ[0].order.as_ref().unwrap_err().starts_with("has another options in line 4"));
}

#[test]
fn our_own_lists_are_read_back() {
    let text = "workOrderNumber,address1,serviceName,changed,deleted,reported.status\n\
                1,'=Main,Mow,2026-05-25T08:00:00Z,,complete\n2,Oak,Mow,2026-05-25T08:00:00Z,2026-05-26T08:00:00Z,\n";
    let rows = read(Format::Csv, text, &Choices::default()).unwrap();
    let first = json!({"workOrderNumber": "1", "address1": "=Main", "services": [{"serviceName": "Mow"}]});
    assert_eq!(rows[0].order.clone().map(Value::Object), Ok(first));
    assert!(rows[1].order.as_ref().unwrap_err().starts_with("was deleted"));
}

#[test]
fn what_is_wrong_with_the_whole_file_is_said_once() {
    let fault = |text: &str| read(Format::Csv, text, &Choices::default()).unwrap_err();
    assert_eq!(
        fault("workOrderNumber,adress1,Crew Chief\n1,a,b"),
        "no field of a work order or service is called \"adress1\" (did you mean \"address1\"?), \"Crew Chief\": rename the column, or \
         have it ignored (ignore=adress1,Crew Chief)"
    );
    assert!(fault("city\nA").contains("no column for the number"));
    assert!(fault(&(0..501).map(|n| format!("options.{n},")).collect::<String>()).contains("501 columns"));
    assert!(fault("zip,workOrderNumber,Zip Code\n").contains("twice"));
    let choices = Choices { ignore: vec!["crew chief".to_owned()], service: "Photos".to_owned(), ..Choices::default() };
    let rows = read(Format::Csv, "\u{feff}Project Number\tCrew Chief\n7\tx\n", &choices).unwrap();
    assert_eq!(
        rows[0].order,
        Ok(json!({"workOrderNumber": "7", "services": [{"serviceName": "Photos"}]}).as_object().unwrap().clone())
    );
    assert_eq!(
        read(Format::Json, "{}", &choices).unwrap_err().to_string(),
        "the body must be a JSON array of work orders"
    );
    assert_eq!(read(Format::Json, "[", &choices).unwrap_err(), "is not valid JSON (line 1, column 1)");
}

#[test]
fn a_line_that_cannot_be_read_keeps_no_other_back() {
    let rows = read(Format::Ndjson, "{\"workOrderNumber\":\"1\"}\n\n{bad\n7\n{}", &Choices::default()).unwrap();
    let lines: Vec<_> = rows.iter().map(|row| (row.line, row.order.is_ok())).collect();
    assert_eq!(lines, [(Some(1), true), (Some(3), false), (Some(4), false), (Some(5), true)]);
    let rows = read(Format::Csv, "workOrderNumber,city\n1,A,too,many\n2,B\n", &Choices::default()).unwrap();
    assert_eq!((rows[0].order.is_ok(), rows[1].order.is_ok()), (false, true));
}

#[test]
fn limits_act_one_past_them() {
    let choices = Choices { most: 3, ..Choices::default() };
    let (line, two) = ("{\"workOrderNumber\":\"1\"}\n", "workOrderNumber\n1\n2\n");
    let json = |orders: usize| format!("[{}]", vec![line; orders].join(","));
    for (format, fine, too_many) in [
        (Format::Json, json(3), json(4)),
        (Format::Ndjson, line.repeat(3), line.repeat(4)),
        (Format::Csv, format!("{two}3\n3\n"), format!("{two}3\n4\n")),
    ] {
        assert_eq!(read(format, &fine, &choices).map(|rows| rows.len()), Ok(3));
        let fault = read(format, &too_many, &choices).unwrap_err();
        assert_eq!(fault, "has more than 3 orders: send at most 3 at a time");
    }

    let columns = |count: usize| {
        let names: String = (1..count).map(|n| format!(",options.{n}")).collect();
        read(Format::Csv, &format!("workOrderNumber{names}\n1\n"), &Choices::default()).map(|rows| rows.len())
    };
    assert_eq!(columns(MOST_COLUMNS), Ok(1));
    assert!(columns(MOST_COLUMNS + 1).unwrap_err().starts_with("has 501 columns"));

    let cell = |length: usize| format!("workOrderNumber,city\n1,{}\n2,B\n", "x".repeat(length));
    let orders = |text: &str| -> Vec<bool> {
        read(Format::Csv, text, &Choices::default()).unwrap().iter().map(|row| row.order.is_ok()).collect()
    };
    assert_eq!(orders(&cell(LONGEST_CELL)), [true, true]);
    assert_eq!(orders(&cell(LONGEST_CELL + 1)), [false, true]);

    let text = format!("workOrderNumber,serviceName\n{}", "1,Mow\n".repeat(1_000));
    let rows = read(Format::Csv, &text, &choices).unwrap();
    let order = rows[0].order.clone().unwrap();
    assert_eq!(order["services"].as_array().unwrap().len(), MAX_SERVICES + 1);

    let deep = "[".repeat(200);
    let fault = read(Format::Json, &deep, &choices).unwrap_err();
    assert_eq!(fault, "is nested too deep: at most 127 levels are read");
    let fault = read(Format::Ndjson, &deep, &choices).unwrap()[0].order.clone().unwrap_err();
    assert_eq!(fault, "is nested too deep: at most 127 levels are read");
}

#[test]
fn a_quotation_mark_left_open_swallows_nothing_in_silence() {
    for (text, fine) in [
        ("1,\"Main\n2,Oak\n3,Elm\n", false),
        ("1,\"Main", false),
        ("1,\"Main\"\"", false),
        ("1,\"Main\"", true),
        ("1,\"Main\"\n", true),
        ("1,5\" pipe\n", true),
        ("1,5\"", true),
        ("1,\"5\"\" pipe\"\n\n", true),
        ("1,\"a\nb\"\n", true),
    ] {
        let rows = read(Format::Csv, &format!("workOrderNumber,address1\n{text}"), &Choices::default()).unwrap();
        let last = rows.last().unwrap();
        assert_eq!(last.order.is_ok(), fine, "{text}: {:?}", last.order);
        assert!(fine || last.order.as_ref().unwrap_err().contains("never closed"), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), csv in "(workOrderNumber|city|serviceName|options\\.a|[,;\t\n\"]|[a-z]{1,3}|\u{e9}){0,40}") {
        for format in [Format::Json, Format::Ndjson, Format::Csv] {
            let _ = read(format, &text, &Choices::default());
            let _ = read(format, &csv, &Choices::default());
        }
    }
}

const NAMES: &str = "workOrderNumber,address1,city,state,zip,dueDate,serviceName";

/// What becomes of one row: the order's fields, or why there is none.
fn row_of(row: &str) -> Result<Value, String> {
    let rows = read(Format::Csv, &format!("{NAMES}\n{row}\n"), &Choices::default()).unwrap();
    assert_eq!(rows.len(), 1, "{row}");
    rows.into_iter().next().unwrap().order.map(Value::Object)
}

#[test]
fn numbers_that_a_spreadsheet_has_changed_are_refused() {
    for number in ["1.23457E+11", "1001.0", "#REF!", "#N/A", "########", "2-Jan", "Jan-02", "01/02/2026", "Total"] {
        let fault = row_of(&format!("{number},1 Oak,Austin,TX,78664,,Task")).unwrap_err();
        assert!(fault.contains(&format!("{number:?}")), "{fault}");
    }
    for (cell, number) in
        [("'2-Jan", "2-Jan"), ("\"=\"\"00123\"\"\"", "00123"), ("'1.23457E+11", "1.23457E+11"), ("0017", "0017")]
    {
        let order = row_of(&format!("{cell},1 Oak,Austin,TX,78664,,Task")).unwrap();
        assert_eq!(order["workOrderNumber"], number, "{cell}");
    }
    let fault = row_of("1,#VALUE!,Austin,TX,78664,,Task").unwrap_err();
    assert!(fault.contains("\"address1\"") && fault.contains("mend the cell"), "{fault}");
}

#[test]
fn numbers_in_json_are_whole_and_exact() {
    for number in ["12345678901234567890123", "1.5", "1001.0"] {
        let rows = read(Format::Json, &format!("[{{\"workOrderNumber\":{number}}}]"), &Choices::default()).unwrap();
        assert!(rows[0].order.as_ref().unwrap_err().contains("in quotes"), "{number}");
    }
    let rows = read(Format::Json, "[{\"workOrderNumber\":12345678901234567890}]", &Choices::default()).unwrap();
    assert_eq!(rows[0].number, "12345678901234567890");
}

#[test]
fn zip_codes_come_back_as_they_were() {
    for (cell, state, zip, told) in [
        ("2134", "MA", "02134", true),
        ("78664.0", "TX", "78664", false),
        ("\"=\"\"02134\"\"\"", "MA", "02134", false),
        ("'02134", "MA", "02134", false),
        ("02134", "MA", "02134", false),
        ("2134", "TX", "2134", false),
    ] {
        let text = format!("{NAMES}\n1,1 Oak,Boston,{state},{cell},,Task\n");
        let rows = super::read(Format::Csv, &text, &Choices::default()).unwrap();
        assert_eq!(rows[0].order.as_ref().unwrap()["zip"], zip, "{cell} {state}");
        assert_eq!(!rows[0].warnings.is_empty(), told, "{cell} {state}");
    }
    let rows = super::read(Format::Json, r#"[{"workOrderNumber":"1","state":"MA","zip":2134}]"#, &Choices::default());
    let row = &rows.unwrap()[0];
    assert_eq!(row.order.as_ref().unwrap()["zip"], "02134");
    assert!(row.warnings[0].detail.contains("\"2134\" became \"02134\""), "{:?}", row.warnings);
}

#[test]
fn what_stands_around_a_table_is_passed_over() {
    let row = "1,1 Oak,Austin,TX,78664,,Task";
    for text in [
        format!("{NAMES},,\n{row},,\n"),
        format!("{NAMES}\n{row},,,\n"),
        format!("sep=;\n{}\n{}\n", NAMES.replace(',', ";"), row.replace(',', ";")),
        format!("\"sep=\t\"\r\n{}\r\n{}\r\n", NAMES.replace(',', "\t"), row.replace(',', "\t")),
        format!("Work orders of May\n\n{NAMES}\n{row}\n"),
        format!("Work orders, May, Austin\nmade,today\n{}\n{}\n", NAMES.replace(',', ";"), row.replace(',', ";")),
    ] {
        let rows = read(Format::Csv, &text, &Choices::default()).unwrap();
        let order = rows[0].order.as_ref().unwrap();
        assert_eq!((rows.len(), &order["city"], &order["zip"]), (1, &json!("Austin"), &json!("78664")), "{text}");
    }
    let rows = read(Format::Csv, &format!("sep=,\n{NAMES}\n{row},x\n"), &Choices::default()).unwrap();
    assert_eq!((rows[0].line, rows[0].order.is_err()), (Some(3), true), "a value beyond the names is refused");
}

#[test]
fn a_number_that_is_not_the_one_of_its_list_makes_no_order() {
    let text = |number: &str, check: &str| format!("workOrderNumber,city,numberCheck\n{number},Austin,{check}\n");
    let of = |number: &str, check: &str| {
        read(Format::Csv, &text(number, check), &Choices::default()).unwrap()[0].order.clone()
    };
    let check = number_check("00123");
    assert!(of("00123", &check).is_ok() && of("'00123", &check).is_ok() && of("123", "").is_ok());
    let fault = of("123", &check).unwrap_err();
    assert!(fault.contains("\"123\"") && fault.contains("empty numberCheck"), "{fault}");
}

#[test]
fn a_format_is_told_by_its_name_or_its_first_sign() {
    for (content_type, text, format) in [
        ("text/csv; charset=utf-8", "[", Format::Csv),
        ("text/tab-separated-values", "a\tb", Format::Csv),
        ("text/plain", "workOrderNumber,city", Format::Csv),
        ("application/x-www-form-urlencoded", "workOrderNumber,city", Format::Csv),
        ("", " [{}]", Format::Json),
        ("application/octet-stream", "{}\n{}", Format::Ndjson),
        ("application/json", "{}", Format::Json),
        ("application/x-ndjson", "{}", Format::Ndjson),
    ] {
        assert_eq!(Format::of(content_type, text), format, "{content_type}");
    }
}
