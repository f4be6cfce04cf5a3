//! The Lambda binary of `get-work-orders`: see the library beside it for what it does.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    bridge::run::streaming(
        get_work_orders::GetWorkOrders::new,
        get_work_orders::handle,
        get_work_orders::handle_buffered,
    )
    .await
}
