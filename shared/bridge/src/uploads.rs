//! The Uploads table: one row per published item, a row per earlier version of it, and the queue of videos to fetch.
//!
//! An item's current row is in the index of its order (and of the unmatched, if no such order is known); rows of
//! earlier versions are in no index and are found by the item's `uuId`. Every write is conditional on the `revision`
//! that was read, so that two copies at the same moment leave one current version and lose none.

mod item;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{Put, Select, TransactWriteItem};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::contention::Contention;
use crate::dependencies::Dependencies;
use crate::settings::SettingError;
use crate::store::{Item, StoreError, batch_get, failed, n, row, s, unreadable};
use crate::transaction::{Action, Transactions};
use crate::update::Update;
pub use item::{CHANGING_FIELDS, TO_FETCH, UploadRow, Video, VideoState, fingerprint, item_id, order_key, received};
use item::{version_key, version_of_key, versions_prefix};

/// What a write met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The row is written.
    Done,
    /// Others wrote the row since it was read: read it again.
    Overtaken,
}

/// An item's file, and which order it belongs to.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredFile {
    /// The item's `uuId`.
    pub uu_id: String,
    /// The order that it was published for.
    work_order_number: String,
    /// The order that the host assigned it to, in place of that.
    assigned: Option<String>,
    /// A name for people.
    pub file_name: Option<String>,
    /// Where in S3 the file is.
    pub path: Option<String>,
}

impl StoredFile {
    /// What of a row is read.
    const ATTRIBUTES: [&str; 5] = ["uuId", "workOrderNumber", "assigned", "fileName", "path"];

    /// The order that it belongs to.
    pub fn number(&self) -> &str {
        self.assigned.as_deref().unwrap_or(&self.work_order_number)
    }
}

/// A photo's id and file name.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedPhoto {
    /// The item's `uuId`.
    pub uu_id: String,
    /// A name for people; surveys may name photos by it.
    pub file_name: String,
}

/// Access to the table Uploads.
#[derive(Debug, Clone)]
pub struct Uploads {
    client: Client,
    table: String,
    contention: Contention,
}

impl Uploads {
    /// Of the table that the setting `UPLOADS_TABLE` names.
    pub fn new(dependencies: &Dependencies) -> Result<Uploads, SettingError> {
        Ok(Uploads {
            client: dependencies.dynamodb()?,
            table: dependencies.settings.get("UPLOADS_TABLE")?.to_owned(),
            contention: Contention::new(&dependencies.random),
        })
    }

    /// The current row of an item.
    pub async fn get(&self, username: &str, uu_id: &str) -> Result<Option<UploadRow>, StoreError> {
        let get = self.client.get_item().table_name(&self.table).set_key(Some(key(username, uu_id)));
        let reply = get.consistent_read(true).send().await.map_err(failed("GetItem on Uploads"))?;
        reply.item.map(|item| row("Uploads", item)).transpose()
    }

    /// The files of those of these items that came, whatever order they belong to.
    pub async fn stored_files(&self, username: &str, uu_ids: &[String]) -> Result<Vec<StoredFile>, StoreError> {
        let keys = uu_ids.iter().map(|uu_id| key(username, uu_id)).collect();
        let items = batch_get(&self.client, &self.table, keys, &StoredFile::ATTRIBUTES).await?;
        items.into_iter().map(|item| row("Uploads", item)).collect()
    }

    /// Versions of an item that are not the current one, at most `limit` before the version `before`, those first that
    /// arrived last; and before which one to go on.
    pub async fn versions(
        &self,
        username: &str,
        uu_id: &str,
        before: Option<u32>,
        limit: usize,
    ) -> Result<(Vec<UploadRow>, Option<u32>), StoreError> {
        let start = before.map(|version| key(username, &version_key(uu_id, version)));
        let query = self.query_versions(username, uu_id).scan_index_forward(false).set_exclusive_start_key(start);
        let query = query.limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let reply = query.send().await.map_err(failed("Query of Uploads"))?;
        let last = reply.last_evaluated_key.as_ref().and_then(|key| key.get("uuId")?.as_s().ok());
        let next = last.and_then(|key| version_of_key(key));
        let rows = reply.items.unwrap_or_default().into_iter().map(|item| row("Uploads", item));
        Ok((rows.collect::<Result<_, _>>()?, next))
    }

    /// Whether one of these versions has the fingerprint. However many there are, none is read into memory.
    pub async fn has_version(&self, username: &str, uu_id: &str, fingerprint: &str) -> Result<bool, StoreError> {
        let query = self.query_versions(username, uu_id).select(Select::Count);
        let query = query
            .filter_expression("fingerprint = :fingerprint")
            .expression_attribute_values(":fingerprint", s(fingerprint));
        let mut pages = query.into_paginator().send();
        while let Some(page) = pages.next().await {
            if page.map_err(failed("Query of Uploads"))?.count > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn query_versions(&self, username: &str, uu_id: &str) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&self.table).consistent_read(true);
        query
            .key_condition_expression("username = :username AND begins_with(#uuId, :versions)")
            .expression_attribute_names("#uuId", "uuId")
            .expression_attribute_values(":username", s(username))
            .expression_attribute_values(":versions", s(versions_prefix(uu_id)))
    }

    /// Writes an item's first row.
    pub async fn create(&self, row: &UploadRow) -> Result<Written, StoreError> {
        let mut item: Item = serde_dynamo::to_item(row).map_err(|error| unreadable("Uploads", &error))?;
        item.retain(|name, _| !KEY.contains(&name.as_str()));
        let update = item.into_iter().fold(self.update(row), |update, (name, value)| update.set(&name, value));
        self.write(update.only_if("attribute_not_exists(revision)", [])).await
    }

    /// Writes `next` over `known`, which stays as an earlier version, in one transaction.
    pub async fn replace(&self, known: &UploadRow, next: &UploadRow) -> Result<Written, StoreError> {
        let current = self.put(next)?.condition_expression(UNCHANGED);
        let current = current.expression_attribute_values(":read", n(known.revision));
        self.transact(vec![
            TransactWriteItem::builder().put(built(current.build())?).build(),
            TransactWriteItem::builder().put(built(self.put(&known.as_earlier_version())?.build())?).build(),
        ])
        .await
    }

    /// Keeps `late`, which is older than the current version `known`, as an earlier one, in one transaction.
    ///
    /// If only it has a video, the current version takes that over: a video is of the item, and no earlier version is
    /// fetched.
    pub async fn keep_earlier(&self, known: &UploadRow, late: &UploadRow) -> Result<Written, StoreError> {
        let mut update = self
            .update(known)
            .set("versions", n(late.versions))
            .set("revision", n(known.revision + 1))
            .only_if(UNCHANGED, [(":read", n(known.revision))]);
        if let (None, Some(video), Some(due)) = (&known.video, &late.video, late.video_due) {
            let video = serde_dynamo::to_attribute_value(video).map_err(|error| unreadable("Uploads", &error))?;
            update = update.set("video", video).set("videoQueue", s(TO_FETCH)).set("videoDue", n(due));
        }
        let late = self.put(&late.as_earlier_version())?.build();
        self.transact(vec![update.action()?, TransactWriteItem::builder().put(built(late)?).build()]).await
    }

    /// Writes the parts of `next` that change without a new version: when it was sent, the order that it is assigned
    /// to, its video. `next.revision` is still the one that was read.
    pub async fn amend(&self, next: &UploadRow) -> Result<Written, StoreError> {
        let mut item: Item = serde_dynamo::to_item(next).map_err(|error| unreadable("Uploads", &error))?;
        let mut update = self.update(next).set("revision", n(next.revision + 1));
        for name in AMENDED {
            update = update.set_or_remove(name, item.remove(name));
        }
        self.write(update.only_if(UNCHANGED, [(":read", n(next.revision))])).await
    }

    /// A page of the items of an order, newest first, and where to go on.
    pub async fn of_order(
        &self,
        username: &str,
        number: &str,
        before: Option<&str>,
        limit: i32,
    ) -> Result<(Vec<UploadRow>, Option<String>), StoreError> {
        let query = self.newest("by-order", "order", &order_key(username, number), before).limit(limit);
        page(query).await
    }

    /// The same, of those that hold survey answers: a page may have none, and yet there is where to go on.
    pub async fn surveys_of_order(
        &self,
        username: &str,
        number: &str,
        before: Option<&str>,
    ) -> Result<(Vec<UploadRow>, Option<String>), StoreError> {
        let query = self.newest("by-order", "order", &order_key(username, number), before);
        page(query.filter_expression("attribute_exists(survey) OR attribute_exists(surveyPath)")).await
    }

    /// The same, of those that are photos with a file name, without the rest of them.
    pub async fn photos_of_order(
        &self,
        username: &str,
        number: &str,
        before: Option<&str>,
    ) -> Result<(Vec<NamedPhoto>, Option<String>), StoreError> {
        let query = self.newest("by-order", "order", &order_key(username, number), before);
        let query = query
            .filter_expression("fileType = :picture AND attribute_exists(fileName)")
            .expression_attribute_values(":picture", s("picture"));
        page(query.projection_expression("#uuId, fileName").expression_attribute_names("#uuId", "uuId")).await
    }

    /// A page of the items that belonged to no known order when they came, newest first, and where to go on.
    pub async fn unmatched(
        &self,
        username: &str,
        before: Option<&str>,
        limit: i32,
    ) -> Result<(Vec<UploadRow>, Option<String>), StoreError> {
        page(self.newest("unmatched", "unmatched", username, before).limit(limit)).await
    }

    fn newest(&self, index: &str, attribute: &str, partition: &str, before: Option<&str>) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&self.table).index_name(index).scan_index_forward(false);
        let query = query
            .expression_attribute_names("#partition", attribute)
            .expression_attribute_values(":partition", s(partition));
        match before {
            Some(before) => query
                .key_condition_expression("#partition = :partition AND received < :before")
                .expression_attribute_values(":before", s(before)),
            None => query.key_condition_expression("#partition = :partition"),
        }
    }

    /// Videos to be fetched by `now`, longest due first: whose, which item, and when it was due.
    pub async fn videos_due(&self, now: i64, limit: i32) -> Result<Vec<(String, String, i64)>, StoreError> {
        let query = self.client.query().table_name(&self.table).index_name("videos").limit(limit);
        let reply = query
            .key_condition_expression("videoQueue = :queue AND videoDue <= :now")
            .expression_attribute_values(":queue", s(TO_FETCH))
            .expression_attribute_values(":now", n(now))
            .send()
            .await
            .map_err(failed("Query of Uploads"))?;
        let due = reply.items.unwrap_or_default().into_iter().filter_map(|item| {
            let text = |name: &str| item.get(name)?.as_s().ok().cloned();
            Some((text("username")?, text("uuId")?, item.get("videoDue")?.as_n().ok()?.parse().ok()?))
        });
        Ok(due.collect())
    }

    /// How many videos are still to be fetched.
    pub async fn videos_pending(&self) -> Result<u64, StoreError> {
        let query = self.client.query().table_name(&self.table).index_name("videos").select(Select::Count);
        let mut pages = query
            .key_condition_expression("videoQueue = :queue")
            .expression_attribute_values(":queue", s(TO_FETCH))
            .into_paginator()
            .send();
        let mut pending = 0;
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed("Query of Uploads"))?;
            pending += u64::try_from(page.count).unwrap_or_default();
        }
        Ok(pending)
    }

    /// Claims a video that was due at `due`, until `until`: the row, or `None` if another has it or it is done.
    pub async fn claim_video(
        &self,
        (username, uu_id, due): &(String, String, i64),
        claim: &str,
        until: i64,
    ) -> Result<Option<UploadRow>, StoreError> {
        let values = [(":queue", s(TO_FETCH)), (":due", n(due))];
        let update = Update::new(&self.table, key(username, uu_id))
            .set("videoDue", n(until))
            .set("video.claim", s(claim))
            .count_up("revision")
            .only_if("videoQueue = :queue AND videoDue = :due", values);
        let claimed = update.send_and_read(&self.client, &self.contention, "UpdateItem on Uploads").await?;
        claimed.map(|item| row("Uploads", item)).transpose()
    }

    /// Writes what became of a video, and when to try again, if the claim still holds: another may have it, or the item
    /// was published with another link.
    pub async fn settle_video(&self, row: &UploadRow, claim: &str) -> Result<Written, StoreError> {
        let video = serde_dynamo::to_attribute_value(&row.video).map_err(|error| unreadable("Uploads", &error))?;
        let update = self.update(row).set("video", video).count_up("revision");
        let update = match row.video_due {
            Some(due) => update.set("videoDue", n(due)),
            None => update.remove(["videoQueue", "videoDue"]),
        };
        self.write(update.only_if("video.claim = :claim", [(":claim", s(claim))])).await
    }

    fn update(&self, row: &UploadRow) -> Update {
        Update::new(&self.table, key(&row.username, &row.uu_id))
    }

    async fn write(&self, update: Update) -> Result<Written, StoreError> {
        Ok(written(update.send(&self.client, &self.contention, "UpdateItem on Uploads").await?))
    }

    fn put(&self, row: &UploadRow) -> Result<aws_sdk_dynamodb::types::builders::PutBuilder, StoreError> {
        let item: Item = serde_dynamo::to_item(row).map_err(|error| unreadable("Uploads", &error))?;
        Ok(Put::builder().table_name(&self.table).set_item(Some(item)))
    }

    async fn transact(&self, actions: Vec<Action>) -> Result<Written, StoreError> {
        Ok(written(Transactions::with(&self.client, &self.contention).write_one(actions).await?))
    }
}

/// Nobody wrote the row since it was read.
const UNCHANGED: &str = "revision = :read";

/// The attributes that [`Uploads::amend`] writes.
const AMENDED: [&str; 7] = ["sentAt", "assigned", "order", "unmatched", "video", "videoQueue", "videoDue"];

/// What one query of an index by time gives, and before what to go on. The filter may pass over all of it.
async fn page<T: DeserializeOwned>(query: QueryFluentBuilder) -> Result<(Vec<T>, Option<String>), StoreError> {
    let reply = query.send().await.map_err(failed("Query of Uploads"))?;
    let next = reply.last_evaluated_key.as_ref().and_then(|key| key.get("received")?.as_s().ok().cloned());
    let rows = reply.items.unwrap_or_default().into_iter().map(|item| row("Uploads", item));
    Ok((rows.collect::<Result<_, _>>()?, next))
}

fn written(done: bool) -> Written {
    if done { Written::Done } else { Written::Overtaken }
}

fn built<T>(built: Result<T, aws_sdk_dynamodb::error::BuildError>) -> Result<T, StoreError> {
    built.map_err(|_| StoreError::Unfit("a write without an item"))
}

/// The attributes that are the table's key.
const KEY: [&str; 2] = ["username", "uuId"];

fn key(username: &str, uu_id: &str) -> Item {
    KEY.map(str::to_owned).into_iter().zip([s(username), s(uu_id)]).collect()
}
