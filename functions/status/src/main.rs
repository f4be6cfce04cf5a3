//! The Lambda binary of `status`: see the library beside it for what it does.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    bridge::run::http(status::Status::new, status::handle).await
}
