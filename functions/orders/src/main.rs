//! The Lambda binary of `orders`: see the library beside it for what it does.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    bridge::run::http(orders::OrdersApi::new, orders::handle).await
}
