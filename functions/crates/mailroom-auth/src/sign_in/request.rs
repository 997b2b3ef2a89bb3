//! The address that sends a person to the provider (OpenID Connect Core §3.1.2.1).

use url::Url;

use super::ticket::Ticket;
use crate::discovery::{Pkce, ProviderMetadata};
use crate::error::OauthError;

/// The address, with what every sign-in has.
pub(super) fn authorization_url(
    provider: &ProviderMetadata,
    client_id: &str,
    scopes: &[String],
    ticket: &Ticket,
    redirect: &str,
) -> Result<Url, OauthError> {
    let Some(endpoint) = &provider.authorization else {
        return Err(OauthError::Unsupported(format!(
            "The OpenID provider {} lets nobody sign in.",
            provider.issuer
        )));
    };
    let mut url = endpoint.url().clone();
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", &ticket.state());
        if provider.pkce == Pkce::S256 {
            query
                .append_pair("code_challenge", &ticket.challenge())
                .append_pair("code_challenge_method", "S256");
        }
        if scopes.iter().any(|scope| scope == "openid") {
            query.append_pair("nonce", &ticket.nonce());
        }
    }
    Ok(url)
}
