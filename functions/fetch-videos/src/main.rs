//! The Lambda binary of `fetch-videos`: see the library beside it for what it does.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    bridge::run::schedule(fetch_videos::FetchVideos::new, fetch_videos::handle).await
}
