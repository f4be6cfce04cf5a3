//! The Lambda binary of `accounts`: see the library beside it for what it does.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    bridge::run::http(accounts::AccountsApi::new, accounts::handle).await
}
