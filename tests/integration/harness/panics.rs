//! A function like all others, but for its handler, which panics when it is told to: see `binaries.rs`.

use bridge::http::{TRY_AGAIN, guarded, to_pruvan};
use lambda_http::{Error, Request};
use pruvan::upload::UploadReply;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    bridge::run::http(
        |_| Ok(()),
        |_, request: Request| async move {
            let told_to = request.uri().path().ends_with("/panic");
            let work = async {
                assert!(!told_to, "as told");
                UploadReply::stored()
            };
            to_pruvan(&guarded(work, || UploadReply::refused(TRY_AGAIN)).await)
        },
    )
    .await
}
