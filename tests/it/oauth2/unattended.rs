//! Access that nobody signs in for: of the client itself, or for a user by assertion.

use mailroom_core::health::ProfileState;
use mailroom_core::owner_error::ErrorCode;
use mailroom_core::profile::ProfileId;
use mailroom_tests::openid::{Client, Mechanism};
use mailroom_tests::world::{World, message};
use rcgen::KeyPair;
use serde_json::{Value, json};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A client that the mail servers know as `login`.
pub(super) fn client(world: &World, method: &str, more: &Value) -> Client {
    let mut metadata = json!({
        "client_name": world.login(), "grant_types": ["client_credentials", JWT_BEARER], "redirect_uris": [],
        "response_types": [], "token_endpoint_auth_method": method,
    });
    metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.open_id().register(&metadata)
}

/// A client with a key of its own (RFC 7517), and the key in PEM.
fn client_with_key(world: &World) -> Client {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
    let key = KeyPair::generate().unwrap();
    // The point is uncompressed: 4, x, y.
    let point = key.public_key_raw();
    let (x, y) = (BASE64URL.encode(&point[1..33]), BASE64URL.encode(&point[33..65]));
    let jwks = json!({"keys": [{"kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "sig", "alg": "ES256"}]});
    let more = json!({"jwks": jwks, "token_endpoint_auth_signing_alg": "ES256"});
    let client = client(world, "private_key_jwt", &more);
    mailroom_tests::secret_scan::watch([key.serialize_pem()]);
    Client { secret: key.serialize_pem(), ..client }
}

/// A profile whose client proves itself with a key, for itself.
pub(super) fn with_key(world: &World) -> ProfileId {
    let auth = with_scope(&json!({"grant": "client_credentials"}));
    world.make(&world.token_settings(Mechanism::Xoauth2, &client_with_key(world), &auth))
}

fn with_scope(auth: &Value) -> Value {
    let mut auth = auth.clone();
    auth["scopes"] = json!(["mail"]);
    auth
}

#[test]
fn a_client_has_access_by_itself_with_each_kind_of_proof() {
    let world = World::for_browsers();
    let grant = |grant: &str| with_scope(&json!({"grant": grant}));
    let (post, basic) =
        (client(&world, "client_secret_post", &json!({})), client(&world, "client_secret_basic", &json!({})));
    let key = client_with_key(&world);
    for (client, grant) in [
        (&post, grant("client_credentials")),
        (&basic, grant("client_credentials")),
        (&key, grant("client_credentials")),
        (&key, grant("jwt_bearer")),
    ] {
        let settings = world.token_settings(Mechanism::Xoauth2, client, &grant);
        // Before it is stored, too.
        let report = world.api().post("/profiles/test", &settings).expect(200).body;
        assert_eq!((&report["imap"]["ok"], &report["smtp"]["ok"]), (&json!(true), &json!(true)), "{report}");
        let profile = world.make(&settings);
        world.deliver_to(Mechanism::Xoauth2, &message("Unattended"));
        world.poll();
        assert_eq!(world.status(profile).state, ProfileState::Ok, "{:?}", world.status(profile));
        assert!(!world.jobs().is_empty());
        let shown = world.api().get(&format!("/profiles/{profile}")).expect(200).body;
        assert_eq!(shown["status"]["authorized"], json!(true));
        let _ = world.api().delete(&format!("/profiles/{profile}")).expect(204);
    }
}

#[test]
fn a_client_that_is_refused_is_told_in_the_providers_words_and_without_its_secret() {
    let world = World::for_browsers();
    let good = client(&world, "client_secret_post", &json!({}));
    let wrong = Client { secret: "Canary-7f3d1c9e".to_owned(), ..good.clone() };
    let auth = with_scope(&json!({"grant": "client_credentials"}));
    let profile = world.make(&world.token_settings(Mechanism::Oauthbearer, &wrong, &auth));
    world.poll();
    let error = world.status(profile).error.unwrap();
    assert_eq!(error.code, ErrorCode::Oauth2Client, "{error:?}");
    assert!(error.message.contains("invalid_client") && error.message.contains("secret"), "{error:?}");
    assert_eq!(world.status(profile).state, ProfileState::Misconfigured);
    // The next poll uses the new one.
    let path = format!("/profiles/{profile}");
    let _ = world.api().patch(&path, &json!({"auth": {"client_secret": good.secret}})).expect(200);
    world.poll();
    assert_eq!(world.status(profile).state, ProfileState::Ok);
    // A text is no key.
    let _ = world.api().patch(&path, &json!({"auth": {"grant": "jwt_bearer"}})).expect(200);
    world.poll();
    let error = world.status(profile).error.unwrap();
    assert!(error.code == ErrorCode::Oauth2Client && error.message.contains("private key"), "{error:?}");
}

#[test]
fn a_token_of_somebody_else_is_refused_by_the_mail_server_in_its_own_words() {
    let world = World::for_browsers();
    let client = client(&world, "client_secret_post", &json!({"client_name": "else@example.com"}));
    let auth = with_scope(&json!({"grant": "client_credentials"}));
    let profile = world.make(&world.token_settings(Mechanism::Oauthbearer, &client, &auth));
    let before = world.open_id().issued().len();
    world.poll();
    let error = world.status(profile).error.unwrap();
    assert_eq!(error.code, ErrorCode::ImapAuth, "{error:?}");
    assert!(error.message.contains("invalid_token") || error.message.contains("status"), "{error:?}");
    assert!(error.message.contains("the account that granted access"), "{error:?}");
    // One more token was tried, and no third.
    assert!(world.open_id().issued().len() >= before + 2);
}

#[test]
fn what_needs_a_secret_is_not_made_without_one() {
    let world = World::for_browsers();
    let client = Client { id: "c".to_owned(), secret: String::new() };
    for grant in ["client_credentials", "jwt_bearer"] {
        let settings = world.token_settings(Mechanism::Xoauth2, &client, &json!({"grant": grant}));
        let refused = world.api().post("/profiles", &settings).expect(422);
        assert_eq!(refused.fields(), ["auth.client_secret"]);
    }
}
