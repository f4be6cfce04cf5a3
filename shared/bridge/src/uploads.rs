//! The Uploads table: one row per published item, a row per earlier version of it, and the queue of videos to fetch.
//!
//! An item's current row is in the index of its order (and of the unmatched, if no such order is known); rows of
//! earlier versions are in no index and are found by the item's `uuId`. Every write is conditional on the `revision`
//! that was read, so that two copies at the same moment leave one current version and lose none.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{Put, Select, TransactWriteItem, Update};
use pruvan::upload::Upload;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::secrets::sha256_hex;
use crate::settings::SettingError;
use crate::store::{
    Item, StoreError, Transacted, batch_get, conditional, failed, n, row, s, sortable, transact, unreadable,
};
use crate::time::ms;
use crate::world::World;

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadRow {
    /// Whose.
    pub username: String,
    /// The item's UUID, or what stands in for it: see [`item_id`]. Of an earlier version: see
    /// [`UploadRow::version_of`].
    pub uu_id: String,
    /// The order's number as Pruvan gave it, without a client code; empty if there was none.
    pub work_order_number: String,
    /// The order that the host assigned it to, in place of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<String>,
    /// Key of the index `by-order`: `username#workOrderNumber`. User names hold no `#`. Missing from earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// Sort key of the indexes: when the item came, then what. Missing from earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<String>,
    /// Key of the index `unmatched`, the user's name: no such order was known when it came. A hint: the order may have
    /// come since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmatched: Option<String>,
    /// When this version came.
    pub received_at: i64,
    /// When Pruvan sent it (`timestamp`): an older one never replaces a newer one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<i64>,
    /// Counts the versions of the item, from 1.
    pub version: u32,
    /// How many versions there are.
    pub versions: u32,
    /// In rows of earlier versions: the item's `uuId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_of: Option<String>,
    /// Grows with every write to the row.
    pub revision: u64,
    /// Tells versions apart: see [`fingerprint`].
    pub fingerprint: String,
    /// All fields of the payload as they came, as a JSON object, without `survey`, `videoUri` and credentials. Missing
    /// if [`UploadRow::payload_path`] is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// Where in S3 the payload is, if it is too large for a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_path: Option<String>,
    /// The survey, verbatim, so that it can go out again as `surveyDynamic`. Missing if [`UploadRow::survey_path`] is
    /// there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub survey: Option<String>,
    /// Where in S3 the survey is, if it is too large for a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub survey_path: Option<String>,
    /// Of a check-in: what its file says, as JSON, if a row can hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_in: Option<String>,
    /// Where in S3 the file is. Missing for a survey that came without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// SHA-256 of the file, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Bytes of the file.
    pub size: u64,
    /// Told from the bytes.
    pub content_type: String,
    /// What `fileType` or `fileExt` say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mismatch: Option<String>,
    /// `fileType` in the specification's spelling, an unknown one as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_type: Option<String>,
    /// The service's name (`key4`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Such as before, during or after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_type: Option<String>,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// By the GPS receiver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<i64>,
    /// Of a video: the file behind the still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<Video>,
    /// Key of the index `videos`, always [`TO_FETCH`]: the video is still to be fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_queue: Option<String>,
    /// Sort key of the index `videos`: when to try next; while it is being fetched, when that claim ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_due: Option<i64>,
}

/// A video: a link that Pruvan gave, valid for a day, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Video {
    /// The link. Whoever has it can read the file, so it leaves this row only to fetch it.
    pub uri: String,
    /// When the link ends.
    pub until: i64,
    /// How it stands.
    pub state: VideoState,
    /// Times that were tried.
    #[serde(default)]
    pub attempts: u32,
    /// Why it isn't there yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Who is fetching it now: a claim ends with [`UploadRow::video_due`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// Where in S3 it is, when it was fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Its SHA-256, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Its bytes.
    #[serde(default)]
    pub size: u64,
    /// Told from its first bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// How a video stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoState {
    /// To be fetched.
    Pending,
    /// In S3.
    Stored,
    /// Its link ended before it could be fetched: it must be published again.
    Expired,
}

/// The one partition of the index `videos`.
pub const TO_FETCH: &str = "toFetch";

/// *Videos*: a link expires 24 hours after it was sent.
const VIDEO_LINK_LIFETIME: Duration = Duration::from_secs(24 * 3600);

impl Video {
    /// This link, with the file that an earlier one gave.
    pub fn after(self, known: Option<&Video>) -> Video {
        let Some(known) = known.filter(|known| known.path.is_some()) else { return self };
        let Video { path, sha256, size, content_type, .. } = known.clone();
        Video { path, sha256, size, content_type, ..self }
    }

    /// A link that came at `received_at`; `sent_at` counts if it is plausible.
    pub fn new(uri: String, sent_at: Option<i64>, received_at: i64) -> Video {
        let lifetime = ms(VIDEO_LINK_LIFETIME);
        let sent = sent_at.filter(|sent| (received_at - lifetime..received_at).contains(sent)).unwrap_or(received_at);
        Video {
            uri,
            until: sent + lifetime,
            state: VideoState::Pending,
            attempts: 0,
            error: None,
            claim: None,
            path: None,
            sha256: None,
            size: 0,
            content_type: None,
        }
    }
}

/// Fields that change by themselves from one publishing to the next, and so don't tell two of them apart.
pub const CHANGING_FIELDS: [&str; 5] = ["timestamp", "batchId", "lastUpdatedBy", "status", "videoUri"];

/// The fields of a payload that tell two publishings of an item apart.
fn lasting(fields: &Map<String, Value>) -> Value {
    let lasting = fields.iter().filter(|(name, _)| !CHANGING_FIELDS.contains(&name.as_str()));
    Value::Object(lasting.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Equal for two publishings of an item exactly if their files, and their fields but for [`CHANGING_FIELDS`], are.
pub fn fingerprint(upload: &Upload, sha256: Option<&str>) -> String {
    sha256_hex(format!("{}\n{}", sha256.unwrap_or_default(), lasting(&upload.fields)).as_bytes())
}

/// No path can name these: to go into a folder and out of it is what they say there.
fn is_a_step(uu_id: &str) -> bool {
    matches!(uu_id, "." | "..")
}

/// What an item is kept under: its UUID, or, if it has none, something derived from its content, so that publishing it
/// again finds it. Very long ones are hashed, and so are those that look like what is made here and those that no path
/// can name.
pub fn item_id(upload: &Upload, sha256: Option<&str>) -> String {
    const OURS: [&str; 3] = ["content:", "sha256:", VERSION];
    match &upload.uu_id {
        Some(uu_id)
            if uu_id.len() <= 200 && !OURS.iter().any(|prefix| uu_id.starts_with(prefix)) && !is_a_step(uu_id) =>
        {
            uu_id.clone()
        }
        Some(uu_id) => format!("sha256:{}", sha256_hex(uu_id.as_bytes())),
        None => {
            // Answers that came without a file are told apart by themselves.
            let content = match sha256 {
                Some(sha256) => sha256.to_owned(),
                None => lasting(&upload.fields).to_string(),
            };
            let parts = [
                upload.key2.as_deref(),
                upload.key4.as_deref(),
                upload.evidence_type.as_deref(),
                Some(upload.file_type.as_str()),
                Some(&content),
            ];
            format!("content:{}", sha256_hex(parts.map(Option::unwrap_or_default).join("\n").as_bytes()))
        }
    }
}

const VERSION: &str = "version:";

/// What the rows of an item's earlier versions begin with.
fn versions_prefix(uu_id: &str) -> String {
    format!("{VERSION}{}:", &sha256_hex(uu_id.as_bytes())[..32])
}

/// The indexes' sort key for an item that came at `received_at`.
pub fn received(received_at: i64, uu_id: &str) -> String {
    format!("{}#{uu_id}", sortable(received_at))
}

/// The index's partition key.
pub fn order_key(username: &str, number: &str) -> String {
    format!("{username}#{}", if number.is_empty() { "::" } else { number })
}

impl UploadRow {
    /// The order that it belongs to.
    pub fn number(&self) -> &str {
        self.assigned.as_deref().unwrap_or(&self.work_order_number)
    }

    /// The item's `uuId`, also of an earlier version.
    pub fn item(&self) -> &str {
        self.version_of.as_deref().unwrap_or(&self.uu_id)
    }

    /// The row as it is kept when another version is the current one: in no index.
    fn as_earlier_version(&self) -> UploadRow {
        UploadRow {
            uu_id: format!("{}{:06}", versions_prefix(&self.uu_id), self.version),
            version_of: Some(self.uu_id.clone()),
            order: None,
            received: None,
            unmatched: None,
            video_queue: None,
            video_due: None,
            ..self.clone()
        }
    }

    /// The queue's attributes: there as long as the video is to be fetched.
    pub fn queue_video(&mut self, due: i64) {
        let pending = self.video.as_ref().is_some_and(|video| video.state == VideoState::Pending);
        self.video_queue = pending.then(|| TO_FETCH.to_owned());
        self.video_due = pending.then_some(due);
    }
}

/// What a write met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is done.
    Done,
    /// Others wrote the row since it was read: read it again.
    Overtaken,
}

/// The table.
#[derive(Debug, Clone)]
pub struct Uploads {
    client: Client,
    table: String,
}

impl Uploads {
    /// Named by `UPLOADS_TABLE`.
    pub fn new(world: &World) -> Result<Uploads, SettingError> {
        Ok(Uploads { client: world.dynamodb()?, table: world.settings.get("UPLOADS_TABLE")?.to_owned() })
    }

    /// The current row of an item.
    pub async fn get(&self, username: &str, uu_id: &str) -> Result<Option<UploadRow>, StoreError> {
        let get = self.client.get_item().table_name(&self.table).set_key(Some(key(username, uu_id)));
        let reply = get.consistent_read(true).send().await.map_err(failed("GetItem on Uploads"))?;
        reply.item.map(|item| row("Uploads", item)).transpose()
    }

    /// The current rows of those of these items that came, whatever order they belong to.
    pub async fn get_all(&self, username: &str, uu_ids: &[String]) -> Result<Vec<UploadRow>, StoreError> {
        let keys = uu_ids.iter().map(|uu_id| key(username, uu_id)).collect();
        let items = batch_get(&self.client, &self.table, keys).await?;
        items.into_iter().map(|item| row("Uploads", item)).collect()
    }

    /// Earlier versions of an item, newest first.
    pub async fn versions(&self, username: &str, uu_id: &str) -> Result<Vec<UploadRow>, StoreError> {
        let query = self.client.query().table_name(&self.table).consistent_read(true).scan_index_forward(false);
        let mut items = query
            .key_condition_expression("username = :username AND begins_with(#uuId, :versions)")
            .expression_attribute_names("#uuId", "uuId")
            .expression_attribute_values(":username", s(username))
            .expression_attribute_values(":versions", s(versions_prefix(uu_id)))
            .into_paginator()
            .items()
            .send();
        let mut rows = Vec::new();
        while let Some(item) = items.next().await {
            rows.push(row("Uploads", item.map_err(failed("Query of Uploads"))?)?);
        }
        Ok(rows)
    }

    /// Writes an item's first row.
    pub async fn create(&self, row: &UploadRow) -> Result<Written, StoreError> {
        let item: Item = serde_dynamo::to_item(row).map_err(|error| unreadable("Uploads", &error))?;
        let put = || {
            let put = self.client.put_item().table_name(&self.table).set_item(Some(item.clone()));
            put.condition_expression("attribute_not_exists(#uuId)").expression_attribute_names("#uuId", "uuId").send()
        };
        Ok(written(conditional("PutItem on Uploads", put).await?))
    }

    /// Writes `next` over `known`, which stays as an earlier version, in one transaction.
    pub async fn replace(&self, known: &UploadRow, next: &UploadRow) -> Result<Written, StoreError> {
        let current = self.put(next)?.condition_expression("revision = :read");
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
        let mut set = "SET versions = :versions, revision = :next".to_owned();
        let mut values = Item::new();
        if let (None, Some(video), Some(due)) = (&known.video, &late.video, late.video_due) {
            set.push_str(", video = :video, videoQueue = :queue, videoDue = :due");
            let video = serde_dynamo::to_attribute_value(video).map_err(|error| unreadable("Uploads", &error))?;
            values.extend([
                (":video".to_owned(), video),
                (":queue".to_owned(), s(TO_FETCH)),
                (":due".to_owned(), n(due)),
            ]);
        }
        let count = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(&known.username, &known.uu_id)))
            .update_expression(set)
            .set_expression_attribute_values(Some(values))
            .condition_expression("revision = :read")
            .expression_attribute_values(":versions", n(late.versions))
            .expression_attribute_values(":next", n(known.revision + 1))
            .expression_attribute_values(":read", n(known.revision));
        self.transact(vec![
            TransactWriteItem::builder().update(built(count.build())?).build(),
            TransactWriteItem::builder().put(built(self.put(&late.as_earlier_version())?.build())?).build(),
        ])
        .await
    }

    /// Writes the parts of `known` that change without a new version: when it was sent, whose it is, its video.
    pub async fn amend(&self, known: &UploadRow) -> Result<Written, StoreError> {
        let mut set = vec!["revision = :next"];
        let mut remove = Vec::new();
        let mut values =
            Item::from([(":next".to_owned(), n(known.revision + 1)), (":read".to_owned(), n(known.revision))]);
        let item: Item = serde_dynamo::to_item(known).map_err(|error| unreadable("Uploads", &error))?;
        for (name, assignment) in AMENDED {
            match item.get(name) {
                Some(value) => {
                    set.push(assignment);
                    values.insert(format!(":{name}"), value.clone());
                }
                None => remove.push(assignment.split(' ').next().unwrap_or_default()),
            }
        }
        let mut expression = format!("SET {}", set.join(", "));
        if !remove.is_empty() {
            expression.push_str(&format!(" REMOVE {}", remove.join(", ")));
        }
        let update = || {
            self.client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key(&known.username, &known.uu_id)))
                .update_expression(&expression)
                .condition_expression("revision = :read")
                .expression_attribute_names("#order", "order")
                .set_expression_attribute_values(Some(values.clone()))
                .send()
        };
        Ok(written(conditional("UpdateItem on Uploads", update).await?))
    }

    /// A page of the items of an order, newest first, and where to go on.
    pub async fn of_order(
        &self,
        username: &str,
        number: &str,
        before: Option<&str>,
        limit: i32,
    ) -> Result<(Vec<UploadRow>, Option<String>), StoreError> {
        self.newest("by-order", "order", &order_key(username, number), before, limit).await
    }

    /// A page of the items that belonged to no known order when they came, newest first, and where to go on.
    pub async fn unmatched(
        &self,
        username: &str,
        before: Option<&str>,
        limit: i32,
    ) -> Result<(Vec<UploadRow>, Option<String>), StoreError> {
        self.newest("unmatched", "unmatched", username, before, limit).await
    }

    async fn newest(
        &self,
        index: &str,
        attribute: &str,
        partition: &str,
        before: Option<&str>,
        limit: i32,
    ) -> Result<(Vec<UploadRow>, Option<String>), StoreError> {
        let query = self.client.query().table_name(&self.table).index_name(index).scan_index_forward(false);
        let mut query = query
            .expression_attribute_names("#partition", attribute)
            .expression_attribute_values(":partition", s(partition))
            .limit(limit);
        query = match before {
            Some(before) => query
                .key_condition_expression("#partition = :partition AND received < :before")
                .expression_attribute_values(":before", s(before)),
            None => query.key_condition_expression("#partition = :partition"),
        };
        let reply = query.send().await.map_err(failed("Query of Uploads"))?;
        let more = reply.last_evaluated_key.is_some();
        let rows = reply.items.unwrap_or_default().into_iter().map(|item| row("Uploads", item));
        let rows: Vec<UploadRow> = rows.collect::<Result<_, _>>()?;
        let next = rows.last().filter(|_| more).and_then(|row| row.received.clone());
        Ok((rows, next))
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
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(username, uu_id)))
            .update_expression("SET videoDue = :until, video.claim = :claim ADD revision :one")
            .condition_expression("videoQueue = :queue AND videoDue = :due")
            .expression_attribute_values(":until", n(until))
            .expression_attribute_values(":claim", s(claim))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":queue", s(TO_FETCH))
            .expression_attribute_values(":due", n(due))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllNew);
        match update.send().await {
            Ok(reply) => reply.attributes.map(|item| row("Uploads", item)).transpose(),
            Err(error) if crate::store::condition_failed(&error) => Ok(None),
            Err(error) => Err(StoreError::call("UpdateItem on Uploads", &error)),
        }
    }

    /// Writes what became of a video, and when to try again, if the claim still holds: another may have it, or the item
    /// was published with another link.
    pub async fn settle_video(&self, row: &UploadRow, claim: &str) -> Result<Written, StoreError> {
        let video = serde_dynamo::to_attribute_value(&row.video).map_err(|error| unreadable("Uploads", &error))?;
        let expression = match row.video_due {
            Some(_) => "SET video = :video, videoDue = :due ADD revision :one",
            None => "SET video = :video REMOVE videoQueue, videoDue ADD revision :one",
        };
        let mut values =
            Item::from([(":video".to_owned(), video), (":one".to_owned(), n(1)), (":claim".to_owned(), s(claim))]);
        values.extend(row.video_due.map(|due| (":due".to_owned(), n(due))));
        let update = || {
            let update = self.client.update_item().table_name(&self.table);
            update
                .set_key(Some(key(&row.username, &row.uu_id)))
                .update_expression(expression)
                .condition_expression("video.claim = :claim")
                .set_expression_attribute_values(Some(values.clone()))
                .send()
        };
        Ok(written(conditional("UpdateItem on Uploads", update).await?))
    }

    fn put(&self, row: &UploadRow) -> Result<aws_sdk_dynamodb::types::builders::PutBuilder, StoreError> {
        let item: Item = serde_dynamo::to_item(row).map_err(|error| unreadable("Uploads", &error))?;
        Ok(Put::builder().table_name(&self.table).set_item(Some(item)))
    }

    async fn transact(&self, items: Vec<TransactWriteItem>) -> Result<Written, StoreError> {
        match transact(&self.client, items).await? {
            Transacted::Done => Ok(Written::Done),
            Transacted::Unmet(_) => Ok(Written::Overtaken),
        }
    }
}

/// What [`Uploads::amend`] writes.
const AMENDED: [(&str, &str); 7] = [
    ("sentAt", "sentAt = :sentAt"),
    ("assigned", "assigned = :assigned"),
    ("order", "#order = :order"),
    ("unmatched", "unmatched = :unmatched"),
    ("video", "video = :video"),
    ("videoQueue", "videoQueue = :videoQueue"),
    ("videoDue", "videoDue = :videoDue"),
];

fn written(done: bool) -> Written {
    if done { Written::Done } else { Written::Overtaken }
}

fn built<T>(built: Result<T, aws_sdk_dynamodb::error::BuildError>) -> Result<T, StoreError> {
    built.map_err(|_| StoreError::Unfit("a write without an item"))
}

fn key(username: &str, uu_id: &str) -> Item {
    Item::from([("username".to_owned(), s(username)), ("uuId".to_owned(), s(uu_id))])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_can_be_named_in_a_path() {
        let id = |uu_id: &str| {
            let Value::Object(fields) = json!({ "uuId": uu_id }) else { unreachable!() };
            item_id(&Upload::from_fields(fields), None)
        };
        assert_eq!((id("a/../b").as_str(), id("...").as_str()), ("a/../b", "..."));
        assert!(id(".").starts_with("sha256:") && id("..").starts_with("sha256:") && id(".") != id(".."));
    }
}
