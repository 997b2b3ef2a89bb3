#![expect(clippy::disallowed_methods, reason = "a test has a clock of its own")]

use mailroom_net::connect::AllowedHosts;
use mailroom_net::tls::Tls;
use serde_json::{Value, json};

use super::*;

/// A discovery that may connect to these hosts, at the beginning of 1970.
pub(crate) fn discovery(allowed: &str) -> Discovery {
    let http = Http::new(Tls::new(None).unwrap(), allowed.parse::<AllowedHosts>().unwrap());
    let clock = Clock::new(|| OffsetDateTime::UNIX_EPOCH, Instant::now);
    Discovery::new(http, clock)
}

/// A provider whose document was found at `at`.
pub(crate) fn read(at: &str, document: Value) -> Result<ProviderMetadata, String> {
    let discovery = discovery("");
    let endpoint = discovery.http.endpoint(&document_url(at)).unwrap();
    discovery.read(&endpoint, serde_json::from_value(document).unwrap(), Duration::ZERO)
}

fn document(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": "https://id.example.com/auth",
        "token_endpoint": "https://id.example.com/token",
    })
}

#[test]
fn the_address_may_be_the_issuers_or_the_documents() {
    let full = "https://id.example.com/realms/a/.well-known/openid-configuration";
    for typed in ["https://id.example.com/realms/a", "https://id.example.com/realms/a/", full] {
        assert_eq!(document_url(typed), full);
    }
}

#[test]
fn a_document_is_of_the_issuer_that_it_was_found_at() {
    let is = |at: &str, issuer: &str| read(at, document(issuer)).is_ok();
    assert!(is("https://id.example.com/realms/a/", "https://id.example.com/realms/a"));
    assert!(is("https://accounts.google.com", "https://accounts.google.com"));
    assert!(!is("https://id.example.com/realms/a", "https://id.example.com/realms/b"));
    assert!(!is("https://id.example.com", "https://other.example.com"));
    assert!(is(
        "https://id.example.com/.well-known/oauth-authorization-server/a",
        "https://id.example.com/a"
    ));
    let microsoft = "https://login.microsoftonline.com";
    for tenant in ["common", "organizations", "contoso.example.com"] {
        let at = format!("{microsoft}/{tenant}/v2.0/.well-known/openid-configuration");
        assert!(is(&at, &format!("{microsoft}/{{tenantid}}/v2.0")), "{tenant}");
        assert!(is(&at, &format!("{microsoft}/6b1ab1c2-8a3e-4b5e-9d6f-000000000000/v2.0")), "{tenant}");
        assert!(!is(&at, "https://id.example.com/{tenantid}/v2.0"));
    }
    let templated =
        read(&format!("{microsoft}/common/v2.0"), document(&format!("{microsoft}/{{tenantid}}/v2.0")));
    let templated = templated.unwrap();
    assert!(templated.is_issuer(&format!("{microsoft}/t-1/v2.0"), Some("t-1")));
    assert!(!templated.is_issuer(&format!("{microsoft}/t-1/v2.0"), Some("t-2")));
}

#[test]
fn what_a_provider_has_is_taken_from_its_document() {
    let with = |more: Value| {
        let mut all = document("https://id.example.com");
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        read("https://id.example.com", all).unwrap()
    };
    let silent = with(json!({}));
    assert_eq!(
        (silent.pkce, silent.client_authentication(ClientSecretKind::Text)),
        (Pkce::S256, Some(ClientAuthentication::ClientSecretBasic))
    );
    assert!(!silent.lacks(Grant::ClientCredentials));
    let both =
        json!({"token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"]});
    assert_eq!(
        with(both).client_authentication(ClientSecretKind::Text),
        Some(ClientAuthentication::ClientSecretPost)
    );
    let keys = with(json!({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}));
    assert_eq!(
        (
            keys.client_authentication(ClientSecretKind::Text),
            keys.client_authentication(ClientSecretKind::PrivateKey)
        ),
        (None, Some(ClientAuthentication::PrivateKeyJwt))
    );
    assert_eq!(with(json!({"code_challenge_methods_supported": ["plain"]})).pkce, Pkce::Without);
    let grants = with(json!({"grant_types_supported": ["authorization_code"]}));
    assert!(grants.lacks(Grant::JwtBearer) && !grants.lacks(Grant::AuthorizationCode));
}

#[test]
fn no_endpoint_leads_into_the_clear() {
    let mut clear = document("https://id.example.com");
    clear["token_endpoint"] = json!("http://id.example.com/token");
    let why = read("https://id.example.com", clear).unwrap_err();
    assert!(why.contains("token_endpoint") && why.contains("https://"), "{why}");
    let allowed = discovery("id.internal, 127.0.0.0/8");
    for fine in
        ["http://id.internal/token", "http://127.0.0.1:8080/token", "https://id.example.com:8443/token"]
    {
        assert!(allowed.http.endpoint(fine).is_ok(), "{fine}");
    }
    for wrong in
        ["http://id.example.com/", "ftp://id.internal/", "https://user@id.example.com/", "id.example.com", ""]
    {
        assert!(allowed.http.endpoint(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_document_is_kept_for_as_long_as_it_allows_within_reason() {
    let of = |header: Option<&str>| {
        let mut headers = hyper::HeaderMap::new();
        if let Some(header) = header {
            headers.insert(CACHE_CONTROL, header.parse().unwrap());
        }
        lifetime(&Response { status: hyper::StatusCode::OK, headers, body: Vec::new() })
    };
    assert_eq!(of(None), DEFAULT_LIFETIME);
    assert_eq!(of(Some("public, max-age=1800")), Duration::minutes(30));
    assert_eq!((of(Some("max-age=1")), of(Some("no-store"))), (LIFETIMES.0, LIFETIMES.0));
    assert_eq!(of(Some("max-age=99999999")), LIFETIMES.1);
}
