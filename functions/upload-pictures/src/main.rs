//! The Lambda binary of `upload-pictures`: see the library beside it for what it does.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    bridge::run::http(upload_pictures::UploadPictures::new, upload_pictures::handle).await
}
