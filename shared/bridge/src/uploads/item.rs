//! One published item, or one version of it, as its row has it: the rules, without I/O.

use std::time::Duration;

use jiff::Timestamp;
use pruvan::dates::can_be_true;
use pruvan::upload::Upload;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::secrets::sha256_hex;
use crate::store::sortable;
use crate::time::ms;

/// A row of the Uploads table: an item as it was published last, or an earlier version of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadRow {
    /// The account that published it.
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
    /// Sort key of the indexes: when the current version came, then the item's id. Missing from earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<String>,
    /// Key of the index `unmatched`, the user's name: no such order was known when it came. A hint: the order may have
    /// come since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmatched: Option<String>,
    /// When this version came.
    pub received_at: i64,
    /// When Pruvan sent it, or the version before if it doesn't say (`timestamp`): an older one never replaces a newer
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<i64>,
    /// Counts the versions of the item as they arrive, from 1: one that came late has a higher number than the current
    /// one.
    pub version: u32,
    /// How many versions had arrived when this row was written.
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
    /// Told from the bytes; `application/json` of answers that came without a file.
    pub content_type: String,
    /// What `fileType` or `fileExt` say of the file that its bytes don't.
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
    /// By the GPS receiver; by the device's own clock if that can't be true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<i64>,
    /// Why the receiver's time isn't it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_doubt: Option<String>,
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
    /// Whether it is still to be fetched.
    pub state: VideoState,
    /// Times that were tried.
    #[serde(default)]
    pub attempts: u32,
    /// Why it isn't there yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// A random token of the attempt that is fetching it: the claim ends with [`UploadRow::video_due`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// Where in S3 the file of the last link is that was fetched, which may not be this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Its SHA-256, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The size of the fetched file, in bytes; 0 until then.
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
    /// It is still to be fetched from Pruvan's link. In an earlier version it says nothing: only the current row's
    /// video is fetched.
    Pending,
    /// It was fetched and is in S3.
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

    /// A link that came at `received_at`. It ends 24 hours after `sent_at`; or after it came, if `sent_at` is missing,
    /// later than that, or more than 24 hours before.
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

/// In a path these say "here" and "one up", so that no path can name an item that is called so.
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
pub(super) fn versions_prefix(uu_id: &str) -> String {
    format!("{VERSION}{}:", &sha256_hex(uu_id.as_bytes())[..32])
}

/// The `uuId` of the row of an earlier version.
pub(super) fn version_key(uu_id: &str, version: u32) -> String {
    format!("{}{version:06}", versions_prefix(uu_id))
}

/// Which version has a row of this `uuId`.
pub(super) fn version_of_key(key: &str) -> Option<u32> {
    key.rsplit(':').next()?.parse().ok()
}

/// The indexes' sort key for an item that came at `received_at`.
pub fn received(received_at: i64, uu_id: &str) -> String {
    format!("{}#{uu_id}", sortable(received_at))
}

/// The partition key of the index `by-order`. No number holds `::`, so it stands for none.
pub fn order_key(username: &str, number: &str) -> String {
    format!("{username}#{}", if number.is_empty() { "::" } else { number })
}

impl UploadRow {
    /// When Pruvan sent it, if that can be true at the time `now`: rows may be older than that was looked at.
    pub fn sent(&self, now: i64) -> Option<i64> {
        let instant = |ms: i64| Timestamp::from_millisecond(ms).ok();
        self.sent_at.filter(|sent| instant(*sent).zip(instant(now)).is_some_and(|(at, now)| can_be_true(at, now)))
    }

    /// The order that it belongs to.
    pub fn number(&self) -> &str {
        self.assigned.as_deref().unwrap_or(&self.work_order_number)
    }

    /// The item's `uuId`, also of an earlier version.
    pub fn item(&self) -> &str {
        self.version_of.as_deref().unwrap_or(&self.uu_id)
    }

    /// The row as it is kept when another version is the current one: in no index.
    pub(super) fn as_earlier_version(&self) -> UploadRow {
        UploadRow {
            uu_id: version_key(&self.uu_id, self.version),
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
