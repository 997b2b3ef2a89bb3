//! Where the page of connect links is, and the cookie that a link's address is exchanged for.

use secrecy::ExposeSecret as _;

use super::token::LinkToken;
use crate::http::request::Request;

/// Where the page is, below the API's own path.
pub(crate) const PATH: &str = "/console/connect";

/// The cookie that keeps a link's token where browsers come by https: no other host of the domain can set it.
const COOKIE: &str = "__Host-mailroom-connect";

/// The cookie where they come without, as on this machine.
const PLAIN_COOKIE: &str = "mailroom-connect";

/// The cookie to set. `SameSite=Lax`: the provider's redirect brings the browser back from another site.
pub(crate) fn cookie(token: &LinkToken, secure: bool) -> String {
    let attribute = if secure { "; Secure" } else { "" };
    format!("{}={}; Path=/; HttpOnly; SameSite=Lax{attribute}", name(secure), token.expose().expose_secret())
}

/// The token that the browser has.
pub(crate) fn token_of(request: &Request, secure: bool) -> Option<LinkToken> {
    request.cookies(name(secure)).find_map(LinkToken::parse)
}

const fn name(secure: bool) -> &'static str {
    if secure { COOKIE } else { PLAIN_COOKIE }
}
