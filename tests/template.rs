//! template.yaml against the code: routes, extensions, what is signed.

use std::collections::BTreeSet;

use local::template::{TEMPLATE, Template};

#[test]
fn every_service_has_every_extension_and_the_host_has_its_routes() {
    let template = Template::parse(TEMPLATE).unwrap();
    let routes: BTreeSet<(String, String, String, String)> = template
        .functions
        .values()
        .flat_map(|function| function.routes.iter().map(|route| (function.binary.clone(), route.clone())))
        .map(|(binary, route)| (binary, route.api, route.method, route.path))
        .collect();
    let mut expected = BTreeSet::new();
    for (binary, service) in [
        ("validate", "validate"),
        ("get-work-orders", "getWorkOrders"),
        ("upload-pictures", "uploadPictures"),
        ("status", "status"),
    ] {
        for extension in ["", ".html", ".php", ".svc", ".aspx"] {
            expected.insert((binary.into(), "PruvanApi".into(), "POST".into(), format!("/{service}{extension}")));
        }
    }
    let one = "/accounts/{username}/orders/{workOrderNumber}";
    for (binary, method, path) in [
        ("accounts", "GET", "/accounts"),
        ("accounts", "GET", "/accounts/{username}"),
        ("accounts", "PUT", "/accounts/{username}"),
        ("accounts", "POST", "/accounts/{username}/keys"),
        ("accounts", "DELETE", "/accounts/{username}/keys/{id}"),
        ("accounts", "GET", "/accounts/{username}/push-queue"),
        ("orders", "GET", "/accounts/{username}/orders"),
        ("orders", "POST", "/accounts/{username}/orders"),
        ("orders", "GET", one),
        ("orders", "PUT", one),
        ("orders", "PATCH", one),
        ("orders", "DELETE", one),
        ("orders", "GET", &format!("{one}/uploads")),
    ] {
        expected.insert((binary.into(), "HostApi".into(), method.into(), path.into()));
    }
    assert_eq!(routes, expected);
    let scheduled: Vec<&str> = template
        .functions
        .values()
        .filter(|function| function.scheduled)
        .map(|function| function.binary.as_str())
        .collect();
    assert_eq!(scheduled, ["push-drain"]);
}

#[test]
fn gateway_responses_are_in_pruvans_shape() {
    let template = Template::parse(TEMPLATE).unwrap();
    let responses = &template.apis["PruvanApi"].responses;
    assert!(template.apis["PruvanApi"].binary && !template.apis["HostApi"].binary);
    for kind in ["REQUEST_TOO_LARGE", "DEFAULT_4XX", "DEFAULT_5XX"] {
        let body: serde_json::Value = serde_json::from_str(&responses[kind]).unwrap();
        assert_eq!((&body["status"], &body["validated"]), (&false.into(), &false.into()));
        assert!(body["error"].as_str().unwrap().is_ascii());
    }
}
