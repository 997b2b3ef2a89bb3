//! The flow as a Lambda function. Environment: `MAILROOM_API` is the URL of the API; `MAILROOM_API_TOKEN` a token for it,
//! where it asks for one.

use example_flow::Flow;
use example_flow::api::Api;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let flow = &Flow::new(Api::from_env()?);
    run(service_fn(|event: LambdaEvent<_>| async move { Ok::<_, Error>(flow.batch(event.payload).await) }))
        .await
}
