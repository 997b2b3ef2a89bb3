//! What the errors of servers mean for a poll.

use mailroom_auth::error::OauthError;
use mailroom_core::inbound::failure::Failure;
use mailroom_core::owner_error::ErrorCode;
use mailroom_core::server::Server;
use mailroom_mail::imap::ImapError;

/// An error while the credential for a login was obtained.
pub(crate) fn of_credential(error: OauthError) -> Failure {
    error.into_owner_error().map_or_else(Failure::from, Failure::Owner)
}

/// An error while the mailbox was opened or listed.
pub(crate) fn of_mailbox(error: &ImapError, server: &Server) -> Failure {
    Failure::Owner(error.owner_error(server))
}

/// An error while messages were fetched. Where the server breaks the protocol or hangs up, a message may be the cause.
pub(crate) fn of_fetch(error: &ImapError, server: &Server) -> Failure {
    let error = error.owner_error(server);
    match error.code {
        ErrorCode::ImapProtocol => Failure::SuspectMessage(error),
        ErrorCode::ImapConnect
        | ErrorCode::ImapTls
        | ErrorCode::ImapAuth
        | ErrorCode::ImapMailbox
        | ErrorCode::ImapThrottled
        | ErrorCode::ImapTimeout
        | ErrorCode::Oauth2Discovery
        | ErrorCode::Oauth2Grant
        | ErrorCode::Oauth2Client
        | ErrorCode::SmtpConnect
        | ErrorCode::SmtpTls
        | ErrorCode::SmtpAuth
        | ErrorCode::SmtpThrottled
        | ErrorCode::SmtpRejected
        | ErrorCode::SmtpTimeout
        | ErrorCode::HostNotAllowed
        | ErrorCode::SecretMissing
        | ErrorCode::Internal => Failure::Owner(error),
    }
}
