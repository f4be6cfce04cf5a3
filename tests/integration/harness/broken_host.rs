//! A host of another make: small, in memory, and right, unless one of many faults is planted in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use simulator::spec::Service;
use tokio::task::JoinHandle;

pub const USER: &str = "vendor";
pub const KEY: &str = "dda25c60-4fce-11e4-916c-0800200c9a66";

/// What can be wrong with a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    WrongShape,
    HtmlType,
    CutList,
    TimeAsTextIsNoTime,
    EmptyTimeFails,
    NoNewsIsNull,
    NotAscii,
    NumberTwice,
    OwnStatus,
    ServiceWithoutName,
    LostUpload,
    RuinedUpload,
    UnknownTypeRefused,
    UnknownOrderRefused,
    SurveyObjectFails,
    Latin1Refused,
    ByteOrderMarkRefused,
    BareLineFeedsRefused,
    HalfAnEmojiRefused,
    GapsRefused,
    RepublishRefused,
    KeepsTheFirstFile,
    HalfAFileIsTaken,
    CrashWithoutFile,
    NotPrefixed,
    AllOrNothing,
    SpellingsRefused,
    DueDateOnlyANumber,
    WrongKeyAtStatus,
    AnyUserValidates,
    EmptyTokenTaken,
    SecretsEchoed,
    MulipartRefused,
    NoUrlencoded,
    PushKeyOfAnybody,
    NeverPushesAgain,
    MaintenanceIsSuccess,
    PushesAnObject,
    Echo,
    Stale,
}

/// The server and its pusher.
pub struct BrokenHost {
    pub url: String,
    host: Arc<Host>,
    tasks: [JoinHandle<()>; 2],
}

struct Host {
    planted: Option<Planted>,
    stored: Mutex<Stored>,
}

#[derive(Default)]
struct Stored {
    orders: BTreeMap<String, Value>,
    uploads: BTreeMap<String, Vec<u8>>,
    push_key: Option<String>,
    /// By number: what differs from what Pruvan has.
    queue: BTreeMap<String, Value>,
}

impl Drop for BrokenHost {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl BrokenHost {
    pub async fn start(planted: Option<Planted>) -> BrokenHost {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let host = Arc::new(Host { planted, stored: Mutex::default() });
        let app = axum::Router::new()
            .route("/{service}", post(call))
            .route("/uploads/{id}", get(show))
            .with_state(host.clone());
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let pusher = tokio::spawn(push(host.clone()));
        BrokenHost { url, host, tasks: [server, pusher] }
    }

    pub async fn with_orders(planted: Option<Planted>) -> BrokenHost {
        let started = BrokenHost::start(planted).await;
        for number in ["A-1", "A-2", "A-3"] {
            let order = json!({
                "workOrderNumber": number, "address1": "110 East Main Street", "city": "Round Rock", "state": "TX", "zip": "78664",
                "status": "assigned", "dueDate": "2016-05-25 1200 +0", "services": [{ "serviceName": "Task" }],
            });
            started.host.stored().orders.insert(number.to_owned(), order);
        }
        started
    }

    /// How many files it has.
    pub fn files(&self) -> usize {
        self.host.stored().uploads.len()
    }
}

/// A reply with its Content-Type.
type Said = (u16, &'static str, Value);

fn json_of(value: Value) -> Said {
    (200, "application/json", value)
}

fn refusal(service: Service, payload: &Value, error: &str) -> Value {
    match service {
        Service::Validate => json!({ "error": error, "validated": false }),
        Service::GetWorkOrders => json!({ "error": error }),
        Service::UploadPictures => json!({ "status": false, "error": error }),
        Service::Status => {
            let number = payload["workOrders"][0]["workOrderNumber"].as_str().unwrap_or_default();
            json!({ "status": false, "error": [{ "workOrderNumber": number, "error": error }] })
        }
    }
}

async fn show(State(host): State<Arc<Host>>, Path(id): Path<String>) -> Result<Vec<u8>, axum::http::StatusCode> {
    host.stored().uploads.get(&id).cloned().ok_or(axum::http::StatusCode::NOT_FOUND)
}

async fn call(
    State(host): State<Arc<Host>>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let service = Service::ALL.into_iter().find(|service| path.split('.').next() == Some(service.name())).unwrap();
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (status, kind, reply) = match host.form(kind, &body) {
        Ok((payload, file)) => host.answer(service, &payload, file),
        Err(why) => json_of(refusal(service, &Value::Null, why)),
    };
    let kind = if host.has(Planted::HtmlType) { "text/html" } else { kind };
    let text = reply.as_str().map_or_else(|| reply.to_string(), str::to_owned);
    Response::builder().status(status).header("content-type", kind).body(Body::from(text)).unwrap()
}

/// Sends what is queued, and again what failed.
async fn push(host: Arc<Host>) {
    let client = reqwest::Client::new();
    loop {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let (key, orders) = {
            let mut stored = host.stored();
            (stored.push_key.clone(), std::mem::take(&mut stored.queue))
        };
        let Some(key) = key.filter(|_| !orders.is_empty()) else { continue };
        let mut list: Value = orders.values().cloned().collect();
        if host.has(Planted::PushesAnObject) {
            list = list[0].take();
        }
        let sent = client.post(key).form(&[("workOrders", json!({ "workOrders": list }).to_string())]).send().await;
        let text = match sent {
            Ok(reply) if reply.status().is_success() => reply.text().await.ok(),
            _ => None,
        };
        let taken = text.is_some_and(|text| host.has(Planted::MaintenanceIsSuccess) || text.contains("\"updated\""));
        if !taken && !host.has(Planted::NeverPushesAgain) {
            let mut stored = host.stored();
            for (number, order) in orders {
                stored.queue.entry(number).or_insert(order);
            }
        }
    }
}

impl Host {
    fn has(&self, planted: Planted) -> bool {
        self.planted == Some(planted)
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap()
    }

    /// The payload and the file.
    fn form(&self, kind: &str, body: &[u8]) -> Result<(Value, Option<Vec<u8>>), &'static str> {
        let text = |bytes: &[u8]| match String::from_utf8(bytes.to_vec()) {
            Err(_) if self.has(Planted::Latin1Refused) => String::new(),
            read => read.unwrap_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect()),
        };
        let json = |bytes: &[u8]| {
            let mut text = text(bytes);
            if !self.has(Planted::ByteOrderMarkRefused) {
                text = text.trim_start_matches('\u{feff}').to_owned();
            }
            if !self.has(Planted::HalfAnEmojiRefused) {
                text = text.replace("\\ud83c\"", "?\"");
            }
            serde_json::from_str(&text).map_err(|_| "the payload is not valid JSON")
        };
        if kind == "application/x-www-form-urlencoded" {
            let (_, payload) = form_urlencoded::parse(body).find(|(name, _)| name == "payload").ok_or("no payload")?;
            return match self.has(Planted::NoUrlencoded) {
                true => Err("multipart only"),
                false => Ok((json(payload.as_bytes())?, None)),
            };
        }
        if kind.starts_with("Mulipart") && self.has(Planted::MulipartRefused) {
            return Err("unknown content type");
        }
        let boundary = kind.split("boundary=").nth(1).ok_or("no boundary")?;
        let bare = body.starts_with(format!("--{boundary}\n").as_bytes()) && !self.has(Planted::BareLineFeedsRefused);
        let end = if bare { "\n" } else { "\r\n" };
        let (boundary, blank) = (format!("{end}--{boundary}"), end.repeat(2));
        let body = [end.as_bytes(), body].concat();
        let starts: Vec<usize> =
            (0..body.len()).filter(|at| body[*at..].starts_with(boundary.as_bytes())).chain([body.len()]).collect();
        let (mut payload, mut file, mut whole) = (None, None, false);
        for pair in starts.windows(2) {
            let part = &body[pair[0] + boundary.len()..pair[1]];
            whole |= part.starts_with(b"--");
            let Some(end) = part.windows(blank.len()).position(|window| window == blank.as_bytes()) else { continue };
            let (head, content) = (String::from_utf8_lossy(&part[..end]), &part[end + blank.len()..]);
            match head.contains("name=\"file\"") {
                true => file = Some(content.to_vec()),
                false => payload = Some(json(content)?),
            }
        }
        match (whole || self.has(Planted::HalfAFileIsTaken), payload) {
            (false, _) => Err("the body breaks off"),
            (true, payload) => Ok((payload.ok_or("no payload")?, file)),
        }
    }

    fn answer(&self, service: Service, payload: &Value, file: Option<Vec<u8>>) -> Said {
        let (user, token) = (&payload["username"], &payload["token"]);
        let right = *user == USER && *token == KEY;
        let let_in = right
            || (*user == USER && *token == "" && self.has(Planted::EmptyTokenTaken))
            || (service == Service::Status && *user == USER && *token != "" && self.has(Planted::WrongKeyAtStatus))
            || (service == Service::Validate && *token != "" && *user != USER && self.has(Planted::AnyUserValidates));
        if let (Some(key), true) = (payload["pushkey"].as_str(), right || self.has(Planted::PushKeyOfAnybody)) {
            let mut stored = self.stored();
            if stored.push_key.replace(key.to_owned()).as_deref() != Some(key) {
                stored.queue = stored.orders.clone();
            }
        }
        if !let_in {
            return json_of(refusal(service, payload, "invalid username or password"));
        }
        match service {
            Service::Validate => json_of(json!({ "error": "", "validated": true })),
            Service::GetWorkOrders => self.get_work_orders(payload),
            Service::UploadPictures => self.upload(payload, file),
            Service::Status => json_of(self.status(payload)),
        }
    }

    fn get_work_orders(&self, payload: &Value) -> Said {
        let time = match &payload["timestamp"] {
            Value::Number(seconds) => seconds.as_i64(),
            Value::String(_) if self.has(Planted::TimeAsTextIsNoTime) => None,
            Value::String(text) if self.has(Planted::EmptyTimeFails) && text.is_empty() => {
                return json_of(json!({ "error": "the timestamp is not a number" }));
            }
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let mut orders: Vec<Value> = self.stored().orders.values().cloned().collect();
        match time {
            Some(since) if since > 1_700_000_000 => orders.clear(),
            None if self.has(Planted::CutList) => drop(orders.pop()),
            _ => {}
        }
        if let [first, ..] = orders.as_mut_slice() {
            match self.planted {
                Some(Planted::NotAscii) => first["city"] = json!("Montr\u{e9}al"),
                Some(Planted::OwnStatus) => first["status"] = json!("In Field"),
                Some(Planted::ServiceWithoutName) => first["services"] = json!([{ "service_name": "Task" }]),
                _ => {}
            }
            let twice = first.clone();
            orders.extend(self.has(Planted::NumberTwice).then_some(twice));
        }
        match orders.is_empty() && self.has(Planted::NoNewsIsNull) {
            true => json_of(json!({ "workOrders": null, "error": "" })),
            false => json_of(json!({ "workOrders": orders, "error": "" })),
        }
    }

    fn upload(&self, payload: &Value, file: Option<Vec<u8>>) -> Said {
        let refused = |why: &str| json_of(json!({ "status": false, "error": why }));
        let Some(mut file) = file.filter(|file| !file.is_empty()) else {
            return match self.planted {
                Some(Planted::SecretsEchoed) => refused(&format!("no file beside {payload}")),
                Some(Planted::CrashWithoutFile) => (500, "text/html", json!("<h1>Undefined index: file</h1>")),
                _ => refused("there is no file"),
            };
        };
        let known = ["picture", "csr", "survey", "check-in", "file"];
        let kind = payload["fileType"].as_str().unwrap_or_default();
        let id = payload["uuId"].as_str().unwrap_or_default().to_owned();
        let mut stored = self.stored();
        match self.planted {
            Some(Planted::UnknownTypeRefused) if !known.contains(&kind) => return refused("Missing Path"),
            Some(Planted::UnknownOrderRefused) if !stored.orders.contains_key(payload["key2"].as_str().unwrap()) => {
                return refused("no such work order");
            }
            Some(Planted::SurveyObjectFails) if payload["survey"].is_object() => {
                return refused("the survey is no text");
            }
            Some(Planted::RepublishRefused) if stored.uploads.contains_key(&id) => return refused("it exists already"),
            Some(Planted::RuinedUpload) => file = String::from_utf8_lossy(&file).into_owned().into_bytes(),
            _ => {}
        }
        let kept = self.has(Planted::KeepsTheFirstFile) && stored.uploads.contains_key(&id);
        let lost = self.has(Planted::LostUpload) && kind == "survey";
        if !kept && !lost {
            stored.uploads.insert(id, file);
        }
        let error = if self.has(Planted::WrongShape) { json!("") } else { Value::Null };
        json_of(json!({ "status": true, "error": error }))
    }

    fn status(&self, payload: &Value) -> Value {
        let (mut stored, mut errors, mut reported) = (self.stored(), Vec::new(), Vec::new());
        let given = &payload["workOrders"];
        let gaps = given.as_object().filter(|_| !self.has(Planted::GapsRefused));
        let entries: Vec<&Value> = given
            .as_array()
            .map_or_else(|| gaps.into_iter().flat_map(|map| map.values()).collect(), |list| list.iter().collect());
        if entries.is_empty() {
            return refusal(Service::Status, payload, "there are no work orders");
        }
        for entry in entries {
            let displayed = entry["workOrderNumber"].as_str().unwrap();
            let number =
                if self.has(Planted::NotPrefixed) { displayed } else { displayed.rsplit("::").next().unwrap() };
            let (status, due) = (entry["status"].as_str().unwrap_or_default(), &entry["dueDate"]);
            let error = if !stored.orders.contains_key(number) {
                "work order does not exist"
            } else if self.has(Planted::SpellingsRefused) && status == "Cancelled" {
                "no such status"
            } else if self.has(Planted::DueDateOnlyANumber) && due.is_string() {
                "the due date is not a number"
            } else {
                reported.push((number.to_owned(), entry["fieldStatus"] == "complete"));
                continue;
            };
            errors.push(json!({ "workOrderNumber": displayed, "error": error }));
        }
        for (number, complete) in reported {
            match self.planted {
                Some(Planted::Echo) => {
                    let order = json!({ "workOrderNumber": number, "clientStatus": "seen" });
                    stored.queue.insert(number, order);
                }
                Some(Planted::Stale) if complete => {
                    let order = json!({ "workOrderNumber": number, "status": "assigned" });
                    stored.queue.insert(number, order);
                }
                _ => {}
            }
        }
        match errors.as_slice() {
            [] => json!({ "status": true, "error": null }),
            [first, ..] if self.has(Planted::AllOrNothing) => json!({ "status": false, "error": first }),
            _ => json!({ "status": false, "error": errors }),
        }
    }
}
