//! `cargo run -p local -- download ORDER`: all files of an order, in folders by task and evidence type.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{CallError, HostClient, segment};
use crate::signer::SetupError;

/// What to fetch.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The work order number
    pub order: String,
    /// The account
    #[arg(long)]
    pub username: String,
    /// Base URL of the host's API: the output HostUrl of the stack
    #[arg(long, default_value = "http://127.0.0.1:9000")]
    pub url: String,
    /// Folder for the files, made if need be; by default one named like the order
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
}

/// Why not all files are there.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The API can't be called.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The API said no.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A name that would lead out of the folder.
    #[error("the manifest has a name that no file may have here: {0:?}")]
    Name(String),
    /// A file didn't come, or can't be written.
    #[error("{} could not be fetched: {reason}", file.display())]
    Fetch {
        /// Path on this machine at which the file belongs.
        file: PathBuf,
        /// Why it isn't there.
        reason: String,
    },
}

/// How many files there are after a download, and how large they are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Downloaded {
    /// How many files were fetched by this download.
    pub fetched: usize,
    /// Files that were there already, whole.
    pub there: usize,
    /// Size of all these files in bytes, with those that were there already.
    pub bytes: u64,
}

/// The command: fetches the files and says how many there are.
pub async fn command(options: Options) -> Result<(), DownloadError> {
    let into = options.into.unwrap_or_else(|| PathBuf::from(segment(&options.order)));
    let host = HostClient::new(&options.url)?;
    let done = run(&host, &options.username, &options.order, &into).await?;
    eprintln!(
        "{} files fetched, {} there already, {:.1} MB in {}",
        done.fetched,
        done.there,
        done.bytes as f64 / 1e6,
        into.display()
    );
    Ok(())
}

/// Fetches the files of `order` into the folder `into`. What is there already, with the same bytes, is left alone, so
/// that a download that broke off goes on.
pub async fn run(host: &HostClient, username: &str, order: &str, into: &Path) -> Result<Downloaded, DownloadError> {
    let path = format!("/accounts/{}/orders/{}/manifest?limit=500", segment(username), segment(order));
    let client = reqwest::Client::new();
    let (mut done, mut cursor) = (Downloaded::default(), None);
    let style = ProgressStyle::with_template("{wide_msg} {pos:>5} files {bar:30} {percent:>3} %");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    loop {
        let page = match &cursor {
            None => host.get(&path).await?,
            Some(cursor) => host.get(&format!("{path}&cursor={cursor}")).await?,
        };
        let files = page["files"].as_array().cloned().unwrap_or_default();
        bar.inc_length(files.len() as u64);
        for file in &files {
            let name = file["name"].as_str().unwrap_or_default();
            bar.set_message(name.to_owned());
            let to = place(into, name)?;
            if whole(&to, file).await {
                done.there += 1;
            } else {
                fetch(&client, file, &to).await?;
                done.fetched += 1;
            }
            done.bytes += tokio::fs::metadata(&to).await.map_or(0, |metadata| metadata.len());
            bar.inc(1);
        }
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            bar.finish_and_clear();
            return Ok(done);
        }
    }
}

/// Below `into`, whatever the name says.
fn place(into: &Path, name: &str) -> Result<PathBuf, DownloadError> {
    let odd = |part: &str| part.is_empty() || part.starts_with('.') || part.contains(['\\', ':', '\0']);
    if name.is_empty() || name.split('/').any(odd) {
        return Err(DownloadError::Name(name.to_owned()));
    }
    Ok(name.split('/').fold(into.to_owned(), |path, part| path.join(part)))
}

/// Whether the file is there, with the bytes that it must have.
async fn whole(path: &Path, file: &Value) -> bool {
    let Some(sha256) = file["sha256"].as_str() else { return false };
    sha256_of(path).await.is_ok_and(|found| found == sha256)
}

async fn sha256_of(path: &Path) -> std::io::Result<String> {
    let (mut file, mut hash) = (tokio::fs::File::open(path).await?, Sha256::new());
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece).await? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&piece[..read]),
        }
    }
}

/// Streams a file aside, checks it, and gives it its name.
async fn fetch(client: &reqwest::Client, file: &Value, to: &Path) -> Result<(), DownloadError> {
    let failed =
        |reason: &dyn std::fmt::Display| DownloadError::Fetch { file: to.to_owned(), reason: reason.to_string() };
    let folder = to.parent().ok_or_else(|| failed(&"it has no folder"))?;
    tokio::fs::create_dir_all(folder).await.map_err(|error| failed(&error))?;
    let aside = to.with_extension("part");
    let mut written = tokio::fs::File::create(&aside).await.map_err(|error| failed(&error))?;
    let reply = client.get(file["link"].as_str().unwrap_or_default()).send().await;
    let mut reply =
        reply.and_then(reqwest::Response::error_for_status).map_err(|error| failed(&error.without_url()))?;
    let mut hash = Sha256::new();
    while let Some(chunk) = reply.chunk().await.map_err(|error| failed(&error.without_url()))? {
        hash.update(&chunk);
        written.write_all(&chunk).await.map_err(|error| failed(&error))?;
    }
    written.flush().await.map_err(|error| failed(&error))?;
    if file["sha256"].as_str().is_some_and(|sha256| sha256 != hex::encode(hash.finalize())) {
        return Err(failed(&"it came other than it was stored: try again"));
    }
    tokio::fs::rename(&aside, to).await.map_err(|error| failed(&error))
}
