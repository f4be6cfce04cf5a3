//! Orders that are taken and refused, by the tables.

mod altered;

use super::check::MAX_UNKNOWN;
use super::*;
use crate::integration::IntegrationType;
use proptest::prelude::*;
use serde_json::json;

fn simple() -> Map<String, Value> {
    let Value::Object(map) = json!({
        "workOrderNumber": "Simple", "address1": "110 East Main Street", "city": "Round Rock", "state": "TX",
        "zip": "78664", "services": [{"serviceName": "Task"}]
    }) else {
        unreachable!()
    };
    map
}

fn with(name: &str, value: Value) -> Result<(WorkOrder, Vec<Remark>), Vec<Remark>> {
    let mut body = simple();
    body.insert(name.to_owned(), value);
    WorkOrder::parse("Simple", body)
}

fn faults(name: &str, value: Value) -> Vec<String> {
    with(name, value).unwrap_err().into_iter().map(|error| format!("{} {}", error.field, error.detail)).collect()
}

#[test]
fn the_simplest_order_is_sent_as_the_specification_shows_it() {
    let (order, warnings) = WorkOrder::parse("Simple", simple()).unwrap();
    assert_eq!(
        order.document(),
        r#"{"workOrderNumber":"Simple","address1":"110 East Main Street","city":"Round Rock","state":"TX","zip":"78664","services":[{"serviceName":"Task"}]}"#
    );
    assert_eq!(warnings, []);
    assert_eq!(order.directives(), Directives::default());
}

#[test]
fn directives_are_kept_apart() {
    let mut body = simple();
    merge_patch(
        &mut body,
        json!({"status": "Assigned", "assignedTo": "vendor1", "dueDate": "2016-05-25"}).as_object().unwrap().clone(),
    );
    let (order, _) = WorkOrder::parse("Simple", body).unwrap();
    assert!(!order.document().contains("status"));
    assert_eq!(
        order.directives().fragment(),
        r#""assignedTo":"vendor1","dueDate":"2016-05-25 1200 +0","status":"assigned","#
    );
}

#[test]
fn every_required_field_is_missed_at_once() {
    let errors = WorkOrder::parse("1", Map::new()).unwrap_err();
    let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["/address1", "/city", "/state", "/zip", "/services"]);
    for nothing in [json!(null), json!(""), json!("null")] {
        assert_eq!(faults("city", nothing), ["/city is required"]);
    }
}

/// Goes through both tables: each field takes a good value and, where it has a rule, refuses a bad one.
#[test]
fn every_field_of_both_tables() {
    for (prefix, table) in [("", &WORK_ORDER_FIELDS[1..]), ("/services/0", &SERVICE_FIELDS[..])] {
        for field in table {
            let (good, bad): (Value, Option<Value>) = match field.kind {
                Kind::User => (json!("crew1"), Some(json!("x".repeat(256)))),
                Kind::Line(max) | Kind::Text(max) | Kind::Html(max) => {
                    (json!("x".repeat(max)), Some(json!("x".repeat(max + 1))))
                }
                Kind::Status => (json!("Cancelled"), Some(json!("caneled"))),
                Kind::DueDate | Kind::Date => (json!("2016-05-25 1200 +0"), Some(json!("tomorrow"))),
                Kind::Degrees(most) => (json!(most.to_string()), Some(json!(most + 0.1))),
                Kind::Options(_) => {
                    (json!("{\"photo_size\":\"1024\"}"), Some(json!({"allow_manual_work_order_creation": true})))
                }
                Kind::SurveyTemplate => (json!("master::id-v2"), Some(json!("my survey"))),
                Kind::Json => (json!({"questions": []}), Some(json!([1]))),
                Kind::Number | Kind::Services => continue,
            };
            let order = |value: Value| {
                let mut body = simple();
                if prefix.is_empty() {
                    body.insert(field.name.to_owned(), value);
                } else {
                    body["services"][0][field.name] = value;
                }
                WorkOrder::parse("Simple", body)
            };
            let accepted = order(good);
            assert!(accepted.is_ok(), "{}: {accepted:?}", field.name);
            let refused = order(bad.unwrap_or_default()).unwrap_err();
            assert!(refused[0].field.starts_with(&format!("{prefix}/{}", field.name)), "{refused:?}");
        }
    }
}

#[test]
fn survey_templates_in_every_form() {
    let with_survey =
        |survey: &str| with("services", json!([{"serviceName": "S", "survey": survey}])).map(|(order, _)| order);
    for good in ["id", "id-v3", "master::id", "vendor1::PRVQCINSP-v1", "my-master::id", "hpirFull-v3.1"] {
        assert!(with_survey(good).is_ok(), "{good}");
    }
    for bad in ["my survey", "my-survey", "id-v", "id-vX", "::id", "master::", "a::b::c", "id-v1-v2", "-v1"] {
        assert!(with_survey(bad).is_err(), "{bad}");
    }
}

#[test]
fn options_are_refused_where_they_cannot_stand_and_when_they_hold_nonsense() {
    assert_eq!(faults("options", json!({"required": true})), ["/options/required can't be set for a work order"]);
    assert_eq!(faults("options", json!({"frame_images": "maybe"})), ["/options/frame_images must be true or false"]);
    assert_eq!(
        faults("services", json!([{"serviceName": "S", "options": {"check_in_required": true}}])),
        ["/services/0/options/check_in_required can't be set for a service"]
    );
    let (_, warnings) = with("options", json!({"check_in_provider": "someone"})).unwrap();
    assert!(warnings[0].detail.starts_with("is none of those that are known: pcn"), "{warnings:?}");
}

#[test]
fn instructions_keep_light_html() {
    let given = "<h1>Gate</h1><script>x()</script>code 12";
    for name in ["instructions", "clientInstructions"] {
        let (order, warnings) = with(name, json!(given)).unwrap();
        assert_eq!(order.get(name), Some(&json!("<h1>Gate</h1>code 12")));
        assert_eq!((warnings.len(), warnings[0].field.as_str()), (1, format!("/{name}").as_str()));
    }
    let (order, warnings) = with("services", json!([{"serviceName": "S", "instructions": given}])).unwrap();
    assert_eq!(order.get("services").unwrap()[0]["instructions"], "<h1>Gate</h1>code 12");
    assert_eq!(warnings[0].field, "/services/0/instructions");
    for nothing in ["<div></div>", "<script>x()</script> "] {
        let (order, warnings) = with("instructions", json!(nothing)).unwrap();
        assert_eq!((order.get("instructions"), warnings.len()), (None, 1), "{nothing}");
    }
    // No web view.
    let (order, warnings) = with("description", json!(given)).unwrap();
    assert_eq!((order.get("description"), warnings), (Some(&json!(given)), Vec::new()));
}

/// Each field of both tables changes in an order that Pruvan has, for each kind of integration.
#[test]
fn what_pruvan_does_not_take_over_is_told() {
    use IntegrationType::{External, Internal};
    let told = |was: &Map<String, Value>, is: &Map<String, Value>, integration, auto_admin, force| {
        let found = not_updated(was, is, integration, auto_admin, force, &[], |_| false);
        found.into_iter().map(|found| found.field).collect::<Vec<_>>()
    };
    let order = |name: &str, value: &str| {
        let mut order = simple();
        order.insert(name.to_owned(), json!(value));
        order
    };
    for field in &WORK_ORDER_FIELDS[1..] {
        let (was, is) = (order(field.name, "a"), order(field.name, "b"));
        let pointer = vec![format!("/{}", field.name)];
        let never = field.updatable == Updatable::No;
        let office = field.updatable == Updatable::ByIntegration;
        let by = |integration, auto_admin, force| told(&was, &is, integration, auto_admin, force) == pointer;
        assert_eq!(by(Internal, false, false), never, "{}", field.name);
        assert_eq!(by(External, false, false), never || office, "{}", field.name);
        assert_eq!(by(External, true, false), never || field.name == "assignedTo", "{}", field.name);
        assert_eq!(by(External, false, true), never, "{}", field.name);
        assert_eq!(told(&was, &was, External, false, false), Vec::<String>::new());
        // Leaving it out takes nothing back there; a directive is no state.
        if !field.required {
            let without = told(&was, &simple(), Internal, false, false);
            assert_eq!(without == pointer, !DIRECTIVES.contains(&field.name), "{}", field.name);
        }
    }
    for field in &SERVICE_FIELDS[1..] {
        let order = |value: &str| {
            let mut order = simple();
            order["services"][0][field.name] = json!(value);
            order
        };
        let (was, is) = (order("a"), order("b"));
        assert_eq!(told(&was, &is, Internal, true, true), [format!("/services/0/{}", field.name)]);
        assert_eq!(not_updated(&was, &is, Internal, true, false, &[], |name| name == "Task"), []);
    }
    let other = order("services", "");
    assert_eq!(told(&simple(), &other, Internal, true, false), Vec::<String>::new());
}

#[test]
fn slips_are_recognised() {
    assert_eq!(faults("adress2", json!("x")), ["/adress2 is not a field of a work order; did you mean \"address2\"?"]);
    assert_eq!(faults("due_date", json!("x")), ["/due_date is not a field of a work order; did you mean \"dueDate\"?"]);
    assert_eq!(faults("nonsense", json!("x")), ["/nonsense is not a field of a work order"]);
    assert_eq!(
        faults("attribute3", json!("x")),
        ["/attribute3 is reserved for the address: use attribute7 to attribute15"]
    );
    assert_eq!(
        faults("services", json!([{"service_name": "Task"}])),
        [
            "/services/0/serviceName is required",
            "/services/0/service_name is not a field of a service; did you mean \"serviceName\"?"
        ]
    );
    assert!(faults("status", json!("assinged"))[0].contains("did you mean \"assigned\"?"));
    assert!(faults("city", json!("Caf\u{fffd}"))[0].contains("send UTF-8"));
}

#[test]
fn what_is_taken_can_be_read_again_however_deep_it_came() {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    let services = |levels: usize| json!([{"serviceName": "S", "surveyDynamic": nested(levels)}]).to_string();
    let (order, _) = with("services", json!(services(MAX_VALUE_DEPTH))).unwrap();
    assert!(serde_json::from_str::<Value>(&order.document()).is_ok());
    assert_eq!(
        faults("services", json!(services(MAX_VALUE_DEPTH + 1))),
        ["/services/0/surveyDynamic is nested too deep: at most 64 levels are sent"]
    );
    assert!(with("options", json!(nested(MAX_VALUE_DEPTH))).is_ok());
    assert_eq!(
        faults("options", json!(nested(MAX_VALUE_DEPTH + 1))),
        ["/options is nested too deep: at most 64 levels are sent"]
    );
}

#[test]
fn a_flood_of_unknown_fields_is_not_told_one_by_one() {
    let flood = |count: usize| {
        let mut body = simple();
        body.extend((0..count).map(|n| (format!("x{n}"), json!(1))));
        WorkOrder::parse("Simple", body).unwrap_err()
    };
    assert_eq!(flood(MAX_UNKNOWN).len(), MAX_UNKNOWN);
    let errors = flood(10_000);
    assert_eq!(errors.len(), MAX_UNKNOWN + 1);
    assert_eq!(errors[0].detail, "has 9980 more that are no fields of a work order");
}

#[test]
fn services_complete_and_none_twice() {
    assert_eq!(faults("services", json!([])).len(), 1);
    assert_eq!(faults("services", json!("Task")).len(), 1);
    assert_eq!(faults("services", json!([7])).len(), 1);
    let twice = faults("services", json!([{"serviceName": "Task"}, {"serviceName": "task "}]));
    assert!(twice[0].contains("twice"), "{twice:?}");
}

#[test]
fn values_are_brought_into_shape_and_changes_are_told() {
    let (order, warnings) = with("zip", json!(78664)).unwrap();
    assert_eq!(order.get("zip"), Some(&json!("78664")));
    assert_eq!(warnings, []);
    let (order, warnings) = with("instructions", json!("Zoë’s gate")).unwrap();
    assert_eq!(order.get("instructions"), Some(&json!("Zoe's gate")));
    assert_eq!(warnings[0].field, "/instructions");
    let (_, warnings) = with("dueDate", json!("2016-05-25 2359 -07")).unwrap();
    assert!(warnings[0].detail.contains("2016-05-25 1200 +0"));
    let (_, warnings) = with("options", json!({"newer": 1})).unwrap();
    assert_eq!(warnings[0].field, "/options/newer");
}

#[test]
fn what_is_nothing_in_ascii_is_no_value() {
    for nothing in ["\u{200b}", "\u{feff}", "\0", "\u{a0}\u{200b}", "\u{ff4e}ull"] {
        assert_eq!(faults("city", json!(nothing)), ["/city holds no character that Pruvan takes"], "{nothing:?}");
    }
    let (order, _) = with("city", json!("\u{200b}\u{a0}Ulm")).unwrap();
    assert_eq!(order.get("city"), Some(&json!("Ulm")));
}

#[test]
fn numbers() {
    for (number, fine) in [
        ("A/1 %20#", true),
        ("x", true),
        ("", false),
        (" x", false),
        ("SMC::1", false),
        ("né", false),
        ("a\tb", false),
        ("..", false),
        (":A", false),
        ("A:1", true),
        ("null", false),
        ("nullable", true),
    ] {
        assert_eq!(number_fault(number).is_none(), fine, "{number:?}");
    }
    assert!(could_be_number("null") && !could_be_number(".."), "an order of that name may be there from before");
    assert!(number_fault(&"9".repeat(100)).is_none());
    assert!(number_fault(&"9".repeat(300)).is_some());
    assert!(WorkOrder::parse("Other", simple()).is_err());
}

#[test]
fn merge_patches_as_in_rfc_7386() {
    let patched = |target: Value, patch: Value| {
        let (Value::Object(mut target), Value::Object(patch)) = (target, patch) else { unreachable!() };
        merge_patch(&mut target, patch);
        Value::Object(target)
    };
    assert_eq!(patched(json!({"a": "b"}), json!({"a": "c"})), json!({"a": "c"}));
    assert_eq!(patched(json!({"a": "b", "b": "c"}), json!({"a": null})), json!({"b": "c"}));
    assert_eq!(patched(json!({"a": [1]}), json!({"a": [2, 3]})), json!({"a": [2, 3]}));
    assert_eq!(patched(json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}})), json!({"a": {"b": "d"}}));
    assert_eq!(patched(json!({"e": null}), json!({"a": 1})), json!({"e": null, "a": 1}));
    assert_eq!(patched(json!({}), json!({"a": {"bb": {"ccc": null}}})), json!({"a": {"bb": {}}}));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        "[a-zA-Z]{1,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z_]{1,12}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever stands in whatever field: no panic, and what is accepted is ASCII JSON that parses to itself.
    #[test]
    fn any_json_in_any_field(
        fields in prop::collection::vec((prop::sample::select(
            WORK_ORDER_FIELDS.iter().chain([&SERVICES]).map(|field| field.name).collect::<Vec<_>>()), any_json()), 0..4),
        service in prop::option::of((prop::sample::select(
            SERVICE_FIELDS.iter().map(|field| field.name).collect::<Vec<_>>()), any_json())),
    ) {
        let mut body = simple();
        body.extend(fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
        if let (Some((name, value)), Some(Value::Array(services))) = (service, body.get_mut("services"))
            && let Some(Value::Object(first)) = services.first_mut()
        {
            first.insert(name.to_owned(), value);
        }
        if let Ok((order, _)) = WorkOrder::parse("Simple", body) {
            let document = order.document();
            prop_assert!(document.is_ascii());
            let mut again: Map<String, Value> = serde_json::from_str(&document).unwrap();
            for (name, value) in order.directives().0 {
                again.insert(name, Value::from(value));
            }
            prop_assert_eq!(WorkOrder::parse("Simple", again).unwrap().0, order);
        }
    }
}
