//! What the errors of servers mean for a poll.

use mailroom_auth::error::OauthError;
use mailroom_core::inbound::failure::Failure;
use mailroom_core::server::Server;
use mailroom_mail::imap::ImapError;

/// An error while the credential for a login was obtained.
pub(crate) fn of_credential(error: OauthError) -> Failure {
    error.into_owner_error().map_or_else(Failure::from, Failure::Owner)
}

/// An error of the mail server. Whether a message may be the cause is decided by the poll.
pub(crate) fn of_mailbox(error: &ImapError, server: &Server) -> Failure {
    Failure::Owner(error.owner_error(server))
}
