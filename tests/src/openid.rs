//! The OpenID provider of the scenarios, and the mail servers that ask it whether a token holds.

use std::path::Path;

use mailroom_local::certificates::Certificates;
use mailroom_local::deploy::ConsoleSignIn;
use mailroom_local::dovecot::{Dovecot, TokenLogins};
use mailroom_local::http;
use mailroom_local::openid::OpenIdProvider;
use mailroom_local::toolbox::Toolbox;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::or_panic::or_panic;
use crate::secret_scan;

/// The names of the roles that give people rights in the console: to read, to write, to send.
pub const RIGHTS: &str = "mailroom/read,mailroom/write,mailroom/send";

/// A way to log in with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// XOAUTH2, as Google defines it.
    Xoauth2,
    /// OAUTHBEARER, the standard (RFC 7628).
    Oauthbearer,
}

/// A provider with two mail servers that introspect its tokens.
#[derive(Debug)]
pub struct OpenId {
    provider: OpenIdProvider,
    xoauth2: Dovecot,
    oauthbearer: Dovecot,
    runtime: Runtime,
}

/// A client that is registered at the provider.
#[derive(Debug, Clone)]
pub struct Client {
    /// The `client_id` that the provider has chosen.
    pub id: String,
    /// The `client_secret`; empty for a public client, or one with a key.
    pub secret: String,
}

impl OpenId {
    pub(crate) fn start(dir: &Path, certificates: &Certificates) -> Self {
        let toolbox = Toolbox::here();
        std::fs::create_dir_all(dir).expect("a folder");
        let provider = or_panic(OpenIdProvider::start(&toolbox, dir, Some(certificates)));
        let server = |mechanism: &str| {
            let tokens = TokenLogins {
                mechanisms: mechanism.to_owned(),
                introspection_url: provider.introspection_url(),
            };
            or_panic(Dovecot::start_with(&dir.join(mechanism), certificates, Some(&tokens)))
        };
        let (xoauth2, oauthbearer) = (server("xoauth2"), server("oauthbearer"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        Self { provider, xoauth2, oauthbearer, runtime }
    }

    /// The provider itself, for its addresses.
    #[must_use]
    pub const fn provider(&self) -> &OpenIdProvider {
        &self.provider
    }

    /// The mail server that takes tokens by this mechanism only.
    #[must_use]
    pub const fn dovecot(&self, mechanism: Mechanism) -> &Dovecot {
        match mechanism {
            Mechanism::Xoauth2 => &self.xoauth2,
            Mechanism::Oauthbearer => &self.oauthbearer,
        }
    }

    /// Registers a client with this metadata (RFC 7591).
    ///
    /// # Panics
    /// When the provider does not take it.
    #[must_use]
    pub fn register(&self, metadata: &Value) -> Client {
        let answer = self.post(&self.provider.registration_url(), metadata);
        let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let client = Client { id: text("client_id"), secret: text("client_secret") };
        assert!(!client.id.is_empty(), "{answer}");
        secret_scan::watch([client.secret.clone()]);
        client
    }

    /// Registers the console that browsers reach at this address.
    #[must_use]
    pub fn register_console(&self, public_url: &str) -> ConsoleSignIn {
        let client = self.register(&json!({
            "client_name": "Mailroom", "application_type": "web", "token_endpoint_auth_method": "none",
            "redirect_uris": [format!("{public_url}/console/sign-in/callback")],
            "grant_types": ["authorization_code"], "response_types": ["code"],
        }));
        ConsoleSignIn { issuer: self.provider.issuer(), client_id: client.id, rights: RIGHTS.to_owned() }
    }

    /// Changes the provider's behaviour: how long tokens hold, what time it is. Returns what it knows.
    pub fn control(&self, change: &Value) -> Value {
        self.post(&self.provider.control_url(), change)
    }

    /// Revokes a token as its client (RFC 7009).
    pub fn revoke(&self, client: &Client, token: &str) {
        let url = self.provider.registration_url().replace("/reg", "/token/revocation");
        let form = [("token", token), ("client_id", &client.id), ("client_secret", &client.secret)];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let answer = std::thread::scope(|scope| {
            scope.spawn(|| self.runtime.block_on(http::post_form(&url, &body))).join().expect("no panic")
        });
        assert_eq!(or_panic(answer).status, 200);
    }

    /// How often a grant was asked for and ended like this, such as `refresh_token 200`.
    #[must_use]
    pub fn requests(&self, kind: &str) -> u64 {
        self.control(&json!({}))
            .pointer(&format!("/requests/{kind}"))
            .and_then(Value::as_u64)
            .unwrap_or_default()
    }

    /// All tokens that were ever given out.
    #[must_use]
    pub fn issued(&self) -> Vec<String> {
        let known = self.control(&json!({}));
        let issued = known.get("issued").and_then(Value::as_array).cloned().unwrap_or_default();
        issued.iter().filter_map(|token| token.as_str().map(str::to_owned)).collect()
    }

    fn post(&self, url: &str, body: &Value) -> Value {
        let answer = std::thread::scope(|scope| {
            scope.spawn(|| self.runtime.block_on(http::post(url, body))).join().expect("no panic")
        });
        or_panic(answer).body
    }
}
