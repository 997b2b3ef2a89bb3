#![expect(clippy::disallowed_methods, reason = "a test has a clock of its own")]

use std::collections::HashMap;
use std::sync::Arc;

use mailroom_core::owner_error::ErrorCode;
use mailroom_core::ports::ClientCredential;
use serde_json::{Value, json};
use time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::discovery::Discovery;

/// The forms that a provider was sent, each with its Authorization header.
pub(crate) struct Provider {
    pub(crate) issuer: String,
    forms: mpsc::UnboundedReceiver<(HashMap<String, String>, Option<String>)>,
}

impl Provider {
    /// A provider on this machine whose token endpoint lets clients authenticate by `methods`.
    async fn start(methods: &[&str]) -> Self {
        let granted = json!({"access_token": "a", "token_type": "Bearer", "refresh_token": "r"});
        Self::answering(methods, 200, granted).await
    }

    /// The same, whose token endpoint answers every request in this way.
    pub(crate) async fn answering(methods: &[&str], status: u16, reply: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let document = json!({
            "issuer": issuer, "token_endpoint": format!("{issuer}/token"),
            "revocation_endpoint": format!("{issuer}/revoke"), "token_endpoint_auth_methods_supported": methods,
        });
        let (sender, forms) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                let (mut length, mut authorization, mut line) = (0, None, String::new());
                while stream.read_line(&mut line).await.unwrap() > 2 {
                    let (name, value) = line.trim().split_once(':').unwrap_or_default();
                    match name.to_ascii_lowercase().as_str() {
                        "content-length" => length = value.trim().parse().unwrap(),
                        "authorization" => authorization = Some(value.trim().to_owned()),
                        _ => {}
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await.unwrap();
                let answer = if body.is_empty() {
                    document.to_string()
                } else {
                    let form = url::form_urlencoded::parse(&body).into_owned();
                    let pairs: Vec<(String, String)> = form.collect();
                    let form: HashMap<_, _> = pairs.iter().cloned().collect();
                    assert_eq!(form.len(), pairs.len(), "no parameter comes twice: {pairs:?}");
                    sender.send((form, authorization)).unwrap();
                    reply.to_string()
                };
                let status = if body.is_empty() { 200 } else { status };
                let head = format!(
                    "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\nconnection: close\r\n"
                );
                let response = format!("{head}content-length: {}\r\n\r\n{answer}", answer.len());
                stream.write_all(response.as_bytes()).await.unwrap();
            }
        });
        Self { issuer, forms }
    }

    /// What a client gets for a refresh token.
    async fn refresh(&self) -> Result<TokenResponse, OauthError> {
        let discovery = crate::discovery::tests::discovery("127.0.0.1");
        let deadline = Instant::now() + std::time::Duration::from_secs(10);
        let provider = Discovery::provider(&discovery, &self.issuer, deadline).await.unwrap();
        let settings = self.settings();
        let secret = Some(SecretString::from("client-secret"));
        let credential = ClientCredential { secret, ..ClientCredential::default() };
        let now = OffsetDateTime::UNIX_EPOCH;
        let client = Client::new(discovery.http(), &provider, &settings, &credential, now).unwrap();
        client.refresh(&SecretString::from("refresh"), &settings.scopes, deadline).await
    }

    pub(crate) fn settings(&self) -> Oauth2 {
        Oauth2 {
            grant: Grant::AuthorizationCode,
            login: "support@example.com".to_owned(),
            client_id: "client".to_owned(),
            discovery_url: self.issuer.clone(),
            scopes: vec!["mail".to_owned()],
            confidential: true,
            client_secret_expires_on: None,
        }
    }

    /// What each kind of request of a client with this secret sends: exchange, refresh, access by itself, revocation.
    async fn requests(&mut self, secret: &str) -> Vec<(HashMap<String, String>, Option<String>)> {
        let discovery = crate::discovery::tests::discovery("127.0.0.1");
        let deadline = Instant::now() + std::time::Duration::from_secs(10);
        let provider: Arc<ProviderMetadata> =
            Discovery::provider(&discovery, &self.issuer, deadline).await.unwrap();
        let settings = self.settings();
        let credential =
            ClientCredential { secret: Some(SecretString::from(secret)), ..ClientCredential::default() };
        let now = OffsetDateTime::UNIX_EPOCH;
        let client = Client::new(discovery.http(), &provider, &settings, &credential, now).unwrap();
        let token = SecretString::from("refresh");
        client.exchange("c".to_owned(), "v".to_owned(), "https://m.example.com/cb", deadline).await.unwrap();
        client.refresh(&token, &settings.scopes, deadline).await.unwrap();
        client.client_credentials(&settings.scopes, deadline).await.unwrap();
        assert!(client.revoke(&token, deadline).await.unwrap());
        let mut requests = Vec::new();
        while let Ok(request) = self.forms.try_recv() {
            requests.push(request);
        }
        requests
    }
}

#[tokio::test]
async fn a_client_with_a_key_signs_each_request() {
    let mut provider = Provider::start(&["private_key_jwt"]).await;
    let requests = provider.requests(&rcgen::KeyPair::generate().unwrap().serialize_pem()).await;
    assert_eq!(requests.len(), 4);
    for (form, authorization) in requests {
        assert_eq!((form["client_id"].as_str(), authorization), ("client", None));
        assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        assert_eq!(form["client_assertion"].split('.').count(), 3);
        assert!(!form.contains_key("client_secret"));
    }
}

#[tokio::test]
async fn a_client_with_a_secret_sends_it_as_the_provider_wants_it() {
    let mut provider = Provider::start(&["client_secret_post"]).await;
    let requests = provider.requests("s3cret").await;
    assert!(requests.iter().all(|(form, header)| form["client_secret"] == "s3cret" && header.is_none()));
    let mut provider = Provider::start(&["client_secret_basic"]).await;
    let requests = provider.requests("s3cret").await;
    let (forms, headers): (Vec<_>, Vec<_>) = requests.into_iter().unzip();
    assert_eq!(headers[0].as_deref(), Some("Basic Y2xpZW50OnMzY3JldA=="));
    assert!(forms.iter().all(|form| !form.contains_key("client_assertion")));
    let grants: Vec<_> = forms.iter().filter_map(|form| form.get("grant_type")).collect();
    assert_eq!(grants, ["authorization_code", "refresh_token", "client_credentials"]);
}

#[tokio::test]
async fn an_answer_whose_meaning_is_clear_is_taken_although_its_form_is_not_the_standards() {
    for (reply, seconds) in [
        // Microsoft, at the token endpoint without v2.0.
        (json!({"expires_in": "3599", "ext_expires_in": "3599", "expires_on": "1775001600"}), 3599),
        (json!({"expires_in": 3599.5}), 3599),
        (json!({"expires_in": null, "id_token": null, "scope": null}), 600),
        (json!({"expires_in": "soon"}), 600),
        (json!({"expires_in": -1}), 600),
        (json!({"expires_in": 60, "refresh_token_expires_in": "86400"}), 60),
        (json!({"expires_in": 60, "error": null}), 60),
        (json!({"expires_in": 60, "token_type": null}), 60),
    ] {
        let mut whole = json!({"access_token": "at-1", "refresh_token": "rt-2", "token_type": "Bearer"});
        whole.as_object_mut().unwrap().extend(reply.as_object().unwrap().clone());
        let granted = Provider::answering(&["client_secret_post"], 200, whole).await.refresh().await;
        let granted = granted.unwrap_or_else(|error| panic!("{reply}: {error}"));
        assert_eq!(granted.access_token.expose_secret(), "at-1");
        assert_eq!(granted.refresh_token.unwrap().expose_secret(), "rt-2", "{reply}");
        assert_eq!(granted.expires_in, Duration::seconds(seconds), "{reply}");
        let lifetime = reply["refresh_token_expires_in"].as_str().map(|_| Duration::DAY);
        assert_eq!(granted.refresh_token_expires_in, lifetime, "{reply}");
    }
}

#[tokio::test]
async fn a_refusal_says_who_can_end_it() {
    let too_many = "You have made too many requests continuously. Please try again after some time.";
    let rapt = json!({
        "error": "invalid_grant", "error_description": "reauth related error (invalid_rapt)",
        "error_uri": "https://support.google.com/a/answer/9368756", "error_subtype": "invalid_rapt",
    });
    for (status, reply, code, words) in [
        // Zoho, which answers 200.
        (200, json!({"error": "invalid_code"}), ErrorCode::Oauth2Grant, "(invalid_code)"),
        (200, json!({"error": "invalid_client"}), ErrorCode::Oauth2Client, "Check client id and secret"),
        (
            400,
            json!({"error": "Access Denied", "error_description": too_many}),
            ErrorCode::Oauth2Discovery,
            too_many,
        ),
        // Google Workspace, with a session length.
        (400, rapt.clone(), ErrorCode::Oauth2Grant, "(invalid_rapt)"),
        (400, rapt.clone(), ErrorCode::Oauth2Grant, "https://support.google.com/a/answer/9368756"),
        (400, rapt, ErrorCode::Oauth2Grant, "exempt this client"),
        (400, json!({"error": "invalid_grant"}), ErrorCode::Oauth2Grant, "Sign in again."),
        (401, json!({"error": "invalid_client"}), ErrorCode::Oauth2Client, "Check client id and secret"),
        // Neither is the client's fault.
        (500, json!({"error": "internal_failure"}), ErrorCode::Oauth2Discovery, "status 500"),
        (503, json!({"error": "invalid_request"}), ErrorCode::Oauth2Discovery, "status 503"),
        (429, json!({"error": "rate_limit_exceeded"}), ErrorCode::Oauth2Discovery, "status 429"),
        (400, json!({"error": "temporarily_unavailable"}), ErrorCode::Oauth2Discovery, "unavailable"),
        // An address that is none is not repeated.
        (
            400,
            json!({"error": "invalid_grant", "error_uri": "javascript:x"}),
            ErrorCode::Oauth2Grant,
            "(invalid_grant).",
        ),
    ] {
        let provider = Provider::answering(&["client_secret_post"], status, reply.clone()).await;
        let error = provider.refresh().await.unwrap_err();
        let told = error.owner_error();
        assert_eq!(told.code, code, "{status} {reply}: {told}");
        assert!(told.message.contains(words), "{status} {reply}: {told}");
        assert_eq!(error.is_transient(), code == ErrorCode::Oauth2Discovery, "{status} {reply}");
        assert_eq!(error.is_gone(), code == ErrorCode::Oauth2Grant, "{status} {reply}");
    }
}
