//! The Lambda binary of `push-drain`: see the library beside it for what it does.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    bridge::run::schedule(push_drain::PushDrain::new, push_drain::handle).await
}
