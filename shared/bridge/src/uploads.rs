//! The Uploads table: one row per published item.

use aws_sdk_dynamodb::Client;
use pruvan::upload::Upload;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::secrets::sha256_hex;
use crate::settings::SettingError;
use crate::store::{Item, StoreError, failed, row, s, sortable, unreadable};
use crate::world::World;

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadRow {
    /// Whose.
    pub username: String,
    /// The item's UUID, or what stands in for it: see [`item_id`].
    pub uu_id: String,
    /// The order's number as Pruvan gave it, without a client code; empty if there was none.
    pub work_order_number: String,
    /// Whether there was such an order when the item came.
    pub matched: bool,
    /// Key of the index: `username#workOrderNumber`. User names hold no `#`.
    pub order: String,
    /// Sort key of the index: when it came, then what.
    pub received: String,
    /// When it came.
    pub received_at: i64,
    /// All fields of the payload as they came, as a JSON object; never credentials. Missing if [`UploadRow::payload_path`] is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// Where in S3 the payload is, if it is too large for a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_path: Option<String>,
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
    /// `fileType` as it came.
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
    /// Link to a video, valid for 24 hours after it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_uri: Option<String>,
}

/// Fields that change by themselves from one publishing to the next, and so don't tell two of them apart.
pub const CHANGING_FIELDS: [&str; 5] = ["timestamp", "batchId", "lastUpdatedBy", "status", "videoUri"];

/// The fields of a payload that tell two publishings of an item apart.
pub fn lasting(fields: &Map<String, Value>) -> Map<String, Value> {
    let lasting = fields.iter().filter(|(name, _)| !CHANGING_FIELDS.contains(&name.as_str()));
    lasting.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What a row is kept under: the item's UUID, or, if it has none, something derived from its content, so that publishing it
/// again finds it. Very long ones are hashed.
pub fn item_id(upload: &Upload, sha256: Option<&str>) -> String {
    match &upload.uu_id {
        Some(uu_id) if uu_id.len() <= 200 => uu_id.clone(),
        Some(uu_id) => format!("sha256:{}", sha256_hex(uu_id.as_bytes())),
        None => {
            // Answers that came without a file are told apart by themselves.
            let content = match sha256 {
                Some(sha256) => sha256.to_owned(),
                None => Value::Object(lasting(&upload.fields)).to_string(),
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

/// The index's sort key for an item that came at `received_at`.
pub fn received(received_at: i64, uu_id: &str) -> String {
    format!("{}#{uu_id}", sortable(received_at))
}

/// The index's partition key.
pub fn order_key(username: &str, number: &str) -> String {
    format!("{username}#{}", if number.is_empty() { "::" } else { number })
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

    /// The row of an item.
    pub async fn get(&self, username: &str, uu_id: &str) -> Result<Option<UploadRow>, StoreError> {
        let key = Item::from([("username".to_owned(), s(username)), ("uuId".to_owned(), s(uu_id))]);
        let reply =
            self.client.get_item().table_name(&self.table).set_key(Some(key)).consistent_read(true).send().await;
        reply.map_err(failed("GetItem on Uploads"))?.item.map(|item| row("Uploads", item)).transpose()
    }

    /// Writes a row over the one there was.
    pub async fn put(&self, row: &UploadRow) -> Result<(), StoreError> {
        let item: Item = serde_dynamo::to_item(row).map_err(|error| unreadable("Uploads", &error))?;
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item)).send().await;
        put.map_err(failed("PutItem on Uploads"))?;
        Ok(())
    }

    /// A page of the items of an order, newest first, and where to go on.
    pub async fn of_order(
        &self,
        username: &str,
        number: &str,
        before: Option<&str>,
        limit: i32,
    ) -> Result<(Vec<UploadRow>, Option<String>), StoreError> {
        let order = order_key(username, number);
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("by-order")
            .expression_attribute_names("#order", "order")
            .expression_attribute_values(":order", s(&order))
            .scan_index_forward(false)
            .limit(limit);
        query = match before {
            Some(before) => query
                .key_condition_expression("#order = :order AND received < :before")
                .expression_attribute_values(":before", s(before)),
            None => query.key_condition_expression("#order = :order"),
        };
        let reply = query.send().await.map_err(failed("Query of Uploads"))?;
        let more = reply.last_evaluated_key.is_some();
        let rows: Result<Vec<UploadRow>, StoreError> =
            reply.items.unwrap_or_default().into_iter().map(|item| row("Uploads", item)).collect();
        let rows = rows?;
        let next = rows.last().filter(|_| more).map(|row| row.received.clone());
        Ok((rows, next))
    }
}
