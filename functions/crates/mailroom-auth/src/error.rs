//! What went wrong with a provider, typed where it happens, and in words for the owner of the mailbox.

use mailroom_core::owner_error::{ErrorCode, OwnerError};
use mailroom_core::ports::PortError;
use mailroom_core::server::Server;
use mailroom_net::owner_error::Protocol;

use crate::http::HttpError;

/// How errors of a connection by HTTPS are reported.
const HTTPS: Protocol = Protocol {
    name: "HTTPS",
    connect: ErrorCode::Oauth2Discovery,
    tls: ErrorCode::Oauth2Discovery,
    tls_port: 443,
};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum OauthError {
    /// The request to the provider failed.
    #[error("the provider does not answer")]
    Http {
        /// The host and port that the request went to.
        server: Server,
        /// Why the request failed.
        #[source]
        error: HttpError,
    },
    /// The response has an error status, and none of the error codes of RFC 6749.
    #[error("the provider answers with status {status}")]
    Status {
        /// The host and port that responded.
        server: Server,
        /// The status (RFC 9110 §15).
        status: u16,
    },
    /// The discovery document cannot be used.
    #[error("the discovery document at {at} {why}")]
    Document {
        /// The address of the document.
        at: String,
        /// What is wrong with it: the rest of a sentence.
        why: String,
    },
    /// A response of the token endpoint cannot be used.
    #[error("the answer of the token endpoint {why}")]
    Response {
        /// The host and port that responded.
        server: Server,
        /// What is wrong with it: the rest of a sentence.
        why: String,
    },
    /// The provider refuses (RFC 6749 §5.2).
    #[error("the provider refuses: {code}")]
    Refused {
        /// The host and port that responded.
        server: Server,
        /// The error code, such as `invalid_grant`.
        code: String,
        /// The provider's description, without our secrets.
        words: String,
        /// Where the provider explains it (RFC 6749 §5.2, `error_uri`); empty where it names no address.
        explained_at: String,
        /// What was asked for.
        request: TokenRequest,
    },
    /// The provider does not support what the profile asks for, or the profile lacks what the provider needs.
    #[error("{0}")]
    Unsupported(String),
    /// The profile names no scopes, and those of this provider are not known.
    #[error("the scopes for mail at {issuer} are unknown")]
    UnknownScopes {
        /// The issuer of the provider.
        issuer: String,
    },
    /// Nobody has signed in.
    #[error("nobody has signed in")]
    NotSignedIn,
    /// No client secret is stored, and the grant needs one.
    #[error("there is no secret")]
    NoSecret,
    /// No password is stored.
    #[error("there is no password")]
    NoPassword,
    /// A service of AWS failed.
    #[error("a service failed")]
    Port(#[from] PortError),
    /// Another request uses the same sign-in, or time ran out.
    #[error("time ran out")]
    Busy,
}

/// What a provider was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRequest {
    /// Tokens for the consent that a person has just given.
    AuthorizationCode,
    /// A new access token for a sign-in.
    RefreshToken,
    /// Access for the client itself, or for a user by assertion.
    Unattended,
    /// The end of a sign-in.
    Revocation,
}

/// The error codes that go away by themselves (RFC 6749 §4.1.2.1, and as providers use them at the token endpoint).
const TRANSIENT: [&str; 3] = ["temporarily_unavailable", "server_error", "slow_down"];

/// The error codes after which a person has to sign in again. Microsoft uses the middle three, Zoho the last.
const GONE: [&str; 5] =
    ["invalid_grant", "interaction_required", "login_required", "consent_required", "invalid_code"];

/// Whether a refusal goes away by itself. Zoho refuses too many requests with the code `Access Denied`.
fn passes(code: &str, words: &str) -> bool {
    TRANSIENT.contains(&code) || words.to_ascii_lowercase().contains("too many requests")
}

impl OauthError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Http { error: HttpError::Net(mailroom_net::connect::NetError::HostNotAllowed), .. } => {
                false
            }
            Self::Http { .. } | Self::Port(_) | Self::Busy => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            Self::Refused { code, words, .. } => passes(code, words),
            Self::Document { .. } | Self::Response { .. } => true,
            Self::Unsupported(_)
            | Self::UnknownScopes { .. }
            | Self::NotSignedIn
            | Self::NoSecret
            | Self::NoPassword => false,
        }
    }

    /// Whether the refresh token is void.
    #[must_use]
    pub(crate) fn is_gone(&self) -> bool {
        let Self::Refused { code, words, request, .. } = self else { return false };
        match request {
            TokenRequest::RefreshToken | TokenRequest::AuthorizationCode => {
                GONE.contains(&code.as_str()) && !passes(code, words)
            }
            TokenRequest::Unattended | TokenRequest::Revocation => false,
        }
    }

    /// The field of the profile's settings that has to change.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        if matches!(self, Self::UnknownScopes { .. }) { "auth.scopes" } else { "auth" }
    }

    /// The error as the mailbox's owner reads it, where it is the owner's to fix.
    ///
    /// # Errors
    /// With the error of a service of AWS, which the owner cannot fix.
    pub fn into_owner_error(self) -> Result<OwnerError, PortError> {
        if let Self::Port(error) = self { Err(error) } else { Ok(self.owner_error()) }
    }

    /// The error as the mailbox's owner reads it.
    #[must_use]
    pub fn owner_error(&self) -> OwnerError {
        let discovery = |message: String| OwnerError::new(ErrorCode::Oauth2Discovery, message);
        let client = |message: String| OwnerError::new(ErrorCode::Oauth2Client, message);
        match self {
            Self::Http { server, error } => of_http(server, error),
            Self::Status { server, status } => {
                discovery(format!("The OpenID provider answers with status {status} at {}.", place(server)))
            }
            Self::Document { at, why } => {
                discovery(format!("The OpenID configuration at {at} cannot be used: it {why}."))
            }
            Self::Response { server, why } => discovery(format!(
                "The OpenID provider's answer at {} cannot be used: it {why}.",
                place(server)
            )),
            Self::Refused { code, words, .. } if passes(code, words) => {
                discovery(format!("The OpenID provider is unavailable at the moment{}", self.words()))
            }
            Self::Refused { words, .. } if self.is_gone() => {
                // Google Workspace, with a session length for the client.
                let advice = if words.contains("invalid_rapt") {
                    "Sign in again, and have the administrator exempt this client from the session length: otherwise \
                     the sign-in ends again after it."
                } else {
                    "Sign in again."
                };
                OwnerError::new(
                    ErrorCode::Oauth2Grant,
                    format!("The OpenID provider no longer accepts the sign-in{} {advice}", self.words()),
                )
            }
            Self::Refused { request: TokenRequest::Unattended, .. } => client(format!(
                "The OpenID provider refuses this client{} Check client id, secret and scopes, and what the provider's administrator has allowed.",
                self.words()
            )),
            Self::Refused { .. } => client(format!(
                "The OpenID provider refuses this client{} Check client id and secret.",
                self.words()
            )),
            Self::Unsupported(why) => client(why.clone()),
            Self::UnknownScopes { issuer } => client(format!(
                "Mailroom does not know which scopes give access to mail at {issuer}: add them to auth.scopes, as the provider's documentation lists them."
            )),
            Self::NotSignedIn => OwnerError::new(
                ErrorCode::Oauth2Grant,
                "Nobody has signed in for this profile yet: sign in to let Mailroom use the mailbox.",
            ),
            Self::NoSecret => OwnerError::new(
                ErrorCode::SecretMissing,
                "No client secret is stored for this profile: enter it again.",
            ),
            Self::NoPassword => OwnerError::new(
                ErrorCode::SecretMissing,
                "No password is stored for this profile: enter it again.",
            ),
            Self::Port(_) => OwnerError::new(
                ErrorCode::Internal,
                "Mailroom could not read or store this profile's sign-in; it is tried again.",
            ),
            Self::Busy => OwnerError::new(
                ErrorCode::Internal,
                "Another request is using this profile's sign-in; it is tried again.",
            ),
        }
    }

    /// The provider's error code and description, as the middle of a sentence.
    fn words(&self) -> String {
        let Self::Refused { code, words, explained_at, .. } = self else { return ".".to_owned() };
        let see = if explained_at.is_empty() { String::new() } else { format!(", see {explained_at}") };
        if words.is_empty() { format!(" ({code}{see}).") } else { format!(" ({code}{see}): \"{words}\"") }
    }
}

fn place(server: &Server) -> String {
    format!("{} (port {})", server.host, server.port)
}

fn of_http(server: &Server, error: &HttpError) -> OwnerError {
    let at = place(server);
    let discovery = |message: String| OwnerError::new(ErrorCode::Oauth2Discovery, message);
    match error {
        HttpError::Net(error) => HTTPS.connection_failed(error, &at),
        HttpError::Tls(error) => HTTPS.tls_failed(error, server.security, &at),
        HttpError::Timeout => discovery(format!("The OpenID provider at {at} did not answer in time.")),
        HttpError::Broken(_) => {
            discovery(format!("The OpenID provider at {at} broke the connection, or does not speak HTTP."))
        }
        HttpError::TooLarge => {
            discovery(format!("The OpenID provider's answer at {at} is too large to be one."))
        }
        HttpError::Unsendable(_) => {
            discovery("The client's id or secret holds a character that cannot be sent.".to_owned())
        }
    }
}
