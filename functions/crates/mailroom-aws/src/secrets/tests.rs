//! What becomes of a secret that is new, there, on its way out or unreadable.

use mailroom_core::error_chain::Chain;
use serde_json::json;

use super::*;
use crate::replay::{Calls, Reply, cut_short, exception, ok, service};

const CANARY: &str = "canary-4f1c";

fn secrets(script: impl IntoIterator<Item = Reply>) -> (Secrets, Calls) {
    let (clients, calls) = service(script);
    (Secrets::new(&clients, "mailroom/"), calls)
}

fn id() -> ProfileId {
    ProfileId::parse("01JDCABCDEFGHJKMNPQRSTVWXY").unwrap()
}

fn password() -> Credential {
    Credential::password(SecretString::from(CANARY))
}

fn exposed(credential: Option<Credential>) -> Option<String> {
    credential.map(|credential| match credential {
        Credential::Password { password: secret, .. }
        | Credential::Client(ClientCredential { secret: Some(secret), .. }) => {
            secret.expose_secret().to_owned()
        }
        Credential::Client(ClientCredential { secret: None, .. }) => String::new(),
    })
}

#[tokio::test]
async fn a_new_secret_is_made_and_one_that_is_there_gets_a_new_version() {
    let (secrets, calls) = secrets([
        ok(json!({"VersionId": "one"})),
        exception("ResourceExistsException"),
        ok(json!({"VersionId": "two"})),
    ]);
    assert_eq!(secrets.store(id(), &password()).await.unwrap(), "one");
    assert_eq!(secrets.store(id(), &password()).await.unwrap(), "two");
    assert_eq!(calls.operations(), ["CreateSecret", "CreateSecret", "PutSecretValue"]);
    let body = &calls.all()[0].body;
    assert_eq!(body["Name"], format!("mailroom/{}", id()));
    assert_eq!(body["SecretString"], format!(r#"{{"password":"{CANARY}"}}"#));
}

#[tokio::test]
async fn a_secret_on_its_way_out_is_brought_back() {
    for first in ["InvalidRequestException", "ResourceExistsException"] {
        let (secrets, calls) = secrets([
            exception(first),
            exception("InvalidRequestException"),
            ok(json!({})),
            ok(json!({"VersionId": "three"})),
        ]);
        assert_eq!(secrets.store(id(), &password()).await.unwrap(), "three");
        assert_eq!(
            calls.operations(),
            ["CreateSecret", "PutSecretValue", "RestoreSecret", "PutSecretValue"],
            "{first}"
        );
    }
}

#[tokio::test]
async fn a_version_is_fetched_once_and_a_new_one_again() {
    let stored = |password: &str| ok(json!({"SecretString": json!({"password": password}).to_string()}));
    let (secrets, calls) = secrets([stored("one"), stored("two")]);
    for _ in 0..3 {
        assert_eq!(exposed(secrets.credential(id(), "v1").await.unwrap()).as_deref(), Some("one"));
    }
    assert_eq!(exposed(secrets.credential(id(), "v2").await.unwrap()).as_deref(), Some("two"));
    assert_eq!(calls.all().len(), 2);
    assert_eq!(calls.all()[0].body, json!({"SecretId": format!("mailroom/{}", id()), "VersionId": "v1"}));
}

#[tokio::test]
async fn a_secret_that_is_missing_or_removed_is_none_and_is_not_kept() {
    let (secrets, calls) =
        secrets([exception("ResourceNotFoundException"), exception("InvalidRequestException")]);
    for _ in 0..2 {
        assert_eq!(exposed(secrets.credential(id(), "v1").await.unwrap()), None);
    }
    assert_eq!(calls.all().len(), 2);
}

#[tokio::test]
async fn trouble_with_the_service_is_no_missing_secret() {
    let (secrets, _) = secrets([exception("AccessDeniedException")]);
    assert!(matches!(secrets.credential(id(), "v1").await, Err(PortError::Unavailable { .. })));
}

#[tokio::test]
async fn no_error_and_no_debug_output_shows_a_secret() {
    let stored = ok(json!({"SecretString": json!({"password": CANARY}).to_string()}));
    let broken = ok(json!({"SecretString": format!(r#"{{"password": "{CANARY}"#)}));
    let number = ok(json!({"SecretString": format!(r#"{{"password": ["{CANARY}"]}}"#)}));
    let cut = cut_short(&json!({"VersionId": "v4", "SecretString": CANARY}).to_string().replace('}', ""));
    let (secrets, _) = secrets([stored, broken, number, cut, exception("AccessDeniedException")]);
    let credential = secrets.credential(id(), "v1").await.unwrap();
    let mut shown = format!("{credential:?} {secrets:?}");
    for version in ["v2", "v3"] {
        let error = secrets.credential(id(), version).await.unwrap_err();
        assert!(matches!(error, PortError::Corrupt(_)));
        shown += &format!("{error} {error:?}");
    }
    let error = secrets.credential(id(), "v4").await.unwrap_err();
    assert!(matches!(error, PortError::Unavailable { .. }));
    shown += &format!("{} {error:?}", Chain(&error));
    let error = secrets.store(id(), &password()).await.unwrap_err();
    shown += &format!("{} {error:?}", Chain(&error));
    // As text, and as the bytes of a reply.
    let bytes = format!("{:?}", CANARY.as_bytes());
    assert!(!shown.contains(CANARY) && !shown.contains(bytes.trim_matches(['[', ']'])));
}

#[tokio::test]
async fn removing_what_is_not_there_is_fine() {
    let (secrets, calls) = secrets([ok(json!({})), ok(json!({})), exception("ResourceNotFoundException")]);
    secrets.remove(id(), Some(7)).await.unwrap();
    secrets.remove(id(), None).await.unwrap();
    secrets.remove(id(), None).await.unwrap();
    assert_eq!(calls.all()[0].body["RecoveryWindowInDays"], 7);
    assert_eq!(calls.all()[1].body["ForceDeleteWithoutRecovery"], true);
}

#[test]
fn memory_is_bounded_and_keeps_one_version_of_a_secret() {
    let (secrets, _) = secrets([]);
    for n in 0..=u128::try_from(CACHED).unwrap() {
        secrets.keep((ProfileId::new(ulid::Ulid::from(n)), "v1".to_owned()), password());
    }
    assert!(secrets.cache.lock().unwrap().len() <= CACHED);
    secrets.keep((id(), "v1".to_owned()), password());
    secrets.keep((id(), "v2".to_owned()), password());
    assert!(secrets.cached(&(id(), "v1".to_owned())).is_none());
    assert!(secrets.cached(&(id(), "v2".to_owned())).is_some());
}

#[tokio::test]
async fn a_version_stays_what_it_is_when_another_kind_is_stored_after_it() {
    let stored = |text: &str| ok(json!({"SecretString": text}));
    let (secrets, calls) = secrets([
        exception("ResourceExistsException"),
        ok(json!({"VersionId": "two"})),
        stored(r#"{"client_secret":"second","refresh_token":"fresh","smtp_password":"third"}"#),
        stored(r#"{"password":"first"}"#),
    ]);
    let client = Credential::Client(ClientCredential {
        secret: Some(SecretString::from("second")),
        refresh_token: Some(SecretString::from("fresh")),
        smtp_password: Some(SecretString::from("third")),
    });
    assert_eq!(secrets.store(id(), &client).await.unwrap(), "two");
    let second = secrets.credential(id(), "two").await.unwrap();
    let first = secrets.credential(id(), "one").await.unwrap();
    assert!(
        matches!(second, Some(Credential::Client(client)) if client.refresh_token.is_some() && client.smtp_password.is_some())
    );
    assert!(matches!(first, Some(Credential::Password { .. })));
    let calls = calls.all();
    assert_eq!(
        calls[1].body["SecretString"],
        r#"{"client_secret":"second","refresh_token":"fresh","smtp_password":"third"}"#
    );
    assert_eq!((&calls[2].body["VersionId"], &calls[3].body["VersionId"]), (&json!("two"), &json!("one")));
}
