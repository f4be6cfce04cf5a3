//! A small S3: what this project uses of it, over a folder. The protocol, its signatures and pre-signed links are
//! `s3s`'s.
//!
//! An object is two files: the bytes, under a name of their own, and a JSON, named by the hash of the object's key,
//! that says which bytes and what is known of them. Both are written aside first, and the JSON is renamed last, so that
//! a failed upload leaves the object as it was.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bridge::secrets::{hex, sha256_hex};
use bridge::time::Random;
use futures_util::StreamExt as _;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, GetObjectInput, GetObjectOutput, HeadObjectInput,
    HeadObjectOutput, PutObjectInput, PutObjectOutput, StreamingBlob, UploadPartInput, UploadPartOutput,
};
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt as _;

/// An S3 whose buckets and objects are files in one folder.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    buckets: Vec<String>,
    written: AtomicU64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Object {
    bucket: String,
    key: String,
    bytes_in: String,
    size: u64,
    e_tag: String,
    content_type: Option<String>,
    content_disposition: Option<String>,
}

/// An upload in parts that has begun.
#[derive(Debug, Serialize, Deserialize)]
struct Begun {
    bucket: String,
    key: String,
    content_type: Option<String>,
    content_disposition: Option<String>,
}

/// Every part but the last has at least so many bytes.
const SMALLEST_PART: u64 = 5 * 1024 * 1024;

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl Store {
    /// Over the folder `root`, which is made if need be, with these buckets.
    pub fn open(root: &Path, buckets: Vec<String>) -> std::io::Result<Store> {
        std::fs::create_dir_all(root)?;
        Ok(Store { root: root.to_owned(), buckets, written: AtomicU64::new(0) })
    }

    fn description(&self, bucket: &str, key: &str) -> PathBuf {
        self.root.join(format!("{}.json", sha256_hex(format!("{bucket}/{key}").as_bytes())))
    }

    fn bucket(&self, bucket: &str) -> S3Result<()> {
        if self.buckets.iter().any(|known| known == bucket) { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
    }

    async fn object(&self, bucket: &str, key: &str) -> S3Result<Object> {
        self.bucket(bucket)?;
        match tokio::fs::read(self.description(bucket, key)).await {
            Ok(json) => serde_json::from_slice(&json).map_err(internal),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(s3_error!(NoSuchKey)),
            Err(error) => Err(internal(error)),
        }
    }

    /// A name for bytes that no other has.
    fn unique(&self) -> String {
        let unique = self.written.fetch_add(1, Ordering::Relaxed);
        format!("{}-{}-{unique}.bytes", jiff::Timestamp::now().as_nanosecond(), std::process::id())
    }

    /// The folder of an upload in parts: its id comes from outside.
    fn parts(&self, upload_id: &str) -> S3Result<PathBuf> {
        let ours = upload_id.len() == 32 && upload_id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if ours { Ok(self.root.join(format!("{upload_id}.parts"))) } else { Err(s3_error!(NoSuchUpload)) }
    }

    /// Makes an object whose bytes are written, in place of the one there was.
    async fn publish(&self, object: Object) -> S3Result<()> {
        let description = self.description(&object.bucket, &object.key);
        let before = self.object(&object.bucket, &object.key).await.ok();
        let aside = self.root.join(format!("{}.aside", object.bytes_in));
        tokio::fs::write(&aside, serde_json::to_vec(&object).map_err(internal)?).await.map_err(internal)?;
        tokio::fs::rename(&aside, description).await.map_err(internal)?;
        if let Some(before) = before {
            let _ = tokio::fs::remove_file(self.root.join(before.bytes_in)).await;
        }
        Ok(())
    }

    async fn write(&self, name: &str, mut body: Option<StreamingBlob>) -> S3Result<(u64, String)> {
        let mut file = tokio::fs::File::create(self.root.join(name)).await.map_err(internal)?;
        let (mut size, mut hash) = (0, Sha256::new());
        while let Some(body) = &mut body
            && let Some(chunk) = body.next().await
        {
            let chunk = chunk.map_err(|error| s3_error!(IncompleteBody, "{error}"))?;
            size += chunk.len() as u64;
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(internal)?;
        }
        file.flush().await.map_err(internal)?;
        Ok((size, hex(&hash.finalize()[..16])))
    }
}

fn internal(error: impl std::fmt::Display) -> s3s::S3Error {
    s3_error!(InternalError, "{error}")
}

#[async_trait::async_trait]
impl S3 for Store {
    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let PutObjectInput {
            bucket, key, body, content_type, content_disposition, content_length, if_none_match, ..
        } = request.input;
        self.bucket(&bucket)?;
        if if_none_match.is_some() && self.object(&bucket, &key).await.is_ok() {
            return Err(s3_error!(PreconditionFailed));
        }
        let bytes_in = self.unique();
        let (size, e_tag) = self.write(&bytes_in, body).await?;
        if content_length.and_then(|length| u64::try_from(length).ok()).is_some_and(|length| length != size) {
            return Err(s3_error!(IncompleteBody));
        }
        let object = Object { bucket, key, bytes_in, size, e_tag: e_tag.clone(), content_type, content_disposition };
        self.publish(object).await?;
        Ok(S3Response::new(PutObjectOutput { e_tag: Some(ETag::Strong(e_tag)), ..Default::default() }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let CreateMultipartUploadInput { bucket, key, content_type, content_disposition, .. } = request.input;
        self.bucket(&bucket)?;
        let id = hex(&Random::system().bytes::<16>());
        let folder = self.parts(&id)?;
        tokio::fs::create_dir_all(&folder).await.map_err(internal)?;
        let begun = Begun { bucket: bucket.clone(), key: key.clone(), content_type, content_disposition };
        tokio::fs::write(folder.join("begun"), serde_json::to_vec(&begun).map_err(internal)?)
            .await
            .map_err(internal)?;
        let output = CreateMultipartUploadOutput {
            bucket: Some(bucket),
            key: Some(key),
            upload_id: Some(id),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let UploadPartInput { body, part_number, upload_id, .. } = request.input;
        let folder = self.parts(&upload_id)?;
        if !folder.join("begun").exists() {
            return Err(s3_error!(NoSuchUpload));
        }
        let (_, e_tag) = self.write(&format!("{}/{part_number}", file_name(&folder)), body).await?;
        Ok(S3Response::new(UploadPartOutput { e_tag: Some(ETag::Strong(e_tag)), ..Default::default() }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let folder = self.parts(&request.input.upload_id)?;
        let begun = tokio::fs::read(folder.join("begun")).await.map_err(|_| s3_error!(NoSuchUpload))?;
        let Begun { bucket, key, content_type, content_disposition } =
            serde_json::from_slice(&begun).map_err(internal)?;
        let parts = request.input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let numbers: Vec<i32> = parts.iter().filter_map(|part| part.part_number).collect();
        if numbers.is_empty() || !numbers.is_sorted() {
            return Err(s3_error!(InvalidPartOrder));
        }
        let bytes_in = self.unique();
        let mut whole = tokio::fs::File::create(self.root.join(&bytes_in)).await.map_err(internal)?;
        let mut size = 0;
        for (at, number) in numbers.iter().enumerate() {
            let mut part =
                tokio::fs::File::open(folder.join(number.to_string())).await.map_err(|_| s3_error!(InvalidPart))?;
            let copied = tokio::io::copy(&mut part, &mut whole).await.map_err(internal)?;
            if copied < SMALLEST_PART && at + 1 < numbers.len() {
                return Err(s3_error!(EntityTooSmall));
            }
            size += copied;
        }
        whole.flush().await.map_err(internal)?;
        let e_tag = format!("{}-{}", sha256_hex(bytes_in.as_bytes())[..32].to_owned(), numbers.len());
        let object = Object { bucket, key, bytes_in, size, e_tag: e_tag.clone(), content_type, content_disposition };
        self.publish(object).await?;
        tokio::fs::remove_dir_all(folder).await.map_err(internal)?;
        let output = CompleteMultipartUploadOutput { e_tag: Some(ETag::Strong(e_tag)), ..Default::default() };
        Ok(S3Response::new(output))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let folder = self.parts(&request.input.upload_id)?;
        tokio::fs::remove_dir_all(folder).await.map_err(|_| s3_error!(NoSuchUpload))?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let object = self.object(&input.bucket, &input.key).await?;
        let mut bytes = tokio::fs::read(self.root.join(&object.bytes_in)).await.map_err(internal)?;
        let mut content_range = None;
        if let Some(range) = input.range {
            let range = range.check(object.size).map_err(|_| s3_error!(InvalidRange))?;
            content_range = Some(format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), object.size));
            let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
            bytes = bytes[at(range.start)..at(range.end)].to_vec();
        }
        Ok(S3Response::new(GetObjectOutput {
            content_length: i64::try_from(bytes.len()).ok(),
            content_range,
            content_type: object.content_type,
            content_disposition: input.response_content_disposition.or(object.content_disposition),
            e_tag: Some(ETag::Strong(object.e_tag)),
            body: Some(StreamingBlob::from(Body::from(bytes))),
            ..Default::default()
        }))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let object = self.object(&request.input.bucket, &request.input.key).await?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: i64::try_from(object.size).ok(),
            content_type: object.content_type,
            content_disposition: object.content_disposition,
            e_tag: Some(ETag::Strong(object.e_tag)),
            ..Default::default()
        }))
    }
}
