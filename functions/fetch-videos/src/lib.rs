//! Each minute: fetches the videos behind the stills that came (*The uploadPictures Web Service*), before their links
//! end.
//!
//! A video is streamed to S3 in parts, so that memory stays flat whatever its size. It is claimed first; a claim ends
//! after this invocation surely has, and what became of a video is written only while the claim holds. What fails is
//! tried again until the link ends; a crash leaves parts that S3 drops by itself, and the next attempt starts over.

use std::sync::Arc;
use std::time::Duration;

use bridge::files::{self, Files, Parts};
use bridge::format::sniff;
use bridge::http::guarded;
use bridge::outbound::{GetError, Outbound};
use bridge::run::Deadline;
use bridge::secrets::{hex, sha256_hex};
use bridge::settings::SettingError;
use bridge::telemetry::{Telemetry, Unit};
use bridge::time::{Clock, Random, Waits};
use bridge::uploads::{UploadRow, Uploads, Video, VideoState, Written};
use bridge::{Dependencies, StoreError};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use lambda_runtime::Error;
use secrecy::SecretString;
use sha2::{Digest, Sha256};

/// Videos fetched at a time: each holds up to two parts in memory.
const AT_ONCE: usize = 2;

/// Videos looked at in an invocation.
const BATCH: i32 = 50;

/// S3 takes no part below 5 MB but the last.
const PART: usize = 8 * 1024 * 1024;

/// Kept free at the end of an invocation, to write what an attempt came to. An attempt begins only if more than this
/// is left besides.
const RESERVE: Duration = Duration::from_secs(30);

/// The waits after the first attempt, the second and so on; after those, the last of them each time.
const RETRIES: [Duration; 4] =
    [Duration::from_secs(60), Duration::from_secs(5 * 60), Duration::from_secs(15 * 60), Duration::from_secs(60 * 60)];

/// So long before its link ends a video is tried each minute, in milliseconds.
const LAST_MINUTES: i64 = 10 * 60_000;

/// What the function needs.
pub struct FetchVideos {
    telemetry: Telemetry,
    uploads: Uploads,
    files: Files,
    clock: Clock,
    random: Random,
    waits: Waits,
    outbound: Outbound,
    client: reqwest::Client,
    hosts: Vec<String>,
    max_megabytes: u64,
}

impl FetchVideos {
    /// Reads `UPLOADS_TABLE`, `FILES_BUCKET`, `VIDEO_HOSTS` and `MAX_VIDEO_MEGABYTES`.
    pub fn new(dependencies: &Dependencies) -> Result<FetchVideos, SettingError> {
        let no_tls = SettingError::Invalid { name: "SSL_CERT_FILE", fault: "the root certificates could not be read" };
        let not_a_number = SettingError::Invalid { name: "MAX_VIDEO_MEGABYTES", fault: "it must be a whole number" };
        Ok(FetchVideos {
            telemetry: Telemetry::new(dependencies, "fetch-videos"),
            uploads: Uploads::new(dependencies)?,
            files: Files::new(dependencies)?,
            clock: dependencies.clock.clone(),
            random: dependencies.random.clone(),
            waits: dependencies.waits,
            outbound: dependencies.outbound.clone(),
            client: dependencies.outbound.streaming_client().map_err(|_| no_tls)?,
            hosts: dependencies.settings.get("VIDEO_HOSTS")?.split(',').map(str::to_owned).collect(),
            max_megabytes: dependencies.settings.get("MAX_VIDEO_MEGABYTES")?.parse().map_err(|_| not_a_number)?,
        })
    }
}

/// Why a video isn't there yet. Hosts read it; nothing in it repeats the link.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Link(#[from] GetError),
    #[error("the connection broke before the video's end")]
    CutShort,
    #[error("the video came too slowly")]
    TooSlow,
    #[error("the link gave a page or message and no video")]
    NoVideo,
    #[error("the video is larger than MaxVideoMegabytes ({0} MB)")]
    TooLarge(u64),
    #[error("the video could not be stored")]
    Store(#[from] StoreError),
}

/// Fetches what is due, until it is done or the time is up. The next tick goes on.
pub async fn handle(state: Arc<FetchVideos>, deadline: Deadline) -> Result<(), Error> {
    let mut record = state.telemetry.tick(&deadline.request_id);
    let due = state.uploads.videos_due(state.clock.now_ms(), BATCH).await;
    let due = due.inspect_err(|error| record.fault(&error.to_string()))?;
    let (state, deadline) = (&state, &deadline);
    let attempts: Vec<Result<Option<Attempt>, StoreError>> = futures_util::stream::iter(due)
        .map(|due| async move {
            let attempt = guarded(fetch(state, &due, deadline), || Err(panicked())).await;
            attempt.inspect_err(|error| match error.is_contention() {
                true => tracing::warn!(account = %due.0, %error, "video.contended"),
                false => tracing::error!(account = %due.0, %error, "video.failed"),
            })
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let attempted = || attempts.iter().flatten().flatten();
    let count = |state: VideoState| attempted().filter(|attempt| attempt.state == state).count() as u64;
    record.counts([("Fetched", count(VideoState::Stored)), ("Expired", count(VideoState::Expired))]);
    let left = attempted().filter(|attempt| attempt.state == VideoState::Pending).map(|attempt| attempt.left_ms).min();
    if let Some(left) = left {
        record.metric("HoursLeft", Unit::None, left as f64 / 3_600_000.0);
    }
    let (contended, failed): (Vec<&StoreError>, Vec<&StoreError>) =
        attempts.iter().filter_map(|attempt| attempt.as_ref().err()).partition(|error| error.is_contention());
    match state.uploads.videos_pending().await {
        Err(error) => record.store_failed(&error),
        Ok(pending) => {
            record.counts([("Pending", pending)]);
            match (failed.len(), contended.first()) {
                (0, None) => record.ok(),
                (0, Some(error)) => record.store_failed(error),
                (failed, _) => record.fault(&format!("{failed} videos failed")),
            }
        }
    }
    Ok(())
}

fn panicked() -> StoreError {
    StoreError::Call { operation: "the attempt", reason: "it panicked".to_owned() }
}

/// What became of a video for now.
struct Attempt {
    state: VideoState,
    /// Until its link ends, in milliseconds.
    left_ms: i64,
}

/// `None` if another has it, or there is no time left.
async fn fetch(
    state: &FetchVideos,
    due: &(String, String, i64),
    deadline: &Deadline,
) -> Result<Option<Attempt>, StoreError> {
    let begun = state.clock.now_ms();
    let time = u64::try_from(deadline.at_ms.saturating_sub(begun)).map(Duration::from_millis).unwrap_or_default();
    let Some(time) = time.checked_sub(RESERVE).filter(|time| *time > RESERVE) else { return Ok(None) };
    let claim = hex(&state.random.bytes::<16>());
    let Some(mut row) = state.uploads.claim_video(due, &claim, deadline.at_ms.saturating_add(60_000)).await? else {
        return Ok(None);
    };
    let Some(video) = row.video.clone() else { return Ok(None) };
    let mut parts = None;
    let fetched = tokio::time::timeout(time, stream(state, &row, &video, &mut parts)).await;
    let fetched = fetched.unwrap_or(Err(Fault::TooSlow));
    if let (Err(_), Some(parts)) = (&fetched, parts) {
        parts.abandon().await;
    }
    let now = state.clock.now_ms();
    let attempts = video.attempts + 1;
    let mut settled = Video { attempts, claim: None, error: None, ..video };
    match fetched {
        Ok(stored) => {
            settled = Video { state: VideoState::Stored, attempts, claim: None, error: None, ..stored };
            row.video_due = None;
        }
        Err(fault) if now >= settled.until => {
            settled.state = VideoState::Expired;
            settled.error = Some(format!("{fault}, and the link has ended: publish the video again in Pruvan"));
            row.video_due = None;
        }
        Err(fault) => {
            if let Fault::Store(error) = &fault {
                tracing::error!(account = %row.username, %error, "store.failed");
            }
            settled.error = Some(fault.to_string());
            let tried = usize::try_from(settled.attempts).unwrap_or(usize::MAX);
            let wait = RETRIES[tried.clamp(1, RETRIES.len()) - 1];
            // Shortly before the link ends each minute counts.
            let last = settled.until - LAST_MINUTES;
            let next = if now < last { (now + state.waits.ms(wait)).min(last) } else { now + 60_000 };
            row.video_due = Some(next.min(settled.until));
        }
    }
    let outcome = settled.state;
    tracing::info!(
        account = %row.username, order = %row.number(), ?outcome, attempt = settled.attempts, error = ?settled.error,
        bytes = settled.size, duration_ms = now - begun, "video.attempted"
    );
    let left_ms = settled.until - now;
    row.video = Some(settled);
    if state.uploads.settle_video(&row, &claim).await? == Written::Overtaken {
        tracing::info!(account = %row.username, "video.overtaken");
        return Ok(None);
    }
    Ok(Some(Attempt { state: outcome, left_ms }))
}

/// Streams a video to S3. `parts` is set once the upload has begun, so that the caller can abandon it.
async fn stream(
    state: &FetchVideos,
    row: &UploadRow,
    video: &Video,
    parts: &mut Option<Parts>,
) -> Result<Video, Fault> {
    let max = state.max_megabytes.saturating_mul(1_000_000);
    let link = SecretString::from(video.uri.as_str());
    let mut reply = state.outbound.get(&state.client, &link, &state.hosts).await?;
    let (mut waiting, mut size, mut hash) = (BytesMut::new(), reply.content_length().unwrap_or(0), Sha256::new());
    if size > max {
        return Err(Fault::TooLarge(state.max_megabytes));
    }
    size = 0;
    loop {
        let chunk = reply.chunk().await.map_err(|_| Fault::CutShort)?;
        let ended = chunk.is_none();
        if let Some(chunk) = chunk {
            size += chunk.len() as u64;
            if size > max {
                return Err(Fault::TooLarge(state.max_megabytes));
            }
            hash.update(&chunk);
            waiting.extend_from_slice(&chunk);
        }
        if waiting.len() < PART && !ended {
            continue;
        }
        if parts.is_none() {
            *parts = Some(begin(state, row, video, &waiting).await?);
        }
        let Some(parts) = parts else { continue };
        while waiting.len() >= PART || (ended && !waiting.is_empty()) {
            let part = waiting.split_to(waiting.len().min(PART)).freeze();
            parts.add(part).await?;
        }
        if ended {
            parts.finish().await?;
            return Ok(Video {
                path: Some(parts.path().to_owned()),
                content_type: Some(parts.content_type().to_owned()),
                sha256: Some(hex(&hash.finalize())),
                size,
                ..video.clone()
            });
        }
    }
}

/// Looks at a video's first bytes and begins to store it.
async fn begin(state: &FetchVideos, row: &UploadRow, video: &Video, first: &[u8]) -> Result<Parts, Fault> {
    if matches!(first.trim_ascii_start().first(), None | Some(b'<' | b'{' | b'[')) {
        return Err(Fault::NoVideo);
    }
    let format = sniff(first, "");
    // The same link gives the same name: a second attempt leaves no second object.
    let name = sha256_hex(video.uri.as_bytes());
    let path = files::path(&row.username, row.number(), row.item(), &name, format.extension);
    Ok(state.files.begin(path, format.content_type).await?)
}
