//! Why nobody is signed in, as the person in front of the browser reads it.

use mailroom_auth::error::OauthError;
use mailroom_auth::sign_in::SignInError;
use mailroom_core::error_chain::Chain;
use mailroom_core::ports::PortError;
use tracing::warn;

use crate::sign_in::refusal::words;

/// Why a sign-in to the console failed.
pub(crate) enum Refusal {
    /// The address lacks a parameter of a sign-in.
    Malformed,
    /// The browser is not the one that set out, or it took too long, or it came back before.
    OtherBrowser,
    /// The provider redirected back with an error (RFC 6749 §4.1.2.1).
    Denied {
        /// The error code.
        error: String,
        /// The provider's description.
        said: String,
    },
    /// The provider did not say who has signed in.
    Provider(SignInError),
    /// The person may do nothing here.
    NoRight {
        /// What people know the person by.
        name: String,
    },
    /// Our storage failed.
    Port(PortError),
}

impl From<PortError> for Refusal {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

impl Refusal {
    /// The HTTP status, what happened, and what to do about it.
    pub(crate) fn explain(&self) -> (u16, String, String) {
        let administrator = |status: u16, happened: String, what: &str| {
            (
                status,
                happened,
                format!("Try again. If it stays so, the operator of this Mailroom checks {what}."),
            )
        };
        match self {
            Self::Malformed => (
                400,
                "This is not the address of a sign-in, or it is incomplete.".to_owned(),
                "Start the sign-in again.".to_owned(),
            ),
            Self::OtherBrowser => (
                400,
                "This sign-in was started in another browser, has expired, or was already used.".to_owned(),
                "Start the sign-in again. If it stays so, let this browser keep cookies of this page."
                    .to_owned(),
            ),
            Self::Denied { error, said } if error == "access_denied" => (
                403,
                format!("The provider did not let you in ({}).", words(error, said)),
                "Start the sign-in again, and allow it there; or ask the operator of the provider for access."
                    .to_owned(),
            ),
            Self::Denied { error, said } => administrator(
                400,
                format!("The provider refused the sign-in ({}).", words(error, said)),
                "the console's registration there: redirect URI and scopes",
            ),
            Self::Provider(error) => of_provider(error),
            Self::NoRight { name } => (
                403,
                format!("You are signed in at the provider as {name}, who may not use this Mailroom."),
                "Sign in with another account, or ask the operator of this Mailroom for access.".to_owned(),
            ),
            Self::Port(error) => {
                warn!(error = %Chain(error), "a sign-in to the console failed: storage is unavailable");
                (
                    503,
                    "Mailroom cannot reach its storage at the moment.".to_owned(),
                    "Start the sign-in again in a moment.".to_owned(),
                )
            }
        }
    }
}

fn of_provider(error: &SignInError) -> (u16, String, String) {
    let again = "Start the sign-in again in a moment.".to_owned();
    let check = "Start the sign-in again. If it stays so, the operator of this Mailroom checks ConsoleIssuer, ConsoleClientId and \
                 the client's secret."
        .to_owned();
    match error {
        SignInError::IdToken(why) => {
            (400, format!("The provider's ID token cannot be trusted: it {why}."), check)
        }
        SignInError::Provider(error) if error.is_transient() => (503, error.owner_error().message, again),
        SignInError::Provider(OauthError::Refused { code, words: said, .. }) => {
            (400, format!("The provider did not accept the sign-in ({}).", words(code, said)), check)
        }
        SignInError::Provider(error) => (400, error.owner_error().message, check),
        // A sign-in to the console asks for no mailbox and no refresh token.
        SignInError::OtherAccount { .. } | SignInError::NoRefreshToken => {
            (400, "The provider's answer cannot be used.".to_owned(), check)
        }
    }
}
