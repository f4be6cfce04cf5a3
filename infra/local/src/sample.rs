//! `cargo run -p local -- --sample`: accounts, orders and what crews made of them, put in through the very interfaces that the host and
//! Pruvan use. Some things go wrong on purpose: orders that Pruvan refuses, a push key that dies, photos of orders that nobody knows.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use bridge::time::Clock;
use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use pruvan::integration::IntegrationType::{self, External, Internal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::host_client::{HostClient, segment};
use crate::items::Item;
use crate::shift::{Step, Work, standing};
use crate::stand_in::{Integration, MP4_HEAD, StandIn, VideoReply};
use crate::system::StartError;
use crate::town::{Client, Lots, order};

/// How many items are under way at a time.
const AT_ONCE: usize = 8;

/// What the sample's numbers come from.
const SEED: u64 = 24;

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Work orders, of all accounts together.
    pub orders: usize,
    /// Photos, about.
    pub photos: usize,
}

impl Default for Size {
    fn default() -> Size {
        Size { orders: 200, photos: 2000 }
    }
}

/// What must be kept beside the data, so that another run adds nothing: keys are shown once, and dates are reckoned from the first run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// When the sample was made, in milliseconds.
    pub began: i64,
    /// API keys by account.
    pub tokens: BTreeMap<String, String>,
    /// Whether all of it was published.
    pub complete: bool,
}

/// How far it is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What is done now, for people.
    pub what: &'static str,
    /// So many of it are done.
    pub done: usize,
    /// So many there are.
    pub of: usize,
}

/// An account of the sample, and its integration in Pruvan.
pub struct Account {
    /// The user name at the host.
    pub username: &'static str,
    /// For people.
    pub title: &'static str,
    /// Its API key.
    pub token: String,
    /// Its integration on the stand-in, validated.
    pub integration: Integration,
}

/// How much was made by this run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Orders that were new.
    pub orders: usize,
    /// Items published, of all kinds.
    pub items: usize,
    /// Photos among them.
    pub photos: usize,
    /// Surveys.
    pub surveys: usize,
    /// Photos of orders that the host doesn't know.
    pub unmatched: usize,
    /// Status reports.
    pub reports: usize,
}

/// What there is now.
pub struct Filled {
    /// The accounts.
    pub accounts: Vec<Account>,
    /// What this run made.
    pub counts: Counts,
    /// To be kept for the next run.
    pub known: Known,
}

struct Plan {
    username: &'static str,
    title: &'static str,
    kind: IntegrationType,
    auto_admin: bool,
    client_code: &'static str,
    client: Client,
    /// Of a hundred orders, so many are its.
    share: usize,
    /// Of a hundred of its orders, so many have been worked on.
    worked: usize,
}

const CREWS: &[&str] = &["crew1", "crew2", "crew3", "crew4", "inspector1", "~all~"];

const fn client(prefix: &'static str, first: usize, directs: bool) -> Client {
    Client { prefix, first, directs, crews: CREWS }
}

const PLANS: [Plan; 4] = [
    Plan {
        username: "hillside-field",
        title: "Hillside Field Services: crews of its own (internal)",
        kind: Internal,
        auto_admin: true,
        client_code: "HFS",
        client: client("RR-", 24_001, true),
        share: 44,
        worked: 62,
    },
    Plan {
        username: "sunrise-preservation",
        title: "Sunrise Preservation: a vendor (external)",
        kind: External,
        auto_admin: false,
        client_code: "SUN",
        client: client("PP-55", 101, false),
        share: 35,
        worked: 58,
    },
    Plan {
        username: "patchwork-vendor",
        title: "Patchwork Repairs: a vendor, some of whose orders Pruvan refuses",
        kind: External,
        auto_admin: true,
        client_code: "PAT",
        client: client("TX/33-", 801, false),
        share: 17,
        worked: 38,
    },
    Plan {
        username: "lapsed-vendor",
        title: "Lapsed Lawns: a vendor whose push key is dead",
        kind: External,
        auto_admin: false,
        client_code: "LAP",
        client: client("LL-", 601, false),
        share: 4,
        worked: 0,
    },
];

/// Why Pruvan refuses the first orders of the account with refused orders.
const REFUSALS: [&str; 4] = [
    "address could not be located",
    "survey template PropertyInspection was not found",
    "project exists and is closed",
    "options are not valid JSON",
];

const REFUSING: &str = "patchwork-vendor";
const LAPSED: &str = "lapsed-vendor";

/// Makes the sample, or what is missing of it; with what an earlier run left known, and complete, only the integrations are made anew.
pub async fn fill(
    gateway_url: &str,
    pruvan: &StandIn,
    clock: &Clock,
    size: Size,
    known: Option<Known>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Filled, StartError> {
    let host = HostClient::new(gateway_url)?;
    let mut known = known.unwrap_or_default();
    if known.began == 0 {
        known.began = clock.now_ms();
    }
    let began = Timestamp::from_millisecond(known.began).map_err(|error| StartError(error.to_string()))?;
    let mut counts = Counts::default();
    let (mut accounts, mut works, mut reports) = (Vec::new(), Vec::new(), Vec::new());
    let shares = shares(size.orders);
    let photos = photos(size, &shares);
    for (at, (plan, orders)) in PLANS.iter().zip(shares).enumerate() {
        progress(Progress { what: "accounts and their orders", done: at, of: PLANS.len() });
        let token = token(&host, plan, &mut known).await?;
        counts.orders += put_orders(&host, plan, orders, began).await?;
        let integration = integrate(gateway_url, pruvan, plan, &token).await?;
        for n in 0..orders {
            let number = plan.client.number(n);
            let Some(project) = integration.project(&number) else { continue };
            let seed = SEED ^ (at as u64) << 16 ^ (n as u64) << 4;
            let photos = photos.get(&(at, n)).copied().unwrap_or(0);
            if let Some(stands) = standing(seed, photos > 0, plan.client.directs) {
                reports.push((accounts.len(), number.clone(), stands));
            }
            if photos > 0 {
                works.push((accounts.len(), work(plan, project, number, photos, seed, began, pruvan)));
            }
        }
        accounts.push(Account { username: plan.username, title: plan.title, token, integration });
    }
    if known.complete {
        // Pruvan reported all this in the first run, and stands as it did.
        for (account, number, (status, field_status)) in reports {
            accounts[account].integration.rules(|held| {
                if let Some(project) = held.by_number.get_mut(&number) {
                    project.insert("status".to_owned(), Value::from(status));
                    project.insert("fieldStatus".to_owned(), Value::from(field_status));
                }
            });
        }
    } else {
        publish(&accounts, &works, &mut counts, progress).await?;
        stray(&accounts, &works, &mut counts).await?;
        report(&accounts, reports, &mut counts, progress).await?;
        known.complete = true;
    }
    accounts
        .iter()
        .filter(|account| account.username == LAPSED)
        .for_each(|account| account.integration.kill_push_key());
    Ok(Filled { accounts, counts, known })
}

/// How many orders each account has.
fn shares(orders: usize) -> [usize; PLANS.len()] {
    let mut left = orders;
    let mut shares = PLANS.each_ref().map(|plan| (orders * plan.share / 100).max(1));
    for share in shares.iter_mut().skip(1) {
        left = left.saturating_sub(*share);
    }
    shares[0] = left;
    shares
}

/// By account and order, how many photos there are: one order with very many, the others with about as many as one another.
fn photos(size: Size, shares: &[usize; PLANS.len()]) -> BTreeMap<(usize, usize), usize> {
    let mut lots = Lots::new(SEED);
    let worked = PLANS.iter().zip(shares).enumerate().flat_map(|(at, (plan, orders))| {
        // Not those that come first: they are refused.
        let skipped = if plan.username == REFUSING { REFUSALS.len() } else { 0 };
        (skipped..*orders).filter(move |n| (n - skipped) % 10 * 10 < plan.worked).map(move |n| (at, n))
    });
    let worked: Vec<(usize, usize)> = worked.collect();
    let many = size.photos * 6 / 100;
    let each = size.photos.saturating_sub(many) / worked.len().saturating_sub(1).max(1);
    let some = |lots: &mut Lots| (each / 2 + lots.below(each + 1)).max(3);
    worked.iter().enumerate().map(|(at, key)| (*key, if at == 0 { many.max(3) } else { some(&mut lots) })).collect()
}

/// The account's key. One that is lost is replaced.
async fn token(host: &HostClient, plan: &Plan, known: &mut Known) -> Result<String, StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError(format!("account {}: {error}", plan.username));
    let path = format!("/accounts/{}", plan.username);
    let settings = json!({ "integration": plan.kind, "autoAdmin": plan.auto_admin, "clientCode": plan.client_code });
    let call = async |method: &str, path: &str, body: Vec<u8>| {
        host.send(method, path, body).await.map_err(|error| failed(&error))
    };
    let (status, made) = call("PUT", &path, settings.to_string().into_bytes()).await?;
    if let Some(key) = made["apiKey"].as_str() {
        known.tokens.insert(plan.username.to_owned(), key.to_owned());
    } else if status != 200 {
        return Err(failed(&made));
    }
    if let Some(key) = known.tokens.get(plan.username) {
        return Ok(key.clone());
    }
    let keys = format!("{path}/keys");
    let (mut status, mut added) = call("POST", &keys, Vec::new()).await?;
    if status == 409 {
        // Both are lost: one of them goes.
        let id = made["keys"][0]["id"].as_str().unwrap_or_default().to_owned();
        call("DELETE", &format!("{keys}/{}", segment(&id)), Vec::new()).await?;
        (status, added) = call("POST", &keys, Vec::new()).await?;
    }
    let key = added["apiKey"].as_str().filter(|_| status == 201).ok_or_else(|| failed(&added))?;
    known.tokens.insert(plan.username.to_owned(), key.to_owned());
    Ok(key.to_owned())
}

/// Puts the orders in. Gives how many were new.
async fn put_orders(host: &HostClient, plan: &Plan, orders: usize, began: Timestamp) -> Result<usize, StartError> {
    let orders: Vec<Value> = (0..orders).map(|n| Value::Object(order(&plan.client, n, SEED, began))).collect();
    let path = format!("/accounts/{}/orders", plan.username);
    let reply = host.post(&path, json!(orders).to_string().into_bytes()).await;
    let reply = reply.map_err(|error| StartError(error.to_string()))?;
    let refused = reply["results"].as_array().into_iter().flatten();
    let mut refused = refused.filter(|result| matches!(result["result"].as_str(), Some("refused" | "notAttempted")));
    match refused.next() {
        Some(result) => Err(StartError(format!("POST {path}: {result}"))),
        None => Ok(usize::try_from(reply["created"].as_u64().unwrap_or(0)).unwrap_or(0)),
    }
}

/// Sets the integration up in Pruvan, validates it and pulls all orders.
async fn integrate(gateway_url: &str, pruvan: &StandIn, plan: &Plan, token: &str) -> Result<Integration, StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError(format!("integration of {}: {error}", plan.username));
    let mut integration = pruvan.integrate(gateway_url, "html", plan.username, token, plan.kind, plan.auto_admin);
    integration.client_code = plan.client_code.to_owned();
    let refusals = REFUSALS.iter().enumerate().filter(|_| plan.username == REFUSING);
    let refusals: BTreeMap<String, (u16, String)> = refusals
        .map(|(n, error)| {
            let number = plan.client.number(n);
            let named = json!({ "workOrderNumber": number, "error": error });
            let reply = json!({ "response": { "created": 0, "updated": 0, "deleted": 0 }, "error": [named] });
            (number, (200, reply.to_string()))
        })
        .collect();
    integration.rules(|held| held.breaks_on = refusals.clone());
    let validated = integration.validate().await.map_err(|error| failed(&error))?;
    if validated.reply()["validated"] != true {
        return Err(failed(&validated.body));
    }
    let imported = integration.import(None).await.map_err(|error| failed(&error))?;
    if imported.reply()["workOrders"].as_array().is_none() {
        return Err(failed(&imported.body));
    }
    // What Pruvan refuses when it is pushed, it doesn't take when it is pulled.
    integration.rules(|held| held.by_number.retain(|number, _| !refusals.contains_key(number)));
    Ok(integration)
}

/// What a crew did of this order, some time in the last days.
fn work(
    plan: &Plan,
    project: serde_json::Map<String, Value>,
    number: String,
    photos: usize,
    seed: u64,
    now: Timestamp,
    pruvan: &StandIn,
) -> Work {
    let mut lots = Lots::new(seed ^ 0x3a5e);
    let ago = SignedDuration::from_mins(150 + i64::try_from(lots.below(5 * 24 * 60)).unwrap_or(0));
    let assigned = project.get("assignedTo").and_then(Value::as_str).filter(|crew| *crew != "~all~");
    let crew = assigned.map_or_else(|| lots.of(&CREWS[..4]).to_owned(), str::to_owned);
    let video = lots.chance(4).then(|| {
        let film = [MP4_HEAD, &[0; 200_000]].concat();
        pruvan.video(&format!("{}.mp4", segment(&number).replace('%', "-")), [VideoReply::Bytes(film)])
    });
    let began = now.saturating_sub(ago).unwrap_or(now);
    let (client_code, username) = (plan.client_code.to_owned(), plan.username.to_owned());
    Work { project, number, client_code, username, crew, began, seed, photos, video }
}

/// Publishes all items, several at a time.
async fn publish(
    accounts: &[Account],
    works: &[(usize, Work)],
    counts: &mut Counts,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(), StartError> {
    let all: Vec<(usize, Work, Step)> = works
        .iter()
        .flat_map(|(account, work)| work.steps().into_iter().map(move |step| (*account, work.clone(), step)))
        .collect();
    counts.items += all.len();
    counts.photos += all.iter().filter(|(.., step)| matches!(step, Step::Photo(_))).count();
    counts.surveys += all.iter().filter(|(.., step)| matches!(step, Step::Survey(_))).count();
    let (of, done) = (all.len(), AtomicUsize::new(0));
    let published = all.into_iter().map(|(account, work, step)| {
        let (integration, done) = (&accounts[account].integration, &done);
        async move {
            let item = tokio::task::spawn_blocking(move || work.item(&step)).await;
            send(integration, item.map_err(|error| StartError(error.to_string()))?).await?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress(Progress { what: "photos, surveys and the like", done, of });
            Ok(())
        }
    });
    futures_util::stream::iter(published).buffer_unordered(AT_ONCE).try_collect().await
}

async fn send(integration: &Integration, item: Item) -> Result<(), StartError> {
    let Item { fields, file_name, file } = item;
    let exchange = integration.publish(Value::Object(fields), Some((&file_name, &file))).await;
    let exchange = exchange.map_err(|error| StartError(error.to_string()))?;
    match exchange.reply()["status"] == true {
        true => Ok(()),
        false => Err(StartError(format!("uploadPictures answered {}: {}", exchange.status, exchange.body))),
    }
}

/// Photos of orders that the host doesn't know, and one that isn't what it says.
async fn stray(accounts: &[Account], works: &[(usize, Work)], counts: &mut Counts) -> Result<(), StartError> {
    let account = accounts.iter().position(|account| account.username == REFUSING);
    let of = works.iter().find(|(at, _)| Some(*at) == account).or(works.last());
    let Some((at, work)) = of else { return Ok(()) };
    let integration = &accounts[*at].integration;
    for (n, number) in ["TX/33-0801", "TX/33-810b", "33-815", "HOUSE KEYS", "TX/34-812"].into_iter().enumerate() {
        let lost = Work { number: number.to_owned(), seed: SEED ^ 0xf00 ^ n as u64, ..work.clone() };
        send(integration, lost.item(&Step::Photo(n % work.photos))).await?;
        counts.unmatched += 1;
    }
    let odd = Work { seed: SEED ^ 0xfff, ..work.clone() };
    let mut odd = odd.item(&Step::Photo(0));
    odd.file = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n".to_vec();
    send(integration, odd).await?;
    counts.items += counts.unmatched + 1;
    Ok(())
}

/// Pruvan reports how the orders stand.
async fn report(
    accounts: &[Account],
    reports: Vec<(usize, String, (&'static str, &'static str))>,
    counts: &mut Counts,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(), StartError> {
    let (of, done) = (reports.len(), AtomicUsize::new(0));
    counts.reports += of;
    let told = reports.iter().map(|(account, number, (status, field_status))| {
        let (integration, done) = (&accounts[*account].integration, &done);
        async move {
            let exchange = integration.change_status(number, status, field_status).await;
            let exchange = exchange.map_err(|error| StartError(error.to_string()))?;
            if exchange.reply()["status"] != true {
                return Err(StartError(format!("status answered {}: {}", exchange.status, exchange.body)));
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress(Progress { what: "status reports", done, of });
            Ok(())
        }
    });
    futures_util::stream::iter(told).buffer_unordered(AT_ONCE).try_collect().await
}
