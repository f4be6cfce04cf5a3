//! What the page's buttons do. Each comes back to the view that it was pressed in.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{FromRequest as _, Multipart, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use host_client::web_services::web_service_url;
use host_client::{HostClient, segment};
use jiff::Timestamp;
use pruvan::integration::IntegrationType;
use serde_json::{Map, Value, json};
use simulator::desk::{Account, Desk, Made, Told};
use simulator::items::{Item, Job};
use simulator::questions::{INSPECTION, Taken, inspection};
use simulator::weather::Preset;

use crate::links::{order_path, path};
use crate::state::Console;
use crate::view::View;

/// The crew that makes things here.
const CREW: &str = "crew1";

/// What a form brought.
#[derive(Default)]
struct Form {
    fields: BTreeMap<String, String>,
    file: Option<(String, Vec<u8>)>,
}

impl Form {
    fn get(&self, name: &str) -> &str {
        self.fields.get(name).map(|value| value.trim()).unwrap_or_default()
    }

    async fn read(request: Request) -> Result<Form, String> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !content_type.is_some_and(|value| value.starts_with("multipart/form-data")) {
            let body = axum::body::Bytes::from_request(request, &()).await.map_err(|error| error.to_string())?;
            return Ok(Form { fields: form_urlencoded::parse(&body).into_owned().collect(), file: None });
        }
        let mut parts = Multipart::from_request(request, &()).await.map_err(|error| error.to_string())?;
        let mut form = Form::default();
        while let Some(part) = parts.next_field().await.map_err(|error| error.to_string())? {
            let name = part.name().unwrap_or_default().to_owned();
            match part.file_name().map(str::to_owned) {
                Some(file_name) => {
                    let bytes = part.bytes().await.map_err(|error| error.to_string())?;
                    form.file = (!bytes.is_empty()).then(|| (file_name, bytes.to_vec()));
                }
                None => drop(form.fields.insert(name, part.text().await.map_err(|error| error.to_string())?)),
            }
        }
        Ok(form)
    }
}

/// Does what the form says. Whatever comes of it is said on the page, to which it leads back. A browser that hangs up
/// stops nothing.
pub async fn act(State(console): State<Arc<Console>>, Path(action): Path<String>, request: Request) -> Response {
    let done = tokio::spawn(take(console, action, request)).await;
    done.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn take(console: Arc<Console>, action: String, request: Request) -> Response {
    let form = match Form::read(request).await {
        Ok(form) => form,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("the form can't be read: {error}\n")).into_response(),
    };
    let mut view: View = serde_urlencoded::from_str(form.get("back")).unwrap_or_default();
    form.get("account").clone_into(&mut view.account);
    form.get("order").clone_into(&mut view.order);
    let from = view.clone();
    console.tell(None);
    let account = console.desk.as_ref().and_then(|desk| desk.account(&view.account));
    let done = match (action.as_str(), &console.desk, account, &console.host) {
        ("integrate", Some(desk), _, _) => {
            let done = integrate(&console, desk, &form).await;
            done.map(|username| view = view.account(&username))
        }
        ("assign" | "push" | "retry" | "retry-parked", _, account, Some(host)) => {
            let done = ours(host, &action, &view, &form).await;
            match (account, done) {
                // Where both sides are shown there is one place that says what came of it.
                (Some(account), done) => {
                    let (ok, text) = done.map_or_else(|error| (false, error), |text| (true, text));
                    account.tell(ok, text, None);
                    Ok(())
                }
                (None, done) => done.map(|text| console.tell(Some(Told { ok: true, text, exchange: None }))),
            }
        }
        (_, _, Some(account), _) => pruvan(&account, &action, &view, &form).await,
        _ => Err(format!("there is nothing here that does {action:?}")),
    };
    if let Err(text) = done {
        console.tell(Some(Told { ok: false, text, exchange: None }));
        view = from;
    }
    Redirect::to(&view.url()).into_response()
}

async fn pruvan(account: &Account, action: &str, view: &View, form: &Form) -> Result<(), String> {
    match action {
        "validate" => account.validate().await,
        "import" => account.import(false).await,
        "refresh" => account.import(true).await,
        "weather" => account.set_weather(Preset::named(form.get("preset")).ok_or("there is no such weather")?),
        "edit" => account.edit(&view.order, changed(account, view, form)).await,
        "photo" => {
            make(account, view, |job| {
                let file = form.file.as_ref().map(|(name, bytes)| (name.as_str(), bytes.clone()));
                let mut item = job.picture(form.get("service"), form.get("evidence"), file);
                if !form.get("notes").is_empty() {
                    item.fields.insert("notes".to_owned(), Value::from(form.get("notes")));
                }
                item
            })
            .await?
        }
        "item" => {
            let service = form.get("service");
            match form.get("what") {
                "survey" => submit_survey(account, view, service).await?,
                "check-in" => make(account, view, |job| job.check_in("pcn")).await?,
                "csr" => {
                    let count = photos(account, view, |_| true).len();
                    let count = u32::try_from(count).unwrap_or(u32::MAX);
                    make(account, view, |job| job.csr(count)).await?;
                }
                // The link is made when it is published.
                "video" => make(account, view, |job| job.video(service, "during", "")).await?,
                other => return Err(format!("a crew can't make {other:?}")),
            }
        }
        "again" => account.publish_again(form.get("uuId")).await,
        _ => return Err(format!("there is nothing here that does {action:?}")),
    }
    Ok(())
}

/// What the form says otherwise than Pruvan has it.
fn changed(account: &Account, view: &View, form: &Form) -> Map<String, Value> {
    let project = account.integration.project(&view.order).unwrap_or_default();
    let mut changed = Map::new();
    for name in ["status", "fieldStatus", "dueDate"] {
        let value = match form.get(name) {
            "" => continue,
            // Noon UTC, so that the day is shown wherever one looks.
            day if name == "dueDate" => format!("{day} 1200 +0"),
            text => text.to_owned(),
        };
        if project.get(name).and_then(Value::as_str) != Some(&value) {
            changed.insert(name.to_owned(), Value::from(value));
        }
    }
    changed
}

/// The photos of the project that is looked at, which `wanted` wants, oldest first.
fn photos(account: &Account, view: &View, wanted: impl Fn(&Made) -> bool) -> Vec<Taken> {
    let items = account.items(Some(&view.order));
    let photos = items.iter().rev().filter(|made| made.text("fileType") == "picture" && wanted(made));
    let taken =
        |made: &Made| Taken { uu_id: made.text("uuId").to_owned(), file_name: made.text("fileName").to_owned() };
    photos.map(taken).collect()
}

/// The crew answers the survey of a task, with the photos that it has taken of it.
async fn submit_survey(account: &Account, view: &View, service: &str) -> Result<(), String> {
    let project = account.integration.project(&view.order).unwrap_or_default();
    let services = project.get("services").and_then(Value::as_array).into_iter().flatten();
    let template = services.filter(|known| known["serviceName"] == service).find_map(|known| known["survey"].as_str());
    let template = template.unwrap_or(INSPECTION).to_owned();
    let pictures = photos(account, view, |made| made.text("key4") == service);
    make(account, view, |job| job.survey(service, &template, &inspection(job.seed, &pictures))).await
}

/// Lets the crew make an item of the project that is looked at.
async fn make(account: &Account, view: &View, item: impl FnOnce(&Job) -> Item) -> Result<(), String> {
    let project = account.integration.project(&view.order);
    let project = project.ok_or_else(|| format!("Pruvan has no project {:?}", view.order))?;
    let seed = getrandom::u64().map_err(|error| error.to_string())?;
    let job = Job {
        project: &project,
        number: &view.order,
        client_code: &account.integration.client_code,
        username: &account.integration.username,
        crew: CREW,
        at: Timestamp::now(),
        seed,
    };
    let item = item(&job);
    account.begin(&view.order).await;
    account.publish(item).await;
    Ok(())
}

/// Sets an integration up, and gives its user name. Where our side is at hand it gets the account, and a key.
async fn integrate(console: &Console, desk: &Desk, form: &Form) -> Result<String, String> {
    let auto_admin = form.get("autoAdmin") == "true";
    let kind = if form.get("kind") == "internal" { IntegrationType::Internal } else { IntegrationType::External };
    let username = match &console.host {
        // As our side keeps it.
        Some(_) => form.get("username").to_lowercase(),
        None => form.get("username").to_owned(),
    };
    if username.is_empty() {
        return Err("A user name is needed.".to_owned());
    }
    if desk.account(&username).is_some() {
        return Err(format!(
            "There is an integration with the user name {username} already: validate and import there."
        ));
    }
    let (url, token) = match &console.host {
        Some(host) => (console.web_service_url.clone(), key(host, &username, kind, auto_admin).await?),
        None => (
            web_service_url(form.get("url")).map_err(|error| error.to_string())?.to_string(),
            form.get("token").to_owned(),
        ),
    };
    if token.is_empty() {
        return Err("An API key is needed.".to_owned());
    }
    let url = url.trim_end_matches('/');
    let integration = desk.simulator.integrate(url, form.get("extension"), &username, &token, kind, auto_admin);
    desk.add(integration).tell(true, "The integration is set up. Press Validate to hand its push key over.", None);
    Ok(username)
}

/// A key for an account, which is made if there is none; one that is there is left as it is.
async fn key(host: &HostClient, username: &str, kind: IntegrationType, auto_admin: bool) -> Result<String, String> {
    let call = async |method: &str, path: &str, body: Vec<u8>| {
        host.send(method, path, body).await.map_err(|error| error.to_string())
    };
    let path = format!("/accounts/{}", segment(username));
    let (status, _) = call("GET", &path, Vec::new()).await?;
    let (status, made) = if status == 404 {
        let settings = json!({ "integration": kind, "autoAdmin": auto_admin, "clientCode": "SMC" });
        call("PUT", &path, settings.to_string().into_bytes()).await?
    } else {
        call("POST", &format!("{path}/keys"), Vec::new()).await?
    };
    let said = || made["detail"].as_str().unwrap_or("no reason was given").to_owned();
    made["apiKey"].as_str().map(str::to_owned).ok_or_else(|| format!("Our side gave no key, HTTP {status}: {}", said()))
}

/// What is done on our side, through the host's API.
async fn ours(host: &HostClient, action: &str, view: &View, form: &Form) -> Result<String, String> {
    let number = form.get("number");
    let (path, body, done) = match action {
        "push" => (order_path(view, "/push"), Map::new(), format!("{} goes next.", view.order)),
        "retry" => {
            (path(view, &format!("/push-queue/{}/retry", segment(number))), Map::new(), format!("{number} goes next."))
        }
        "retry-parked" => (path(view, "/push-queue/retry"), Map::new(), "All that was parked goes next.".to_owned()),
        _ => (
            path(view, &format!("/unmatched/{}/assign", segment(form.get("uuId")))),
            Map::from_iter([("workOrderNumber".to_owned(), Value::from(number))]),
            format!("The item belongs to {number} from now on."),
        ),
    };
    let body = if body.is_empty() { Vec::new() } else { Value::Object(body).to_string().into_bytes() };
    let (status, reply) = host.send("POST", &path, body).await.map_err(|error| error.to_string())?;
    match status {
        200..300 => Ok(done),
        _ => Err(reply["detail"].as_str().unwrap_or("our side refused it").to_owned()),
    }
}
