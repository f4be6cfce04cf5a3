//! What reaches a crew otherwise than it was given, and that it is told.

use proptest::prelude::*;
use serde_json::json;

use super::super::*;
use super::{faults, simple, with};

/// What is sent of a value, and the warnings in one text.
fn sent(name: &str, value: Value) -> (Value, String) {
    let (order, warnings) = with(name, value).unwrap();
    let warnings = warnings.iter().map(|warning| format!("{} {}", warning.field, warning.detail));
    (order.get(name).cloned().unwrap_or_default(), warnings.collect::<Vec<_>>().join("\n"))
}

#[test]
fn angle_brackets_that_are_no_tags_reach_the_crew() {
    let given = "Lockbox <A1234> at <rear door>";
    for name in ["instructions", "clientInstructions"] {
        assert_eq!(sent(name, json!(given)), (json!("Lockbox &lt;A1234&gt; at &lt;rear door&gt;"), String::new()));
    }
    let (services, warnings) = sent("services", json!([{ "serviceName": "Task", "instructions": given }]));
    assert_eq!(services[0]["instructions"], "Lockbox &lt;A1234&gt; at &lt;rear door&gt;");
    assert_eq!(warnings, "");
    let (text, warnings) = sent("instructions", json!("Gate <font color=red>12</font><script>x()</script>"));
    assert_eq!(text, "Gate 12");
    assert!(warnings.contains("\"<font color=red>12</font><script>x()</script>\" became \"12\""), "{warnings}");
}

#[test]
fn a_date_that_a_database_has_for_none_is_left_out_and_told() {
    for zero in
        [json!("0001-01-01T00:00:00"), json!("0000-00-00"), json!("0000-00-00 00:00:00"), json!(-62_135_596_800_i64)]
    {
        let (sent, warnings) = sent("dueDate", zero.clone());
        assert_eq!(sent, Value::Null, "{zero}");
        assert!(warnings.contains("there is no date") && warnings.contains("was left out"), "{warnings}");
    }
    assert!(!faults("dueDate", json!("0001-01-02")).is_empty());
}

#[test]
fn instructions_keep_their_lines_and_signs() {
    assert_eq!(
        sent("instructions", json!("Gate 12\r\nAT&T box\nbid < $500")),
        (json!("Gate 12<br>AT&amp;T box<br>bid &lt; $500"), String::new())
    );
    let (once, _) = sent("instructions", json!("Gate <A> & \"B\"\nkey"));
    assert_eq!(sent("instructions", once.clone()).0, once, "what was sent once comes out the same");
}

#[test]
fn no_number_of_an_address_becomes_another_and_each_change_is_shown() {
    for (given, became, told) in [
        ("12\u{bd} Oak St", "12 1/2 Oak St", "\"12\u{bd}\" became \"12 1/2\""),
        ("Unit 3\u{b2}", "Unit 3^2", "\"3\u{b2}\" became \"3^2\""),
        ("12 Oak St\nApt 4", "12 Oak St Apt 4", "\"St<line end>Apt\" became \"St Apt\""),
        ("12 Oak St \t Apt 4", "12 Oak St Apt 4", "became"),
        ("Gate 4411\u{b}2", "Gate 4411 2", "\"4411<line end>2\" became"),
    ] {
        let (sent, warnings) = sent("address1", json!(given));
        assert_eq!(sent, became, "{given}");
        assert!(warnings.contains(told), "{warnings}");
    }
    assert_eq!(sent("city", json!("  Round Rock \r\n")), (json!("Round Rock"), String::new()), "ends need no word");
    assert_eq!(sent("instructions", json!("Gate 4411\u{b}2 keys")).0, "Gate 4411<br>2 keys");
    let fault = faults("address1", json!("Gate \u{e000}12"));
    assert!(fault[0].contains("U+E000"), "{fault:?}");
}

#[test]
fn numbers_in_json_are_kept_or_refused() {
    assert_eq!(sent("zip", json!(78664)).0, "78664");
    assert_eq!(sent("reference", json!(9_007_199_254_740_993_i64)).0, "9007199254740993");
    assert_eq!(sent("attribute7", json!(2.5)).0, "2.5");
    for (name, number) in
        [("reference", json!(1.5)), ("zip", json!(78664.0)), ("attribute7", json!(1.2345678901234568e22))]
    {
        let fault = faults(name, number);
        assert!(fault[0].contains("write it in quotes"), "{fault:?}");
    }
}

#[test]
fn what_can_hardly_be_meant_is_told() {
    assert!(sent("assignedTo", json!("crew@example.com")).1.contains("looks like an e-mail address"));
    assert!(sent("zip", json!("abc")).1.starts_with("/zip is no ZIP code of the US"));
    for zip in ["78664", "78664-1234", "786641234"] {
        assert_eq!(sent("zip", json!(zip)).1, "");
    }
    let mut body = simple();
    body.insert("country".to_owned(), json!("Canada"));
    body.insert("zip".to_owned(), json!("K1A 0B6"));
    assert_eq!(WorkOrder::parse("Simple", body).unwrap().1, []);
    let degrees = |latitude: Value, longitude: Value| {
        let mut body = simple();
        body.insert("gpsLatitude".to_owned(), latitude);
        body.insert("gpsLongitude".to_owned(), longitude);
        let (order, warnings) = WorkOrder::parse("Simple", body).unwrap();
        (order.get("gpsLatitude").is_some(), order.get("gpsLongitude").is_some(), warnings.len())
    };
    assert_eq!(degrees(json!(0), json!("0")), (false, false, 2));
    assert_eq!(degrees(json!(30.5), Value::Null), (false, false, 1));
    assert_eq!(degrees(json!(30.5), json!(-97.6)), (true, true, 0));
    assert_eq!(degrees(json!(0), json!(-97.6)), (true, true, 0), "the equator is a place");
}

proptest! {
    /// Whatever is typed: each piece of letters and digits is found again in what goes out, in its order, or in a
    /// warning.
    #[test]
    fn every_piece_of_instructions_is_found_again(
        text in "([A-Za-z0-9]{1,5}|[ -/:-@]|\n|<[a-zA-Z/!?]{1,7}( [a-z]{1,5}(=\"[a-z0-9 ]{1,5}\")?)?>|<!--|-->|&[a-z]{1,4};|[½²°×\u{b}\u{e9}]){1,24}",
    ) {
        let Ok((order, warnings)) = with("instructions", json!(format!("x{text}"))) else { return Ok(()) };
        let sent = order.get("instructions").and_then(Value::as_str).unwrap_or_default().to_owned();
        let told: String = warnings.iter().flat_map(|warning| &warning.altered).map(|place| format!("{} ", place.before)).collect();
        // Tags that stay are written in lower case.
        let told = crate::ascii::ascii(&told).to_lowercase();
        let ascii = crate::ascii::ascii(&text).to_lowercase();
        let sent = sent.to_lowercase();
        let mut rest = sent.as_str();
        for piece in ascii.split(|c: char| !c.is_ascii_alphanumeric()).filter(|piece| !piece.is_empty()) {
            match rest.find(piece) {
                Some(at) if !told.contains(piece) => rest = &rest[at + piece.len()..],
                Some(_) => {}
                None => prop_assert!(told.contains(piece), "{:?} became {:?}: where is {:?}? {:?}", text, sent, piece, told),
            }
        }
    }
}
