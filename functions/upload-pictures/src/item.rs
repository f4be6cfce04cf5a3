//! One item as it came, and how it is kept: its files in S3, and the row of a first version.

use bridge::StoreError;
use bridge::files::{self, Files};
use bridge::format::{Format, mismatch, sniff};
use bridge::orders::Orders;
use bridge::secrets::sha256_hex;
use bridge::time::Clock;
use bridge::uploads::{UploadRow, Video, fingerprint, item_id, order_key, received};
use bytes::Bytes;
use jiff::Timestamp;
use pruvan::encoding::decode;
use pruvan::json;
use pruvan::upload::{FileType, Upload};
use serde_json::Value;

/// JSON that a row holds, of its 400 KB; what has no room goes to S3 beside the file.
const MAX_JSON_IN_ROW: usize = 250_000;

/// Characters of an order's number that are kept: longer ones are no order's, and an index key has its limit. The
/// payload keeps the whole.
const MAX_NUMBER: usize = 300;

/// An item that is uploaded, with what is worked out of it once.
pub struct PublishedItem<'a> {
    /// What is known of it under this id: see [`item_id`].
    pub uu_id: String,
    /// Tells versions apart: see [`fingerprint`].
    pub fingerprint: String,
    upload: &'a Upload,
    /// When it came: what times in it can be true is judged by this.
    came: Timestamp,
    /// The survey's JSON as text, out of all layers of JSON text; keys and numbers as they came.
    survey: Option<String>,
    file: Option<File>,
}

struct File {
    bytes: Bytes,
    /// The file's SHA-256, in hex.
    sha256: String,
    format: Format,
}

/// JSON in the row, or where in S3 it is.
#[derive(Default)]
struct Kept {
    json: Option<String>,
    path: Option<String>,
}

impl PublishedItem<'_> {
    /// Of the fields, the survey and the bytes of the file, which are hashed here; it came at `now`.
    pub fn new(upload: &Upload, survey: Option<String>, file: Option<Bytes>, now: i64) -> PublishedItem<'_> {
        let came = Timestamp::from_millisecond(now).unwrap_or_default();
        let said = upload.file_ext.as_deref().unwrap_or_default();
        let file = file.map(|bytes| File { sha256: sha256_hex(&bytes), format: sniff(&bytes, said), bytes });
        let sha256 = file.as_ref().map(|file| file.sha256.as_str());
        PublishedItem {
            uu_id: item_id(upload, sha256),
            fingerprint: fingerprint(upload, sha256),
            upload,
            came,
            survey,
            file,
        }
    }

    /// When Pruvan sent it, in milliseconds since 1970, if it says so and that can be true.
    pub fn sent_at(&self) -> Option<i64> {
        self.upload.sent(self.came).map(|instant| instant.as_millisecond())
    }

    /// The link to its video. Longer ones are no link.
    pub fn video_uri(&self) -> Option<String> {
        self.upload.video_uri.clone().filter(|uri| uri.len() <= 4000)
    }

    /// Puts the file, and what no row can hold, into S3, and gives the row of a first version.
    pub async fn keep(
        &self,
        orders: &Orders,
        files: &Files,
        username: &str,
        clock: &Clock,
    ) -> Result<UploadRow, StoreError> {
        let number: String = self.upload.work_order_number().unwrap_or_default().chars().take(MAX_NUMBER).collect();
        let matched = orders.get(username, &number).await?.is_some();
        let path = self.put_file(files, username, &number).await?;
        let mut room = MAX_JSON_IN_ROW;
        let payload = self.put(files, username, &number, self.fields(), "payload.json", &mut room).await?;
        let survey = match &self.survey {
            Some(survey) => self.put(files, username, &number, survey.clone(), "survey.json", &mut room).await?,
            None => Kept::default(),
        };
        let now = clock.now_ms();
        let short = |text: &Option<String>| text.as_ref().map(|text| text.chars().take(1000).collect());
        let upload = self.upload;
        let (taken_at, taken_doubt) = upload.taken(self.came);
        let mut row = UploadRow {
            username: username.to_owned(),
            order: Some(order_key(username, &number)),
            received: Some(received(now, &self.uu_id)),
            unmatched: (!matched).then(|| username.to_owned()),
            uu_id: self.uu_id.clone(),
            assigned: None,
            received_at: now,
            sent_at: self.sent_at(),
            version: 1,
            versions: 1,
            version_of: None,
            revision: 1,
            fingerprint: self.fingerprint.clone(),
            payload: payload.json,
            payload_path: payload.path,
            survey: survey.json,
            survey_path: survey.path,
            check_in: self.check_in(room),
            path,
            sha256: self.file.as_ref().map(|file| file.sha256.clone()),
            size: self.file.as_ref().map_or(0, |file| file.bytes.len() as u64),
            content_type: self.file.as_ref().map_or("application/json", |file| file.format.content_type).to_owned(),
            mismatch: self.file.as_ref().and_then(|file| mismatch(file.format, upload)),
            file_type: short(&Some(upload.file_type.as_str().to_owned()).filter(|text| !text.is_empty())),
            service: short(&upload.key4),
            evidence_type: short(&upload.evidence_type),
            file_name: short(&upload.file_name),
            taken_at: taken_at.map(|instant| instant.as_millisecond()),
            taken_doubt,
            video: self.video_uri().map(|uri| Video::new(uri, self.sent_at(), now)),
            video_queue: None,
            video_due: None,
            work_order_number: number,
        };
        row.queue_video(now);
        Ok(row)
    }

    /// Puts the file into S3, if there is one, and gives its path.
    async fn put_file(&self, files: &Files, username: &str, number: &str) -> Result<Option<String>, StoreError> {
        let Some(file) = &self.file else { return Ok(None) };
        let to = files::path(username, number, &self.uu_id, &file.sha256, file.format.extension);
        files.put(&to, file.bytes.clone(), file.format.content_type).await?;
        Ok(Some(to))
    }

    /// Keeps JSON in the row while there is `room`, and else in S3.
    async fn put(
        &self,
        files: &Files,
        username: &str,
        number: &str,
        json: String,
        extension: &str,
        room: &mut usize,
    ) -> Result<Kept, StoreError> {
        if json.len() <= *room {
            *room -= json.len();
            return Ok(Kept { json: Some(json), path: None });
        }
        let to = files::path(username, number, &self.uu_id, &sha256_hex(json.as_bytes()), extension);
        files.put(&to, Bytes::from(json), "application/json").await?;
        Ok(Kept { json: None, path: Some(to) })
    }

    /// The payload's fields as JSON, without the survey, which is kept verbatim beside them, and without the link to a
    /// video, which is nobody's business.
    fn fields(&self) -> String {
        let mut fields = self.upload.fields.clone();
        // One that says nothing stays where it was.
        if self.survey.is_some() {
            fields.remove("survey");
        }
        fields.remove("videoUri");
        Value::Object(fields).to_string()
    }

    /// What a check-in's file says, as JSON, if it is some and a row can hold it.
    fn check_in(&self, room: usize) -> Option<String> {
        let file = self.file.as_ref().filter(|_| self.upload.file_type == FileType::CheckIn)?;
        // A small object takes eighty times the room of its text when it is parsed.
        if file.bytes.len() > MAX_JSON_IN_ROW {
            return None;
        }
        let json = json::unwrapped(&decode(&file.bytes)).ok()?.value.to_string();
        // Numbers may have grown as they were written again.
        (json.len() <= room / 2).then_some(json)
    }
}
