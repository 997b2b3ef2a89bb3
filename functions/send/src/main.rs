//! Wiring: see [`send`].

use mailroom_lambda::start;
use send::config::Config;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), start::Error> {
    start::log();
    start::run(Config::from_env().and_then(|config| send::assemble(&config))).await
}
