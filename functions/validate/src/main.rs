//! The Lambda binary of `validate`: see the library beside it for what it does.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    bridge::run::http(validate::Validate::new, validate::handle).await
}
