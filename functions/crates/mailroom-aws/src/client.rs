//! One configuration and one HTTP client for all services.
//!
//! Built by hand: the SDK's own loader brings SSO and STS code to every cold start, and in Lambda all it would find is
//! in these variables.

use std::env;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::sdk_config::{RetryConfig, TimeoutConfig};

/// A connection is there at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// One try, with the largest object we put.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

/// All tries of one operation.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(45);

/// Tries of one operation, the first included.
const ATTEMPTS: u32 = 4;

/// The longest wait before the second try; it doubles. The SDK's own second is long beside calls of milliseconds.
const FIRST_BACKOFF: Duration = Duration::from_millis(250);

/// What the services' clients are made from. Connects to nothing.
#[derive(Debug, Clone)]
pub struct Clients {
    pub(crate) config: SdkConfig,
    /// Whether the endpoint is not AWS itself, and so has no DNS name for each bucket.
    pub(crate) custom_endpoint: bool,
}

/// The environment lacks what the SDK needs.
#[derive(Debug, thiserror::Error)]
#[error("missing in the environment: {0}")]
pub struct ConfigError(&'static str);

impl Clients {
    /// From `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` and `AWS_ENDPOINT_URL`, as
    /// Lambda sets them.
    ///
    /// # Errors
    /// Names the first that is missing; token and endpoint are optional.
    #[expect(clippy::disallowed_methods, reason = "the SDK's own variables, read here and nowhere else")]
    pub fn from_env() -> Result<Self, ConfigError> {
        let optional = |name| env::var(name).ok().filter(|value: &String| !value.is_empty());
        let required = |name: &'static str| optional(name).ok_or(ConfigError(name));
        let credentials = Credentials::new(
            required("AWS_ACCESS_KEY_ID")?,
            required("AWS_SECRET_ACCESS_KEY")?,
            optional("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        Ok(Self::build(required("AWS_REGION")?, credentials, optional("AWS_ENDPOINT_URL")))
    }

    /// For an emulator at `endpoint`, where the access key names the account.
    #[must_use]
    pub fn for_emulator(endpoint: &str, region: &str, access_key: &str, secret_key: &str) -> Self {
        let credentials = Credentials::new(access_key, secret_key, None, None, "emulator");
        Self::build(region.to_owned(), credentials, Some(endpoint.to_owned()))
    }

    /// A client of S3, which has no DNS name for each bucket anywhere but at AWS itself.
    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.config);
        aws_sdk_s3::Client::from_conf(config.force_path_style(self.custom_endpoint).build())
    }

    fn build(region: String, credentials: Credentials, endpoint: Option<String>) -> Self {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let mut config = SdkConfig::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http)
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .timeout_config(timeouts)
            .retry_config(
                RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_BACKOFF),
            );
        config.set_endpoint_url(endpoint.clone());
        Self { config: config.build(), custom_endpoint: endpoint.is_some() }
    }

    /// The configuration, for the tools beside the functions that need a service of their own.
    #[must_use]
    pub const fn sdk_config(&self) -> &SdkConfig {
        &self.config
    }
}

#[cfg(test)]
impl Clients {
    /// The endpoint of what is never reached.
    pub(crate) const CANNED_ENDPOINT: &str = "http://aws.invalid";

    /// Clients that are answered by `http` and hardly wait before another try.
    pub(crate) fn answered_by(http: aws_types::sdk_config::SharedHttpClient) -> Self {
        let clients = Self::for_emulator(Self::CANNED_ENDPOINT, "eu-central-1", "key", "secret");
        let retries = RetryConfig::standard()
            .with_max_attempts(ATTEMPTS)
            .with_initial_backoff(Duration::from_millis(1));
        let config = clients.config.into_builder().http_client(http).retry_config(retries).build();
        Self { config, custom_endpoint: true }
    }
}
