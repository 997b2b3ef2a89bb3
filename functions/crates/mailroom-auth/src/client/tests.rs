#![expect(clippy::disallowed_methods, reason = "a test has a clock of its own")]

use std::collections::HashMap;
use std::sync::Arc;

use mailroom_core::ports::ClientCredential;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::discovery::Discovery;

/// The forms that a provider was sent, each with its Authorization header.
struct Provider {
    issuer: String,
    forms: mpsc::UnboundedReceiver<(HashMap<String, String>, Option<String>)>,
}

impl Provider {
    /// A provider on this machine whose token endpoint lets clients authenticate by `methods`.
    async fn start(methods: &[&str]) -> Self {
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
                    json!({"access_token": "a", "token_type": "Bearer", "refresh_token": "r"}).to_string()
                };
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
                let response = format!("{head}content-length: {}\r\n\r\n{answer}", answer.len());
                stream.write_all(response.as_bytes()).await.unwrap();
            }
        });
        Self { issuer, forms }
    }

    /// What each kind of request of a client with this secret sends: exchange, refresh, access by itself, revocation.
    async fn requests(&mut self, secret: &str) -> Vec<(HashMap<String, String>, Option<String>)> {
        let discovery = crate::discovery::tests::discovery("127.0.0.1");
        let deadline = Instant::now() + std::time::Duration::from_secs(10);
        let provider: Arc<ProviderMetadata> =
            Discovery::provider(&discovery, &self.issuer, deadline).await.unwrap();
        let settings = Oauth2 {
            grant: Grant::AuthorizationCode,
            login: "support@example.com".to_owned(),
            client_id: "client".to_owned(),
            discovery_url: self.issuer.clone(),
            scopes: vec!["mail".to_owned()],
            confidential: true,
            client_secret_expires_on: None,
        };
        let credential = ClientCredential { secret: Some(SecretString::from(secret)), refresh_token: None };
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
