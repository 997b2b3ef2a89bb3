//! A function's own URL, which serves the API on an emulator without API Gateway's HTTP APIs. Its events are of the same
//! format (payload 2.0).

use aws_sdk_lambda::types::FunctionUrlAuthType;
use mailroom_aws::client::Clients;

use crate::emulator;
use crate::problem::{Problem, call_failed};

/// The function's URL, without a slash at its end; created if there is none.
///
/// # Errors
/// When the emulator has no function URLs.
pub(super) async fn ensure(clients: &Clients, endpoint: &str, function: &str) -> Result<String, Problem> {
    let lambda = aws_sdk_lambda::Client::new(clients.sdk_config());
    let url = match lambda.get_function_url_config().function_name(function).send().await {
        Ok(config) => config.function_url,
        Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => {
            let create = lambda.create_function_url_config().function_name(function);
            let created = create.auth_type(FunctionUrlAuthType::None).send().await;
            created.map_err(call_failed("CreateFunctionUrlConfig"))?.function_url
        }
        Err(error) => return Err(call_failed("GetFunctionUrlConfig")(error)),
    };
    Ok(reachable(&url, endpoint))
}

/// The URL by a name that needs no DNS, where the emulator is on this machine: every name below `localhost` is this machine
/// (RFC 6761 §6.3), whereas the emulator's own domain is looked up on the Internet.
fn reachable(url: &str, endpoint: &str) -> String {
    let url = url.trim_end_matches('/');
    let label = url.split_once("://").and_then(|(_, host)| host.split_once(".lambda-url."));
    match (emulator::loopback_port(endpoint), label) {
        (Some(port), Some((id, rest))) => {
            let region = rest.split('.').next().unwrap_or_default();
            format!("http://{id}.lambda-url.{region}.localhost:{port}")
        }
        (None, _) | (_, None) => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_on_this_machine_needs_no_dns() {
        let url = "http://abc.lambda-url.us-east-1.localhost.localstack.cloud:4566/";
        for (endpoint, reachable_url) in [
            ("http://127.0.0.1:4577", "http://abc.lambda-url.us-east-1.localhost:4577"),
            ("http://localhost:4566", "http://abc.lambda-url.us-east-1.localhost:4566"),
            ("http://aws:4566", "http://abc.lambda-url.us-east-1.localhost.localstack.cloud:4566"),
        ] {
            assert_eq!(reachable(url, endpoint), reachable_url);
        }
        assert_eq!(reachable("http://127.0.0.1:1/x", "http://127.0.0.1:1"), "http://127.0.0.1:1/x");
    }
}
