//! Wiring: the environment, the services, the runtime.

use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use send::config::Config;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing_subscriber::fmt().json().with_target(false).with_current_span(true).without_time().init();
    let config = Config::from_env()?;
    let function = Arc::new(send::assemble(&config)?);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<serde_json::Value>| {
        let function = Arc::clone(&function);
        async move {
            // Boxed: the futures of all the services in one type are more than the compiler wants to lay out.
            Box::pin(function.handle(event.payload, event.context.deadline)).await.map_err(Error::from)
        }
    }))
    .await
}
