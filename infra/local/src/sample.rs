//! `cargo run -p local -- --sample`: accounts, orders and what crews made of them, put in through the very interfaces
//! that the host and Pruvan use. Some things go wrong on purpose: orders that Pruvan refuses, a push key that dies,
//! photos of orders that nobody knows.

mod shift;
mod town;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bridge::time::Clock;
use futures_util::{StreamExt as _, TryStreamExt as _};
use host_client::{HostClient, segment};
use jiff::{SignedDuration, Timestamp};
use pruvan::integration::IntegrationType::{self, External, Internal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use simulator::desk::{Account, Desk};
use simulator::items::Item;

use crate::start_error::StartError;
use shift::{Step, Work, standing};
use town::{Client, Lots, order};

/// How many items are under way at a time.
const AT_ONCE: usize = 8;

/// What the sample's numbers come from.
const SEED: u64 = 24;

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Work orders, of all accounts together.
    pub orders: usize,
    /// How many photos to make of all these orders together; the sample comes close to it.
    pub photos: usize,
}

impl Default for Size {
    fn default() -> Size {
        Size { orders: 200, photos: 2000 }
    }
}

/// What is kept beside the data, so that another run adds nothing.
#[derive(Default, Serialize, Deserialize)]
struct Known {
    /// When the sample was made, in milliseconds: dates are reckoned from then.
    began: i64,
    /// Whether all of it was published.
    complete: bool,
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

/// How much was made by this run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Orders that were new.
    pub orders: usize,
    /// Items published, of all kinds.
    pub items: usize,
    /// Photos among the items, without those of orders that the host doesn't know.
    pub photos: usize,
    /// Answered surveys among the items.
    pub surveys: usize,
    /// Photos of orders that the host doesn't know.
    pub unmatched: usize,
    /// Reports of how an order stands, which Pruvan sent to the host.
    pub reports: usize,
}

struct Plan {
    username: &'static str,
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
        // Hillside Field Services: crews of its own (internal).
        kind: Internal,
        auto_admin: true,
        client_code: "HFS",
        client: client("RR-", 24_001, true),
        share: 44,
        worked: 62,
    },
    Plan {
        username: "sunrise-preservation",
        // Sunrise Preservation: a vendor (external).
        kind: External,
        auto_admin: false,
        client_code: "SUN",
        client: client("PP-55", 101, false),
        share: 35,
        worked: 58,
    },
    Plan {
        username: "patchwork-vendor",
        // Patchwork Repairs: a vendor, some of whose orders Pruvan refuses.
        kind: External,
        auto_admin: true,
        client_code: "PAT",
        client: client("TX/33-", 801, false),
        share: 17,
        worked: 38,
    },
    Plan {
        username: "lapsed-vendor",
        // Lapsed Lawns: a vendor whose push key is dead.
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

/// Makes the sample, or what is missing of it.
pub async fn fill(
    gateway_url: &str,
    desk: &Desk,
    clock: &Clock,
    size: Size,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Counts, StartError> {
    let host = HostClient::new(gateway_url)?;
    let file = desk.folder().join("sample.json");
    let known = std::fs::read(&file).ok().and_then(|json| serde_json::from_slice(&json).ok());
    let mut known: Known = known.unwrap_or_default();
    let mut counts = Counts::default();
    if known.complete && PLANS.iter().all(|plan| desk.account(plan.username).is_some()) {
        return Ok(counts);
    }
    let keep = |known: &Known| {
        let written =
            serde_json::to_vec(known).map_err(std::io::Error::from).and_then(|json| std::fs::write(&file, json));
        written.map_err(|error| StartError(format!("{} can't be written: {error}", file.display())))
    };
    if known.began == 0 {
        known.began = clock.now_ms();
        keep(&known)?;
    }
    let began = Timestamp::from_millisecond(known.began).map_err(|error| StartError(error.to_string()))?;
    let (mut accounts, mut works, mut reports) = (Vec::new(), Vec::new(), Vec::new());
    let shares = shares(size.orders);
    let photos = photos(size, &shares);
    for (at, (plan, orders)) in PLANS.iter().zip(shares).enumerate() {
        progress(Progress { what: "accounts and their orders", done: at, of: PLANS.len() });
        let token = token(&host, plan, desk).await?;
        counts.orders += put_orders(&host, plan, orders, began).await?;
        let account = integrate(gateway_url, desk, plan, &token).await?;
        for n in 0..orders {
            let number = plan.client.number(n);
            let Some(project) = account.integration.project(&number) else { continue };
            let seed = SEED ^ (at as u64) << 16 ^ (n as u64) << 4;
            let photos = photos.get(&(at, n)).copied().unwrap_or(0);
            if let Some(stands) = standing(seed, photos > 0, plan.client.directs) {
                reports.push((accounts.len(), number.clone(), stands));
            }
            if photos > 0 {
                works.push((accounts.len(), work(plan, project, number, photos, seed, began)));
            }
        }
        accounts.push(account);
    }
    publish(&accounts, &works, &mut counts, progress).await?;
    stray(&accounts, &works, &mut counts).await?;
    report(&accounts, reports, &mut counts, progress).await?;
    if let Some(lapsed) = desk.account(LAPSED) {
        lapsed.integration.kill_push_key();
    }
    desk.save()?;
    known.complete = true;
    keep(&known)?;
    Ok(counts)
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

/// By account and order, how many photos there are: one order with very many, the others with about as many as one
/// another.
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
async fn token(host: &HostClient, plan: &Plan, desk: &Desk) -> Result<String, StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError(format!("account {}: {error}", plan.username));
    let path = format!("/accounts/{}", plan.username);
    let settings = json!({ "integration": plan.kind, "autoAdmin": plan.auto_admin, "clientCode": plan.client_code });
    let call = async |method: &str, path: &str, body: Vec<u8>| {
        host.send(method, path, body).await.map_err(|error| failed(&error))
    };
    let (status, made) = call("PUT", &path, settings.to_string().into_bytes()).await?;
    if let Some(key) = made["apiKey"].as_str() {
        return Ok(key.to_owned());
    }
    if status != 200 {
        return Err(failed(&made));
    }
    if let Some(account) = desk.account(plan.username) {
        return Ok(account.integration.token.clone());
    }
    let keys = format!("{path}/keys");
    let (mut status, mut added) = call("POST", &keys, Vec::new()).await?;
    if status == 409 {
        // Both are lost: one of them goes.
        let id = made["keys"][0]["keyId"].as_str().unwrap_or_default().to_owned();
        call("DELETE", &format!("{keys}/{}", segment(&id)), Vec::new()).await?;
        (status, added) = call("POST", &keys, Vec::new()).await?;
    }
    let key = added["apiKey"].as_str().filter(|_| status == 201).ok_or_else(|| failed(&added))?;
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
async fn integrate(gateway_url: &str, desk: &Desk, plan: &Plan, token: &str) -> Result<Arc<Account>, StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError(format!("integration of {}: {error}", plan.username));
    let account = match desk.account(plan.username) {
        Some(account) if account.integration.token == token => account,
        _ => {
            let simulator = &desk.simulator;
            let made = simulator.integrate(gateway_url, "html", plan.username, token, plan.kind, plan.auto_admin);
            desk.add(made.with_client_code(plan.client_code))
        }
    };
    let integration = &account.integration;
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
    Ok(account)
}

/// What a crew did of this order, some time in the last days.
fn work(
    plan: &Plan,
    project: serde_json::Map<String, Value>,
    number: String,
    photos: usize,
    seed: u64,
    now: Timestamp,
) -> Work {
    let mut lots = Lots::new(seed ^ 0x3a5e);
    let ago = SignedDuration::from_mins(150 + i64::try_from(lots.below(5 * 24 * 60)).unwrap_or(0));
    let assigned = project.get("assignedTo").and_then(Value::as_str).filter(|crew| *crew != "~all~");
    let crew = assigned.map_or_else(|| lots.of(&CREWS[..4]).to_owned(), str::to_owned);
    // Its link is made when it is published.
    let video = lots.chance(4).then(String::new);
    let began = now.saturating_sub(ago).unwrap_or(now);
    let (client_code, username) = (plan.client_code.to_owned(), plan.username.to_owned());
    Work { project, number, client_code, username, crew, began, seed, photos, video }
}

/// Publishes all items, several at a time.
async fn publish(
    accounts: &[Arc<Account>],
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
        let (account, done) = (&accounts[account], &done);
        async move {
            let item = tokio::task::spawn_blocking(move || work.item(&step)).await;
            send(account, item.map_err(|error| StartError(error.to_string()))?).await?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress(Progress { what: "photos, surveys and the like", done, of });
            Ok(())
        }
    });
    futures_util::stream::iter(published).buffer_unordered(AT_ONCE).try_collect().await
}

async fn send(account: &Account, item: Item) -> Result<(), StartError> {
    let failed = |error: String| StartError(format!("uploadPictures of {}: {error}", account.integration.username));
    let uu_id = account.take(item).map_err(failed)?;
    account.relay(&uu_id).await.map_err(failed).map(drop)
}

/// Photos of orders that the host doesn't know, and one that isn't what it says.
async fn stray(accounts: &[Arc<Account>], works: &[(usize, Work)], counts: &mut Counts) -> Result<(), StartError> {
    let account = accounts.iter().position(|account| account.integration.username == REFUSING);
    let of = works.iter().find(|(at, _)| Some(*at) == account).or(works.last());
    let Some((at, work)) = of else { return Ok(()) };
    let account = &accounts[*at];
    for (n, number) in ["TX/33-0801", "TX/33-810b", "33-815", "HOUSE KEYS", "TX/34-812"].into_iter().enumerate() {
        let lost = Work { number: number.to_owned(), seed: SEED ^ 0xf00 ^ n as u64, ..work.clone() };
        send(account, lost.item(&Step::Photo(n % work.photos))).await?;
        counts.unmatched += 1;
    }
    let odd = Work { seed: SEED ^ 0xfff, ..work.clone() };
    let mut odd = odd.item(&Step::Photo(0));
    odd.file = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n".to_vec();
    send(account, odd).await?;
    counts.items += counts.unmatched + 1;
    Ok(())
}

/// Pruvan reports how the orders stand.
async fn report(
    accounts: &[Arc<Account>],
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
