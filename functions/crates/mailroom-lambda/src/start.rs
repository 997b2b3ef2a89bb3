//! From `main` to the first event, and from each event to its answer.

use std::future::Future;
use std::sync::Arc;

use lambda_runtime::{LambdaEvent, service_fn};
use mailroom_net::connect::{AllowedHosts, AllowedHostsError};
use mailroom_net::tls::{BundleError, Tls};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::clock;
use crate::env::{Environment, EnvironmentError};

pub use lambda_runtime::Error;

/// What a function does with its events. One handler serves all of them, one at a time, while the function is warm.
pub trait Handler: Send + Sync + 'static {
    /// What the event's source expects.
    type Response: Serialize + Send;
    /// Why an event as a whole was not handled.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Handles one event before `deadline`, when Lambda ends the process.
    fn handle(
        &self,
        event: Value,
        deadline: Instant,
    ) -> impl Future<Output = Result<Self::Response, Self::Error>> + Send;
}

/// Runs the function until Lambda ends the process. Call it once, from `main`.
///
/// # Errors
/// When the handler could not be made, or the runtime's API fails.
pub async fn run<H: Handler>(handler: Result<H, impl Into<Error>>) -> Result<(), Error> {
    let handler = Arc::new(handler.map_err(Into::into)?);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let handler = Arc::clone(&handler);
        let deadline = clock::deadline(clock::SYSTEM, event.context.deadline);
        async move {
            // Boxed: the compiler does not lay out the futures of all services in one type.
            Box::pin(handler.handle(event.payload, deadline)).await.map_err(Error::from)
        }
    }))
    .await
}

/// Logs as JSON lines, which CloudWatch stamps with the time.
pub fn log() {
    tracing_subscriber::fmt().json().with_target(false).with_current_span(true).without_time().init();
}

/// Which hosts the function may connect to, and what it trusts there.
#[derive(Clone)]
pub struct Network {
    /// `MAILROOM_ALLOWED_HOSTS`: hosts and networks that may be connected to although they are private. Optional.
    pub allowed: AllowedHosts,
    /// Always verified, with `MAILROOM_CA_BUNDLE` (PEM text, or the path of a PEM file beside the function; optional)
    /// in addition to the public roots.
    pub tls: Tls,
}

/// Why the network settings of the environment cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// Not a list of hosts and networks.
    #[error("MAILROOM_ALLOWED_HOSTS cannot be read")]
    AllowedHosts(#[source] AllowedHostsError),
    /// Not certificates in PEM.
    #[error("MAILROOM_CA_BUNDLE cannot be read")]
    CaBundle(#[source] BundleError),
}

/// The environment's network settings, before they are read.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    allowed_hosts: String,
    ca_bundle: Option<String>,
}

impl NetworkConfig {
    /// Takes the settings from the environment.
    #[must_use]
    pub fn from_env(environment: &Environment) -> Self {
        Self {
            allowed_hosts: environment.optional("MAILROOM_ALLOWED_HOSTS").unwrap_or_default(),
            ca_bundle: environment.optional("MAILROOM_CA_BUNDLE"),
        }
    }

    /// Parses the settings.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn network(&self) -> Result<Network, NetworkError> {
        Ok(Network {
            allowed: self.allowed_hosts.parse().map_err(NetworkError::AllowedHosts)?,
            tls: Tls::from_bundle(self.ca_bundle.as_deref()).map_err(NetworkError::CaBundle)?,
        })
    }
}

/// Why a function cannot start: its environment is wrong.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Variables are missing or wrong.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// Its network settings cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The AWS client cannot be set up.
    #[error("the AWS client cannot be set up")]
    Aws(#[source] Box<dyn std::error::Error + Send + Sync>),
}
