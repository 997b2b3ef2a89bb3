//! Wiring: see [`api`].

use api::config::Config;
use mailroom_lambda::start;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), start::Error> {
    start::log();
    start::run(Config::from_env().and_then(|config| api::assemble(&config))).await
}
