//! The id token (OpenID Connect Core §2): whether it belongs to this sign-in, and who has signed in.

use mailroom_core::oauth2::Oauth2;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use time::{Duration, OffsetDateTime};

use super::error::SignInError;
use super::ticket::Ticket;
use crate::assertion::claims;
use crate::discovery::ProviderMetadata;

/// How far an id token's expiry may be past by our clock.
const SKEW: Duration = Duration::minutes(10);

/// The claims that matter here. `tid`, `upn` and `preferred_username` are Microsoft's.
#[derive(Deserialize)]
pub(super) struct IdToken {
    iss: String,
    aud: Audience,
    azp: Option<String>,
    exp: i64,
    pub(super) nonce: Option<String>,
    tid: Option<String>,
    email: Option<String>,
    preferred_username: Option<String>,
    upn: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Whether a code is of this provider (RFC 9207 §2.4): one that another provider issued is not sent to it.
pub(super) fn check_issuer(issuer: Option<&str>, provider: &ProviderMetadata) -> Result<(), SignInError> {
    let is_other =
        |issuer: &str| !provider.is_issuer(issuer, None) && !provider.issuer.contains("{tenantid}");
    if issuer.is_some_and(is_other) {
        return Err(SignInError::IdToken("is of another provider"));
    }
    Ok(())
}

/// Reads an id token and checks it against the sign-in that it came with.
pub(super) fn check(
    token: &SecretString,
    provider: &ProviderMetadata,
    settings: &Oauth2,
    ticket: &Ticket,
    now: OffsetDateTime,
) -> Result<(), SignInError> {
    let token: IdToken = claims(token.expose_secret()).ok_or(SignInError::IdToken("cannot be read"))?;
    check_claims(&token, provider, settings, ticket, now)
}

fn check_claims(
    token: &IdToken,
    provider: &ProviderMetadata,
    settings: &Oauth2,
    ticket: &Ticket,
    now: OffsetDateTime,
) -> Result<(), SignInError> {
    check_origin(token, provider, &settings.client_id, ticket, now)?;
    let names = [&token.email, &token.preferred_username, &token.upn];
    let names: Vec<&String> = names.into_iter().flatten().filter(|name| name.contains('@')).collect();
    let login = settings.login.to_lowercase();
    match names.first() {
        // The token names a person, and none of the names is the login.
        Some(first) if login.contains('@') && !names.iter().any(|name| name.to_lowercase() == login) => {
            let account = first.chars().filter(|c| !c.is_control()).take(320).collect();
            Err(SignInError::OtherAccount { account })
        }
        Some(_) | None => Ok(()),
    }
}

/// Whose token it is, for whom, and for which sign-in (OpenID Connect Core §3.1.3.7).
pub(super) fn check_origin(
    token: &IdToken,
    provider: &ProviderMetadata,
    client_id: &str,
    ticket: &Ticket,
    now: OffsetDateTime,
) -> Result<(), SignInError> {
    if !provider.is_issuer(&token.iss, token.tid.as_deref()) {
        return Err(SignInError::IdToken("is of another provider"));
    }
    let ours = match &token.aud {
        Audience::One(one) => one == client_id,
        Audience::Many(many) => many.iter().any(|one| one == client_id),
    };
    if !ours || token.azp.as_ref().is_some_and(|azp| azp != client_id) {
        return Err(SignInError::IdToken("is for another client"));
    }
    if token.exp < (now + provider.ahead - SKEW).unix_timestamp() {
        return Err(SignInError::IdToken("has expired"));
    }
    if token.nonce.as_ref().is_some_and(|nonce| *nonce != ticket.nonce()) {
        return Err(SignInError::IdToken("is for another sign-in"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;
    use crate::sign_in::tests::client;

    #[test]
    fn who_has_signed_in_is_held_against_the_login() {
        let issuer = "https://login.microsoftonline.com/{tenantid}/v2.0";
        let document = json!({"issuer": issuer, "token_endpoint": "https://login.microsoftonline.com/t"});
        let provider =
            crate::discovery::tests::read("https://login.microsoftonline.com/common/v2.0", document).unwrap();
        let (ticket, now) = (Ticket::new().unwrap(), datetime!(2026-11-01 12:00 UTC));
        let token = |change: serde_json::Value| {
            let mut token = json!({
                "iss": "https://login.microsoftonline.com/t-1/v2.0", "tid": "t-1", "aud": "client",
                "exp": now.unix_timestamp(), "nonce": ticket.nonce(), "preferred_username": "Support@Example.com",
            });
            token.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let token: IdToken = serde_json::from_value(token).unwrap();
            check_claims(&token, &provider, &client(issuer, &[]), &ticket, now)
        };
        assert!(token(json!({})).is_ok());
        // Five minutes late by our clock.
        assert!(token(json!({"exp": now.unix_timestamp() - 300})).is_ok());
        assert!(token(json!({"email": "shared@example.com"})).is_ok(), "one of its names is the login");
        for wrong in [
            json!({"iss": "https://login.microsoftonline.com/t-2/v2.0"}),
            json!({"aud": "another"}),
            json!({"aud": ["another"]}),
            json!({"aud": ["client", "another"], "azp": "another"}),
            json!({"exp": now.unix_timestamp() - 3600}),
            json!({"nonce": "another"}),
            json!({"preferred_username": "ann@example.com"}),
        ] {
            assert!(token(wrong.clone()).is_err(), "{wrong}");
        }
        // One that names nobody proves nothing, and the mail server decides.
        assert!(token(json!({"preferred_username": null})).is_ok());
    }
}
