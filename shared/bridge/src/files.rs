//! Files in S3: `username/workOrderNumber/hash of uuId/sha256.ext`. The row in Uploads says where a file is; a file is
//! never moved, and one with other bytes has another name, so that nothing is ever overwritten.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use secrecy::SecretString;

use crate::dependencies::Dependencies;
use crate::secrets::sha256_hex;
use crate::settings::SettingError;
use crate::store::StoreError;

/// Links to files work for this long.
pub const LINK_LIFETIME: Duration = Duration::from_secs(3600);

/// Where a file belongs. Every part is encoded so that no two different parts give the same text and none can leave its
/// place.
pub fn path(username: &str, number: &str, uu_id: &str, sha256: &str, extension: &str) -> String {
    format!("{}/{}/{}/{sha256}.{extension}", part(username), part(number), &sha256_hex(uu_id.as_bytes())[..32])
}

/// One part of a path: letters, digits, `-` and `_` stay, all else is percent-encoded; what gets long is cut and
/// hashed.
fn part(text: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_');
    let encoded = percent_encoding::utf8_percent_encode(text, KEPT).to_string();
    if encoded.is_empty() {
        "%".to_owned()
    } else if encoded.len() > 200 {
        format!("{}%{}", &encoded[..120], sha256_hex(text.as_bytes()))
    } else {
        encoded
    }
}

/// Access to the bucket of files.
#[derive(Debug, Clone)]
pub struct Files {
    client: Client,
    bucket: String,
}

impl Files {
    /// Of the bucket that the setting `FILES_BUCKET` names.
    pub fn new(dependencies: &Dependencies) -> Result<Files, SettingError> {
        Ok(Files { client: dependencies.s3()?, bucket: dependencies.settings.get("FILES_BUCKET")?.to_owned() })
    }

    /// Stores a file. `bytes` are handed on without a copy.
    pub async fn put(&self, path: &str, bytes: Bytes, content_type: &str) -> Result<(), StoreError> {
        let put = self.client.put_object().bucket(&self.bucket).key(path).content_type(content_type);
        // An attachment is saved and never shown: what a crew sent doesn't run in the host's browser.
        let put = put.content_disposition("attachment").body(ByteStream::from(bytes));
        put.send().await.map_err(|error| call("PutObject", &error))?;
        Ok(())
    }

    /// Begins a file that comes in parts. It is there when [`Parts::finish`] returns, and not before.
    pub async fn begin(&self, path: String, content_type: &'static str) -> Result<Parts, StoreError> {
        let begin = self.client.create_multipart_upload().bucket(&self.bucket).key(&path).content_type(content_type);
        // Named here, since the SDK sends one with each part, and S3 wants the two to agree.
        let begin = begin.content_disposition("attachment").checksum_algorithm(ChecksumAlgorithm::Crc32);
        let begun = begin.send().await;
        let begun = begun.map_err(|error| call("CreateMultipartUpload", &error))?;
        let id = begun.upload_id.unwrap_or_default();
        Ok(Parts { files: self.clone(), path, content_type, id, parts: Vec::new() })
    }

    /// Reads a whole file into memory.
    pub async fn get(&self, path: &str) -> Result<Bytes, StoreError> {
        let reply = self.client.get_object().bucket(&self.bucket).key(path).send().await;
        let reply = reply.map_err(|error| call("GetObject", &error))?;
        let cut_short = |_| StoreError::Call { operation: "GetObject", reason: "the reply was cut short".to_owned() };
        Ok(reply.body.collect().await.map_err(cut_short)?.into_bytes())
    }

    /// A link to a file that works for [`LINK_LIFETIME`]. Whoever has it can read the file, so it is a secret.
    pub async fn link(&self, path: &str, file_name: &str) -> Result<SecretString, StoreError> {
        let failed = |reason: &str| StoreError::Call { operation: "presigning GetObject", reason: reason.to_owned() };
        let config =
            PresigningConfig::expires_in(LINK_LIFETIME).map_err(|_| failed("the life-time is out of range"))?;
        let disposition = format!("attachment; filename=\"{}\"", download_name(file_name));
        let get = self.client.get_object().bucket(&self.bucket).key(path).response_content_disposition(disposition);
        let link = get.presigned(config).await.map_err(|error| call("presigning GetObject", &error))?;
        Ok(link.uri().into())
    }
}

/// How long S3 may take to make a file of its parts.
const FINISH: Duration = Duration::from_secs(120);

/// A file that comes in parts.
#[derive(Debug)]
pub struct Parts {
    files: Files,
    path: String,
    content_type: &'static str,
    id: String,
    parts: Vec<CompletedPart>,
}

impl Parts {
    /// Where the file will be.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The media type that the file is stored and served with.
    pub fn content_type(&self) -> &'static str {
        self.content_type
    }

    /// Stores the next part: at least 5 MB, but for the last.
    pub async fn add(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let number = i32::try_from(self.parts.len() + 1).unwrap_or(i32::MAX);
        let Files { client, bucket } = &self.files;
        let part = client.upload_part().bucket(bucket).key(&self.path).upload_id(&self.id).part_number(number);
        let part = part.checksum_algorithm(ChecksumAlgorithm::Crc32);
        let stored = part.body(ByteStream::from(bytes)).send().await.map_err(|error| call("UploadPart", &error))?;
        // The checksum of each part is asked for again at the end.
        let stored = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(stored.e_tag)
            .set_checksum_crc32(stored.checksum_crc32);
        self.parts.push(stored.build());
        Ok(())
    }

    /// Makes the file of its parts.
    pub async fn finish(&mut self) -> Result<(), StoreError> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(std::mem::take(&mut self.parts))).build();
        let Files { client, bucket } = &self.files;
        let finish = client.complete_multipart_upload().bucket(bucket).key(&self.path).upload_id(&self.id);
        // S3 may take its time over many parts.
        let patient = TimeoutConfig::builder().operation_attempt_timeout(FINISH).operation_timeout(2 * FINISH).build();
        let patient = aws_sdk_s3::config::Builder::new().timeout_config(patient);
        let finished = finish.multipart_upload(parts).customize().config_override(patient).send().await;
        finished.map_err(|error| call("CompleteMultipartUpload", &error))?;
        Ok(())
    }

    /// Drops the parts. If that fails, S3 drops them by itself after some days.
    pub async fn abandon(self) {
        let Files { client, bucket } = &self.files;
        let abandon = client.abort_multipart_upload().bucket(bucket).key(&self.path).upload_id(&self.id);
        if let Err(error) = abandon.send().await {
            tracing::warn!(error = %call("AbortMultipartUpload", &error), "parts.left");
        }
    }
}

/// A file name of harmless characters.
fn download_name(text: &str) -> String {
    let name = part_of_name(text);
    if name.is_empty() { "file".to_owned() } else { name }
}

/// A folder's or file's name of harmless characters, for people's machines; empty if nothing is left.
pub fn part_of_name(text: &str) -> String {
    let name: String = pruvan::ascii::ascii(text)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ') { c } else { '_' })
        .take(120)
        .collect();
    // Windows takes no dots and spaces at the end either.
    name.trim_start_matches(['.', ' ']).trim_end_matches(['.', ' ']).to_owned()
}

fn call<E: ProvideErrorMetadata, R>(operation: &'static str, error: &aws_sdk_s3::error::SdkError<E, R>) -> StoreError {
    StoreError::call(operation, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_leaves_its_place_or_meets_another() {
        let tricks =
            ["..", "../x", "a/b", "a%2Fb", "a\0b", "", "%", ".", "é", &"x".repeat(2000), &"x".repeat(2001), "A", "a"];
        let mut seen = std::collections::BTreeSet::new();
        for trick in tricks {
            let path = path("user", trick, trick, "00", "jpg");
            assert!(path.starts_with("user/") && path.split('/').count() == 4, "{path}");
            assert!(path.len() < 1024 && path.is_ascii() && !path.contains(".."), "{path}");
            assert!(seen.insert(path));
        }
    }

    #[test]
    fn download_names_are_harmless() {
        assert_eq!(download_name("../../etc/passwd"), "_.._etc_passwd");
        assert_eq!(download_name("a\"; x=\"b.jpg"), "a__ x=_b.jpg".replace('=', "_"));
        assert_eq!(download_name(""), "file");
    }
}
