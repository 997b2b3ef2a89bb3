//! Wiring: see [`audit`].

use audit::config::Config;
use mailroom_lambda::start;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), start::Error> {
    start::log();
    start::run(Config::from_env().and_then(|config| audit::assemble(&config))).await
}
