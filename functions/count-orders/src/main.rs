//! The Lambda binary of `count-orders`: see the library beside it for what it does.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    bridge::run::schedule(count_orders::CountOrders::new, count_orders::handle).await
}
