//! The console, from outside: nobody else gets in, nothing secret is on its pages, and what its buttons do is done. How
//! it looks and how it is used is tested in a browser (`tests/console/console.sh`).

use std::process::Command;
use std::sync::Arc;

use bridge_console::Console;
use bridge_console::commands::{PruvanOptions, pruvan};
use host_client::HostClient;
use local::gateway::Variant;
use pruvan::integration::IntegrationType;
use serde_json::json;
use simulator::desk::Desk;
use simulator::listen::listen;
use simulator::weather::Preset;
use simulator::{Simulator, system_ms};

use crate::harness::Harness;

/// A console beside a system, with an account in both.
struct Room {
    harness: Harness,
    desk: Arc<Desk>,
    url: String,
    client: reqwest::Client,
    key: String,
}

async fn served(routes: axum::Router, listener: tokio::net::TcpListener) {
    tokio::spawn(async move { axum::serve(listener, routes).await });
}

impl Room {
    async fn open() -> Room {
        Room::open_beside(Harness::start().await).await
    }

    async fn open_beside(harness: Harness) -> Room {
        let (listener, url) = listen(0).await.unwrap();
        let desk = Desk::open(None, Simulator::at(&url, harness.clock_ms())).unwrap();
        let host = HostClient::new(&harness.system.gateway_url).unwrap();
        let mut console = Console::new(&url, "in a test", Some(desk.clone()), Some(host));
        console.web_service_url.clone_from(&harness.system.gateway_url);
        served(desk.simulator.routes().merge(console.routes()), listener).await;
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let room = Room { harness, desk, url, client, key: String::new() };
        room.press("integrate", &[("username", "Vendor1"), ("kind", "internal"), ("extension", "html")]).await;
        let key = room.desk.account("vendor1").unwrap().integration.token.clone();
        for number in ["1", "2"] {
            room.harness.put("vendor1", number, json!({ "gpsLatitude": 30.5, "gpsLongitude": -97.6 })).await;
        }
        Room { key, ..room }
    }

    /// Presses a button; a form that was taken leads back to the page.
    async fn press(&self, action: &str, fields: &[(&str, &str)]) {
        let back = "account=vendor1&order=1";
        let always = [("account", "vendor1"), ("order", "1"), ("back", back)];
        let fields = always.iter().chain(fields).copied();
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let form = "application/x-www-form-urlencoded";
        let request = self.client.post(format!("{}/console/do/{action}", self.url)).header("content-type", form);
        let reply = request.body(body).send().await.unwrap();
        let status = reply.status();
        assert_eq!(status, 303, "{action}: {}", reply.text().await.unwrap());
    }

    async fn get(&self, path: &str) -> String {
        let reply = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        let status = reply.status();
        let text = reply.text().await.unwrap();
        assert_eq!(status, 200, "{path}: {text}");
        text
    }

    fn told(&self) -> String {
        self.desk.account("vendor1").unwrap().told().unwrap().text
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_pages_get_nothing_out_of_it() {
    let room = Room::open().await;
    let get = |name: &'static str, value: &'static str| {
        room.client.get(format!("{}/console/wire/1/curl", room.url)).header(name, value).send()
    };
    assert_eq!(get("host", "rebound.example").await.unwrap().status(), 403);
    assert_eq!(get("host", "127.0.0.1.rebound.example:80").await.unwrap().status(), 403);
    assert_eq!(get("x-forwarded-for", "203.0.113.5").await.unwrap().status(), 403);
    let post = |name: &'static str, value: String| {
        room.client.post(format!("{}/console/do/validate", room.url)).header(name, value).body("account=vendor1").send()
    };
    for (name, value) in [
        ("origin", "http://other.example".to_owned()),
        ("origin", "null".to_owned()),
        ("sec-fetch-site", "cross-site".to_owned()),
        ("sec-fetch-site", "same-site".to_owned()),
    ] {
        assert_eq!(post(name, value).await.unwrap().status(), 403);
    }
    assert_eq!(room.desk.simulator.wire.count(), 0);
    assert_eq!(post("origin", room.url.clone()).await.unwrap().status(), 303);
    assert_eq!(room.desk.simulator.wire.count(), 1);
    let page = room.client.get(format!("{}/console", room.url)).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("http"), "{policy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_on_its_pages_and_the_commands_work() {
    let room = Room::open().await;
    let vendor = room.desk.account("vendor1").unwrap().integration.clone();
    room.press("validate", &[]).await;
    room.press("refresh", &[]).await;
    for what in ["survey", "check-in", "csr", "video"] {
        room.press("item", &[("service", "Task"), ("what", what)]).await;
    }
    room.press("photo", &[("service", "Task"), ("evidence", "before"), ("notes", "it's \"here\"")]).await;
    room.press("edit", &[("fieldStatus", "complete")]).await;
    room.harness.system.tick().await;
    let password = vendor.validate().await.unwrap();
    let wire = room.desk.simulator.wire.last(100, |_| true);
    // With the crew's first item its field status.
    assert_eq!(wire.len(), 11, "{:?}", wire.iter().map(|exchange| exchange.service.clone()).collect::<Vec<String>>());
    let push_secret = vendor.push_key().rsplit('=').next().unwrap().to_owned();
    let sha1 = password.payload_sent().split("\"password\":\"").nth(1).unwrap()[..40].to_owned();
    let mut pages: Vec<String> =
        ["", "&order=1", "&order=1&tab=photos", "&order=1&tab=surveys", "&order=1&tab=positions", "&tab=queue"]
            .iter()
            .map(|view| format!("/console?account=vendor1{view}"))
            .collect();
    pages.extend(wire.iter().map(|exchange| format!("/console/wire/{}", exchange.id)));
    for path in pages {
        let page = room.get(&path).await;
        for secret in [&room.key, &push_secret, &sha1, "X-Amz-Signature"] {
            assert!(!page.contains(secret), "{path} shows a secret");
        }
    }
    for exchange in wire.iter().rev() {
        assert_eq!((exchange.status, exchange.breaches()), (200, &[][..]), "{exchange:?}");
        let command = room.get(&format!("/console/wire/{}/curl", exchange.id)).await;
        let done = tokio::task::spawn_blocking(move || Command::new("bash").args(["-c", &command]).output()).await;
        let done = done.unwrap().unwrap();
        let reply: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        assert!(done.status.success(), "{done:?}");
        let same = match exchange.service.as_str() {
            "getWorkOrders" => reply["workOrders"].as_array().map(Vec::len) == Some(2),
            "push" => reply["error"].is_null() && reply["response"]["updated"] == 2,
            _ => reply == exchange.reply(),
        };
        assert!(same, "{}: {reply}", exchange.service);
    }
    // They were the same calls: nothing has come twice.
    let (_, uploads) = room.harness.host("GET", "/accounts/vendor1/orders/1/uploads", None).await;
    assert_eq!(uploads["uploads"].as_array().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_weather_is_seen_by_the_queue_and_over_when_it_is_over() {
    let room = Room::open().await;
    room.press("validate", &[]).await;
    room.press("refresh", &[]).await;
    let account = room.desk.account("vendor1").unwrap();
    let status = |last_set: &'static str| room.harness.put("vendor1", "1", json!({ "clientStatus": last_set }));
    let held = || account.integration.project("1").unwrap().get("clientStatus").cloned().unwrap_or_default();
    room.harness.system.tick().await;
    for (name, expected) in [
        ("errors", "500"),
        ("maintenance", "503"),
        ("bad-key", ""),
        ("late-effects", "broke"),
        ("hourly-limit", "hourly limit"),
    ] {
        let preset = Preset::named(name).unwrap();
        status(name).await;
        room.press("weather", &[("preset", name)]).await;
        assert!(room.told().contains(preset.title), "{}", room.told());
        room.harness.system.tick().await;
        assert_ne!(held(), name, "{name}");
        let queue = room.get("/console?account=vendor1&tab=queue").await;
        assert!(
            queue.contains(if name == "bad-key" {
                "takes the push key no more"
            } else {
                "After 1 failed call it is tried again"
            }),
            "{queue}"
        );
        let (_, waits) = room.harness.host("GET", "/accounts/vendor1/push-queue", None).await;
        assert_eq!(waits["backoff"]["failures"].as_u64(), (name != "bad-key").then_some(1), "{name}: {waits}");
        let seen = room.desk.simulator.wire.last(1, |exchange| exchange.service == "push");
        let said = format!("{} {} {:?}", seen[0].status, seen[0].body, seen[0].error);
        assert!(expected == "broke" && seen[0].error.is_some() || said.contains(expected), "{said}");
        if name == "late-effects" {
            room.harness.advance(21);
            assert_eq!(held(), name);
        }
        room.press("weather", &[("preset", "fine")]).await;
        if name == "bad-key" {
            room.press("validate", &[]).await;
        }
        room.harness.advance(7200);
        room.harness.system.tick().await;
        assert_eq!(held(), name, "after {name}");
        room.harness.advance(600);
        room.harness.system.tick().await;
    }
}

/// What a gateway says by itself is on the wire as it came, and the item isn't taken for one that was stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_words_of_its_own_is_shown_as_it_is() {
    let variant = Variant { has_its_own_too_long: true, reads_on: true };
    let room = Room::open_beside(Harness::with_gateway(variant).await).await;
    room.press("import", &[("full", "on")]).await;
    let account = room.desk.account("vendor1").unwrap();
    for (size, words) in [(5_000_000, "Request Too Long"), (11_000_000, "HTTP content length exceeded")] {
        let photo = vec![0xFF; size];
        let fields = crate::harness::picture("large", "1", json!({}));
        let answer = account.integration.publish(fields, Some(("1.jpg", &photo))).await.unwrap();
        assert_eq!(answer.status, 413);
        let wire = account.integration.last_exchange().unwrap();
        let page = room.get(&format!("/console/wire/{wire}?account=vendor1")).await;
        assert!(page.contains(words) && page.contains("413"), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Desk::open(Some(folder.path()), Simulator::at("http://127.0.0.1:1", system_ms)).unwrap();
    let desk = open();
    let vendor =
        desk.simulator.integrate("http://127.0.0.1:1", "", "vendor1", "key1", IntegrationType::Internal, false);
    let account = desk.add(vendor);
    let order = crate::harness::order(json!({ "workOrderNumber": "1" }));
    account.integration.rules(|projects| drop(projects.take(&[order])));
    let project = account.integration.project("1").unwrap();
    let job = simulator::items::Job {
        project: &project,
        number: "1",
        client_code: "SMC",
        username: "vendor1",
        crew: "crew1",
        at: jiff::Timestamp::now(),
        seed: 1,
    };
    // Nobody is there to take it.
    account.publish(job.picture("Task", "before", None)).await;
    assert!(!account.told().unwrap().ok);
    let key = account.integration.push_key();
    desk.save().unwrap();
    let again = open();
    let account = again.account("vendor1").unwrap();
    let [made] = account.items(Some("1")).try_into().unwrap();
    assert!(made.failed.is_some() && account.file(&made).unwrap().unwrap().starts_with(&[0xFF, 0xD8]));
    assert_eq!((account.integration.push_key(), account.integration.projects()), (key, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn pruvan_alone_is_set_up_once_and_a_tunnel_to_its_push_keys_leads_nowhere_else() {
    let harness = Harness::start().await;
    let (_, made) = harness.host("PUT", "/accounts/vendor1", Some(json!({ "integration": "internal" }))).await;
    harness.put("vendor1", "1", json!({})).await;
    let folder = tempfile::tempdir().unwrap();
    let mut options = PruvanOptions {
        url: harness.system.gateway_url.clone(),
        extension: "html".to_owned(),
        username: "vendor1".to_owned(),
        token: Some(made["apiKey"].as_str().unwrap().into()),
        internal: true,
        auto_admin: false,
        push_url: None,
        push_port: 0,
        port: 0,
        data: Some(folder.path().to_owned()),
    };
    let page = pruvan(&options).await.unwrap();
    let client = reqwest::Client::new();
    for action in ["validate", "refresh"] {
        let reply = client.post(format!("{}/do/{action}", page.url)).body("account=vendor1&back=account=vendor1");
        let shown = reply.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
        assert_eq!(shown.status(), 200);
    }
    harness.host("PATCH", "/accounts/vendor1/orders/1", Some(json!({ "clientStatus": "Pushed here" }))).await;
    harness.system.tick().await;
    let shown = client.get(format!("{}?account=vendor1&order=1", page.url)).send().await.unwrap().text().await.unwrap();
    assert!(shown.contains("Pushed here"), "{shown}");
    let pushes = page.about.rsplit("begin with ").next().unwrap().trim_end_matches(':').to_owned();
    assert_ne!(format!("{pushes}/console"), page.url);
    assert_eq!(client.get(format!("{pushes}/console")).send().await.unwrap().status(), 404);
    page.stop().unwrap();
    // Set up otherwise, it holds what it held.
    options.extension = String::new();
    let page = pruvan(&options).await.unwrap();
    let shown = client.get(format!("{}?account=vendor1", page.url)).send().await.unwrap().text().await.unwrap();
    assert!(shown.contains("/{service}</code>") && shown.contains("order=1"), "{shown}");
    page.stop().unwrap();
    options.url = "http://example.com".to_owned();
    assert!(pruvan(&options).await.is_err_and(|error| error.to_string().contains("https://")));
}
