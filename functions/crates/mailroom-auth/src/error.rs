//! What went wrong with a provider, typed where it happens, and in words for the owner of the mailbox.

use mailroom_core::owner_error::{ErrorCode, OwnerError};
use mailroom_core::ports::PortError;
use mailroom_core::server::Server;
use mailroom_net::owner_error::Protocol;

use crate::http::HttpError;

/// What HTTP calls the troubles that all protocols have.
const HTTPS: Protocol = Protocol {
    name: "HTTPS",
    connect: ErrorCode::Oauth2Discovery,
    tls: ErrorCode::Oauth2Discovery,
    tls_port: 443,
};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum OauthError {
    /// The provider does not answer.
    #[error("the provider does not answer")]
    Http {
        /// Who.
        server: Server,
        /// How.
        #[source]
        error: HttpError,
    },
    /// The provider answers with an error of its own, without the words that RFC 6749 has for it.
    #[error("the provider answers with status {status}")]
    Status {
        /// Who.
        server: Server,
        /// The status (RFC 9110 §15).
        status: u16,
    },
    /// The discovery document cannot be used.
    #[error("the discovery document at {at} {why}")]
    Document {
        /// Where.
        at: String,
        /// Why: the rest of a sentence.
        why: String,
    },
    /// A response of the token endpoint cannot be used.
    #[error("the answer of the token endpoint {why}")]
    Response {
        /// Who.
        server: Server,
        /// Why: the rest of a sentence.
        why: String,
    },
    /// The provider refuses (RFC 6749 §5.2).
    #[error("the provider refuses: {code}")]
    Refused {
        /// Who.
        server: Server,
        /// The error's code.
        code: String,
        /// The provider's words, without our secrets.
        words: String,
        /// What was asked for.
        request: TokenRequest,
    },
    /// The provider does not have what the profile asks for, or the profile lacks what the provider needs.
    #[error("{0}")]
    Unsupported(String),
    /// The scopes for mail at this provider are not known, and the profile names none.
    #[error("the scopes for mail at {issuer} are unknown")]
    UnknownScopes {
        /// The provider's issuer.
        issuer: String,
    },
    /// Nobody has signed in.
    #[error("nobody has signed in")]
    NotSignedIn,
    /// The profile's secret is not there.
    #[error("there is no secret")]
    NoSecret,
    /// The profile's password is not there.
    #[error("there is no password")]
    NoPassword,
    /// A service of ours failed.
    #[error("a service failed")]
    Port(#[from] PortError),
    /// Others are at the same sign-in, or time ran out.
    #[error("time ran out")]
    Busy,
}

/// What a provider was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRequest {
    /// Tokens for a person's consent, which happened a moment ago.
    AuthorizationCode,
    /// A new access token for a sign-in of before.
    RefreshToken,
    /// Access for the client itself, or for a user by assertion.
    Unattended,
    /// To forget a sign-in.
    Revocation,
}

/// The errors of a provider that go away (RFC 6749 §4.1.2.1, and as providers use them at the token endpoint).
const TRANSIENT: [&str; 3] = ["temporarily_unavailable", "server_error", "slow_down"];

/// The errors that mean that a person has to sign in again. Microsoft has all but the first.
const GONE: [&str; 4] = ["invalid_grant", "interaction_required", "login_required", "consent_required"];

impl OauthError {
    /// Whether a later try may do, with nothing changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Http { error: HttpError::Net(mailroom_net::connect::NetError::HostNotAllowed), .. } => {
                false
            }
            Self::Http { .. } | Self::Port(_) | Self::Busy => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            Self::Refused { code, .. } => TRANSIENT.contains(&code.as_str()),
            Self::Document { .. } | Self::Response { .. } => true,
            Self::Unsupported(_)
            | Self::UnknownScopes { .. }
            | Self::NotSignedIn
            | Self::NoSecret
            | Self::NoPassword => false,
        }
    }

    /// Whether a refresh token is of no use any more.
    #[must_use]
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Refused {
                code,
                request: TokenRequest::RefreshToken | TokenRequest::AuthorizationCode,
                ..
            } => GONE.contains(&code.as_str()),
            Self::Refused { request: TokenRequest::Unattended | TokenRequest::Revocation, .. }
            | Self::Http { .. }
            | Self::Status { .. }
            | Self::Document { .. }
            | Self::Response { .. }
            | Self::Unsupported(_)
            | Self::UnknownScopes { .. }
            | Self::NotSignedIn
            | Self::NoSecret
            | Self::NoPassword
            | Self::Port(_)
            | Self::Busy => false,
        }
    }

    /// The trouble, where it is one of the profile's.
    ///
    /// # Errors
    /// With what a service of ours did: the owner cannot fix it.
    pub fn into_owner_error(self) -> Result<OwnerError, PortError> {
        if let Self::Port(error) = self { Err(error) } else { Ok(self.owner_error()) }
    }

    /// The trouble as the mailbox's owner reads it.
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
            Self::Refused { code, .. } if TRANSIENT.contains(&code.as_str()) => {
                discovery(format!("The OpenID provider is unavailable at the moment{}", self.words()))
            }
            Self::Refused { .. } if self.is_gone() => OwnerError::new(
                ErrorCode::Oauth2Grant,
                format!("The OpenID provider no longer accepts the sign-in{} Sign in again.", self.words()),
            ),
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

    /// The provider's own words, as the middle of a sentence.
    fn words(&self) -> String {
        match self {
            Self::Refused { code, words, .. } if words.is_empty() => format!(" ({code})."),
            Self::Refused { code, words, .. } => format!(" ({code}): \"{words}\""),
            Self::Http { .. }
            | Self::Status { .. }
            | Self::Document { .. }
            | Self::Response { .. }
            | Self::Unsupported(_)
            | Self::UnknownScopes { .. }
            | Self::NotSignedIn
            | Self::NoSecret
            | Self::NoPassword
            | Self::Port(_)
            | Self::Busy => ".".to_owned(),
        }
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
