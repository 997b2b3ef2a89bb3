//! The demo's sign-in: a client registered at the provider, and a person in front of a browser.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::parts::{Demo, refused};
use super::running::LOGIN;
use crate::http;
use crate::openid::{self, OpenIdProvider};
use crate::problem::Problem;
use crate::progress::say;
use crate::stack::Stack;

/// How long a person has to sign in: as long as the address is valid.
const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(600);

/// How often the profile is read.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// The login of a profile whose client is registered for it.
///
/// # Errors
/// When the provider does not take the client.
pub(super) async fn auth(stack: &Stack, provider: &OpenIdProvider) -> Result<Value, Problem> {
    let redirect = format!("{}/oauth2/callback", stack.api.url);
    let made = http::post(&provider.registration_url(), &openid::client(&redirect)).await?;
    let member = |name: &str| made.body.get(name).cloned().unwrap_or_default();
    if made.status != 201 {
        return Err(Problem::new(format!("the OpenID provider refuses the client: {}", made.body)));
    }
    Ok(json!({
        "type": "oauth2", "login": LOGIN, "discovery_url": provider.issuer(),
        "client_id": member("client_id"), "client_secret": member("client_secret"),
        "scopes": ["openid", "email", "offline_access", "mail"],
    }))
}

/// Asks for a sign-in, and waits until a person has signed in.
///
/// # Errors
/// When the API refuses, or nobody comes.
pub(super) async fn sign_in(demo: &Demo) -> Result<(), Problem> {
    let profile = format!("{}/profiles/{}", demo.stack.api.url, demo.profile);
    let begun = http::post(&format!("{profile}/authorize"), &Value::Null).await?;
    let url = begun.body.get("authorization_url").and_then(Value::as_str);
    let url = url.ok_or_else(|| refused("sign-in", &begun))?;
    say(&format!(
        "\n  Sign in: open this address in a browser on this machine\n\n      {url}\n\n  \
         and log in as {LOGIN}, with any password: the provider ({}) is for this demo only.\n",
        demo.open_id.as_ref().map(OpenIdProvider::issuer).unwrap_or_default()
    ));
    // On a desktop the browser opens; without one, the person opens the address.
    let _ = Command::new("xdg-open").arg(url).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let since = Instant::now();
    loop {
        let shown = http::get(&profile).await?;
        if shown.body.pointer("/status/authorized") == Some(&Value::Bool(true)) {
            say("✓ signed in; from now on the mailbox is used with access tokens");
            return Ok(());
        }
        if since.elapsed() > SIGN_IN_TIMEOUT {
            return Err(Problem::new("nobody has signed in within ten minutes; start again"));
        }
        sleep(STATUS_INTERVAL).await;
    }
}
