//! The Accounts table: one row per Pruvan user, with its settings, keys and push key. `accounts/work.rs` has how the
//! drain finds and claims accounts that have work.

pub mod work;

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

pub use crate::account::{Account, AccountSettings, DEFAULT_PUSH_LIMIT, Key, NextWakeUp, PushKeyState};
use crate::contention::Contention;
use crate::dependencies::Dependencies;
pub use crate::lease::Lease;
use crate::secrets::ApiKey;
use crate::settings::SettingError;
use crate::store::{Item, StoreError, failed, n, row, s, unreadable};
use crate::time::ms;
use crate::update::Update;

/// At most this many keys live at a time: one in use, one to rotate to.
pub const MAX_KEYS: usize = 2;

/// A key's use is noted at most this often, so that a busy account costs a write an hour and not one a photo.
const NOTE_USE_EVERY: Duration = Duration::from_secs(3600);

/// Access to the table Accounts.
#[derive(Debug, Clone)]
pub struct Accounts {
    client: Client,
    table: String,
    contention: Contention,
}

impl Accounts {
    /// Of the table that the setting `ACCOUNTS_TABLE` names.
    pub fn new(dependencies: &Dependencies) -> Result<Accounts, SettingError> {
        Ok(Accounts {
            client: dependencies.dynamodb()?,
            table: dependencies.settings.get("ACCOUNTS_TABLE")?.to_owned(),
            contention: Contention::new(&dependencies.random),
        })
    }

    /// The row of `username`, as it is now.
    pub async fn get(&self, username: &str) -> Result<Option<Account>, StoreError> {
        let reply = self.client.get_item().table_name(&self.table).key("username", s(username)).consistent_read(true);
        let reply = reply.send().await.map_err(failed("GetItem on Accounts"))?;
        reply.item.map(|item| row("Accounts", item)).transpose()
    }

    /// Opens the connection to DynamoDB, by asking for a row that there can't be: no username is a line end.
    pub async fn connect(&self) -> Result<(), StoreError> {
        self.get("\n").await.map(|_| ())
    }

    /// At most `limit` accounts after `after`, in no order, and where to go on.
    pub async fn page(&self, after: Option<&str>, limit: usize) -> Result<(Vec<Account>, Option<String>), StoreError> {
        let start = after.map(|username| Item::from([("username".to_owned(), s(username))]));
        let scan = self.client.scan().table_name(&self.table).limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let reply = scan.set_exclusive_start_key(start).send().await.map_err(failed("Scan of Accounts"))?;
        let next = reply.last_evaluated_key.as_ref().and_then(|key| key.get("username")?.as_s().ok().cloned());
        let accounts = reply.items.unwrap_or_default().into_iter().map(|item| row("Accounts", item));
        Ok((accounts.collect::<Result<_, _>>()?, next))
    }

    /// The same, but for what the accounts are.
    pub async fn usernames(&self, after: Option<&str>) -> Result<(Vec<String>, Option<String>), StoreError> {
        let start = after.map(|username| Item::from([("username".to_owned(), s(username))]));
        let scan = self.client.scan().table_name(&self.table).projection_expression("username");
        let reply = scan.set_exclusive_start_key(start).send().await.map_err(failed("Scan of Accounts"))?;
        let username = |item: &Item| item.get("username")?.as_s().ok().cloned();
        let next = reply.last_evaluated_key.as_ref().and_then(username);
        Ok((reply.items().iter().filter_map(username).collect(), next))
    }

    /// Makes the account; false if there is one already. The key is told to the host this once, so a row that has it
    /// is known to be the one that this call made.
    pub async fn create(
        &self,
        username: &str,
        settings: &AccountSettings,
        key_id: &str,
        key: &ApiKey,
        now: i64,
    ) -> Result<bool, StoreError> {
        let key = AttributeValue::M(to_item(&Key { sha256: key.hash().to_hex(), made_at: now, last_used_at: None })?);
        let keys = AttributeValue::M(Item::from([(key_id.to_owned(), key.clone())]));
        let update = self.update(username).set("madeAt", n(now)).set("keys", keys);
        let update = to_item(settings)?.into_iter().fold(update, |update, (name, value)| update.set(&name, value));
        let update = update.known_by(&format!("keys.{key_id}"), key);
        self.write(update.only_if("attribute_not_exists(username)", [])).await
    }

    /// Sets those of the settings that are `named`, as they stand in `settings`, and gives the account as it is then.
    /// Each is an attribute of its own, so that whoever sets others at the same time takes nothing back.
    pub async fn set_settings<'a>(
        &self,
        username: &str,
        settings: &AccountSettings,
        named: impl IntoIterator<Item = &'a str>,
    ) -> Result<Account, StoreError> {
        let mut item = to_item(settings)?;
        let update = named
            .into_iter()
            .fold(self.update(username), |update, name| update.set_or_remove(name, item.remove(name)))
            .only_if("attribute_exists(username)", []);
        let written = update.send_and_read(&self.client, &self.contention, "UpdateItem on Accounts").await?;
        row("Accounts", written.ok_or(StoreError::Contended("the account"))?)
    }

    /// Adds a key; false if the account has [`MAX_KEYS`] already.
    pub async fn add_key(&self, username: &str, id: &str, key: &ApiKey, now: i64) -> Result<bool, StoreError> {
        let key = to_item(&Key { sha256: key.hash().to_hex(), made_at: now, last_used_at: None })?;
        let update = self
            .update(username)
            .set(&format!("keys.{id}"), AttributeValue::M(key))
            .named("#keys", "keys")
            .only_if("attribute_exists(username) AND size(#keys) < :max", [(":max", n(MAX_KEYS))]);
        self.write(update).await
    }

    /// Deletes a key; false if there is none of this id, or it is the last and that is not to go.
    pub async fn delete_key(&self, username: &str, id: &str, also_the_last: bool) -> Result<bool, StoreError> {
        let update = if_key_exists(self.update(username).remove([format!("keys.{id}").as_str()]), id);
        self.write(match also_the_last {
            true => update,
            false => update.only_if("attribute_exists(#keys.#id) AND size(#keys) > :one", [(":one", n(1))]),
        })
        .await
    }

    /// Notes that a key was used, if that was not noted within the hour.
    pub async fn note_use(&self, username: &str, id: &str, key: &Key, now: i64) -> Result<(), StoreError> {
        if key.last_used_at.is_some_and(|last| now - last < ms(NOTE_USE_EVERY)) {
            return Ok(());
        }
        let update = self.update(username).set(&format!("keys.{id}.lastUsedAt"), n(now));
        self.write(if_key_exists(update, id)).await.map(|_| ())
    }

    /// Keeps a push key that a validate brought, and lets the drain look at the queue at once. A key that was there
    /// already keeps its date: only a new integration is told everything again. `refused` says why it isn't used.
    pub async fn set_push_key(
        &self,
        account: &Account,
        key: &SecretString,
        refused: Option<&str>,
        now: i64,
    ) -> Result<PushKeyState, StoreError> {
        let state = if refused.is_some() { PushKeyState::Refused } else { PushKeyState::Live };
        let same = account.push_key.as_ref().is_some_and(|known| known.expose_secret() == key.expose_secret());
        let since = if same { account.push_key_since } else { now };
        let mut update = self
            .waking(&account.username, now)
            .set("pushKey", s(key.expose_secret()))
            .set("pushKeyState", s(state.as_str()))
            .set("pushKeySince", n(since))
            .set_or_remove("lastFailure", refused.map(s))
            .remove(["backoffUntil", "failures", "probe"]);
        if !same {
            update = update.count_up("pushKeySerial");
        }
        self.write_to_existing(update).await.map(|()| state)
    }

    /// Notes a pull that began at `at`: it told Pruvan what was changed since then, or all at all, and if it was not
    /// `whole`, what it had no room for is queued as left out. One that leaves a gap to those before it is where
    /// counting begins anew.
    pub async fn note_pull(
        &self,
        account: &Account,
        since: Option<i64>,
        at: i64,
        whole: bool,
    ) -> Result<(), StoreError> {
        let from = |known: bool, from: i64| match since {
            None => 0,
            Some(_) if known => from,
            Some(since) => since,
        };
        let since_when = since.unwrap_or(0);
        let carried_from = from(account.carried().contains(&since_when), account.carried_from.min(since_when));
        let mut update = self
            .update(&account.username)
            .set("carriedFrom", n(carried_from))
            .set("carriedAt", n(at))
            .set("carriedFor", n(account.push_key_serial));
        if whole {
            update = update
                .set("pulledFrom", n(from(account.may_have_pulled(since_when), account.pulled_from)))
                .set("pulledAt", n(at))
                .set("pulledFor", n(account.push_key_serial));
        }
        self.write_to_existing(update).await
    }

    fn update(&self, username: &str) -> Update {
        Update::new(&self.table, Item::from([("username".to_owned(), s(username))]))
    }

    /// False if the update's condition doesn't hold. A drain's transactions look at the account, so an update may have
    /// to be tried again.
    async fn write(&self, update: Update) -> Result<bool, StoreError> {
        update.send(&self.client, &self.contention, "UpdateItem on Accounts").await
    }

    /// Writes to an account that is there.
    async fn write_to_existing(&self, update: Update) -> Result<(), StoreError> {
        let written = self.write(update.only_if("attribute_exists(username)", [])).await?;
        if written { Ok(()) } else { Err(StoreError::Contended("the account")) }
    }
}

/// The condition that there is a key of this id.
fn if_key_exists(update: Update, id: &str) -> Update {
    update.named("#keys", "keys").named("#id", id).only_if("attribute_exists(#keys.#id)", [])
}

fn to_item<T: Serialize>(value: &T) -> Result<Item, StoreError> {
    serde_dynamo::to_item(value).map_err(|error| unreadable("Accounts", &error))
}
