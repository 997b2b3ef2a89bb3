//! A refresh token is stored before the profile names it, under a claim.

use mailroom_core::ports::ClientCredential;
use secrecy::SecretString;
use serde_json::json;
use time::macros::datetime;

use super::*;
use crate::replay::{Calls, Reply, exception, ok, service, stored};

const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

fn id() -> ProfileId {
    ProfileId::parse("01JDCABCDEFGHJKMNPQRSTVWXY").unwrap()
}

fn grants(script: impl IntoIterator<Item = Reply>) -> (GrantStore, Calls) {
    let (clients, calls) = service(script);
    (GrantStore::new(Table::new(&clients, "t"), Secrets::new(&clients, "mailroom/")), calls)
}

fn item(secret_version: Option<&str>) -> Reply {
    let mut item = stored(&id().to_string());
    if let Some(version) = secret_version {
        item["secret_version"] = json!({"S": version});
    }
    ok(json!({"Item": item}))
}

fn credential() -> Credential {
    Credential::Client(ClientCredential {
        refresh_token: Some(SecretString::from("fresh")),
        ..ClientCredential::default()
    })
}

const AUTHORIZATION: Authorization =
    Authorization { since: NOW, refreshed_at: NOW, stored_at: NOW, expires_at: None };

#[tokio::test]
async fn a_replaced_token_is_stored_and_then_named_and_is_no_edit() {
    let (grants, calls) = grants([item(None), ok(json!({})), ok(json!({"VersionId": "v2"})), ok(json!({}))]);
    let profile = grants.profile(id()).await.unwrap().unwrap();
    let claim = grants.claim(&profile, NOW, NOW + time::Duration::MINUTE).await.unwrap();
    grants.rotated(&profile, &claim, &credential(), &AUTHORIZATION).await.unwrap();
    assert_eq!(calls.operations(), ["GetItem", "UpdateItem", "PutSecretValue", "UpdateItem"]);
    let all = calls.all();
    assert_eq!(all[2].body["SecretString"], r#"{"refresh_token":"fresh"}"#);
    let named = &all[3].body;
    assert_eq!(named["ConditionExpression"], "claimed_until = :claim");
    assert_eq!(named["ExpressionAttributeValues"][":secret"]["S"], "v2");
    assert!(!named["UpdateExpression"].as_str().unwrap().contains("version = version"), "{named}");
    assert!(named["UpdateExpression"].as_str().unwrap().ends_with("REMOVE claimed_until"));
}

#[tokio::test]
async fn a_name_whose_answer_was_lost_is_known_again_and_any_other_is_not() {
    let lost = || exception("ConditionalCheckFailedException");
    let script =
        |named| [item(None), ok(json!({})), ok(json!({"VersionId": "v2"})), lost(), item(Some(named))];
    for (named, ours) in [("v2", true), ("v3", false)] {
        let (grants, _) = grants(script(named));
        let profile = grants.profile(id()).await.unwrap().unwrap();
        let claim = grants.claim(&profile, NOW, NOW).await.unwrap();
        let stored = grants.rotated(&profile, &claim, &credential(), &AUTHORIZATION).await;
        assert_eq!(stored.is_ok(), ours, "{named}");
    }
}

#[tokio::test]
async fn the_token_of_a_removed_profile_is_not_brought_back() {
    let (grants, calls) = grants([item(None), ok(json!({})), exception("InvalidRequestException")]);
    let profile = grants.profile(id()).await.unwrap().unwrap();
    let claim = grants.claim(&profile, NOW, NOW).await.unwrap();
    let stored = grants.rotated(&profile, &claim, &credential(), &AUTHORIZATION).await;
    assert!(matches!(stored, Err(PortError::Lost)));
    assert_eq!(calls.operations().last().unwrap(), "PutSecretValue");
}
