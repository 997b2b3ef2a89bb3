//! Why a sign-in failed, as the person in front of the browser reads it.

use mailroom_auth::error::OauthError;
use mailroom_auth::sign_in::SignInError;
use mailroom_core::error_chain::Chain;
use mailroom_core::ports::PortError;
use tracing::warn;

use crate::http::response::Response;
use crate::sign_in::page::{PageKind, page};

/// Why a sign-in failed.
pub(crate) enum Refusal {
    /// The address lacks a parameter of a sign-in.
    Malformed,
    /// The browser does not have the ticket.
    OtherBrowser,
    /// The sign-in expired, or was used before.
    TooLate,
    /// The profile was deleted, or its settings changed.
    Changed,
    /// The connect link was used or withdrawn after the sign-in began.
    LinkUsed,
    /// The provider redirected back with an error (RFC 6749 §4.1.2.1).
    Denied(String),
    /// The code could not be exchanged for a usable sign-in.
    Provider(SignInError),
    /// Our storage failed.
    Port(PortError),
}

impl From<PortError> for Refusal {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

/// `error` and `error_description` of a provider, bounded.
pub(crate) fn words(error: &str, said: &str) -> String {
    let clean =
        |text: &str, most| -> String { text.chars().filter(|c| !c.is_control()).take(most).collect() };
    let (error, said) = (clean(error, 60), clean(said, 300));
    if said.is_empty() { error } else { format!("{error}: {said}") }
}

/// The page that says why, and what to do; with a link `back`, if there is a page to begin again on.
pub(crate) fn refused(refusal: &Refusal, back: Option<&str>) -> Response {
    const AGAIN: &str = "Start the sign-in again.";
    let mut status = 400;
    let (sentence, advice) = match refusal {
        Refusal::Malformed => {
            ("This is not the address of a sign-in, or it is incomplete.".to_owned(), AGAIN)
        }
        Refusal::OtherBrowser => (
            "This sign-in was started in another browser, or this browser does not accept cookies."
                .to_owned(),
            "Open the address of the sign-in in the browser in which you complete it.",
        ),
        Refusal::TooLate => ("This sign-in has expired or was already used.".to_owned(), AGAIN),
        Refusal::Changed => {
            ("The profile was changed or deleted after the sign-in started.".to_owned(), AGAIN)
        }
        Refusal::LinkUsed => (
            "The link that this sign-in began with does not count any more: it was used or withdrawn."
                .to_owned(),
            "Ask the person who gave it to you for another one.",
        ),
        Refusal::Denied(words) if words.starts_with("access_denied") => (
            format!("Access was not granted ({words})."),
            "To let Mailroom use the mailbox, start again and allow it.",
        ),
        Refusal::Denied(words) => (
            format!("The provider refused the sign-in ({words})."),
            "Check the client's registration at the provider: redirect URI, scopes, and who may use it.",
        ),
        Refusal::Provider(error) => of_provider(error),
        Refusal::Port(error) => {
            warn!(error = %Chain(error), "a sign-in failed: storage is unavailable");
            status = 503;
            ("Mailroom cannot reach its storage at the moment.".to_owned(), AGAIN)
        }
    };
    Response::page(status, page(PageKind::Failure, "Not signed in", &[&sentence, advice], back))
}

fn of_provider(error: &SignInError) -> (String, &'static str) {
    match error {
        SignInError::OtherAccount { account } => (
            format!("You have signed in as {account}, which is not the mailbox of this profile."),
            "Start again, and choose the profile's own account at the provider.",
        ),
        SignInError::NoRefreshToken => (
            "The provider granted short-lived access only: it gave no refresh token.".to_owned(),
            "Add the scope offline_access to the profile's auth.scopes, if the provider supports it, and start again.",
        ),
        SignInError::IdToken(why) => (
            format!("The provider's ID token cannot be trusted: it {why}."),
            "Start again; if the error remains, check the discovery URL and the client id.",
        ),
        SignInError::Provider(error @ OauthError::Refused { .. }) if error.is_transient() => {
            (error.owner_error().message, "Start again in a moment.")
        }
        SignInError::Provider(OauthError::Refused { code, words, .. }) => (
            format!("The provider did not accept the consent ({}).", self::words(code, words)),
            "Start again; if the error remains, check client id, client secret and redirect URI.",
        ),
        SignInError::Provider(error) => (error.owner_error().message, "Start again in a moment."),
    }
}
