//! What a server's refusal means to the mailbox's owner: the only place that decides this.
//!
//! A response code decides, or else the text of a known server, or else the step. The meaning then has one error code
//! and one sentence; `tests/replies.rs` is the table of all of them.

use mailroom_core::owner_error::{ErrorCode, OwnerError};

use super::error::{Code, Refusal, Reply, Sign, Step};
use mailroom_net::owner_error::quoting;

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It passes: the server is busy, or a part of it is down.
    Passing,
    /// The server takes the command for wrong.
    Misunderstood,
    /// The server closes the connection.
    Closing,
    /// Too much was asked for in a short time.
    Throttled,
    /// As [`Sign::NotConnected`]: throttling at first, and a lack of permission if it repeats.
    NotConnected,
    /// The login or the secret is wrong.
    Credential,
    /// The password has expired.
    Expired,
    /// The secret is right, but the login may not do this.
    NotAuthorized,
    /// Only the provider's staff can help.
    Administrator,
    /// The owner has to open a page in a browser.
    WebLogin,
    /// The text is meant for the owner, who reads there what to do.
    Alert,
    /// The mailbox is on another server.
    Elsewhere,
    /// The provider takes the login for unsafe.
    Unsafe,
    /// The server does not see that the connection is encrypted.
    Unencrypted,
    /// The server does not begin TLS.
    NoTls,
    /// The mailbox does not exist or may not be used.
    Mailbox,
    /// The mailbox that is to take messages is full.
    Full,
}

impl Meaning {
    /// Exhaustive on purpose: a new code has to be decided here.
    pub(super) fn of(step: Step, reply: &Reply) -> Self {
        let at_login = matches!(step, Step::Login | Step::Token);
        let needs_mailbox = matches!(step, Step::Open | Step::Move | Step::OpenSent | Step::Append);
        if let Some(meaning) = by_sign_above_code(reply) {
            return meaning;
        }
        match reply.code {
            // Gmail also sends OVERQUOTA for its bandwidth limit; its text is recognized above.
            Some(Code::OverQuota) if matches!(step, Step::Append | Step::Move) => Self::Full,
            Some(Code::Throttled | Code::Limit | Code::OverQuota) => Self::Throttled,
            Some(Code::Unavailable | Code::InUse | Code::ServerBug | Code::Corruption) => Self::Passing,
            Some(Code::ClientBug) => Self::Misunderstood,
            Some(Code::AuthenticationFailed) if at_login => Self::Credential,
            Some(Code::AuthorizationFailed) if at_login => Self::NotAuthorized,
            Some(Code::Expired) => Self::Expired,
            Some(Code::PrivacyRequired) => Self::Unencrypted,
            Some(Code::ContactAdmin) => Self::Administrator,
            Some(Code::WebAlert) => Self::WebLogin,
            Some(Code::Referral) if at_login || needs_mailbox => Self::Elsewhere,
            Some(
                Code::Nonexistent | Code::TryCreate | Code::NoPerm | Code::Cannot | Code::AuthorizationFailed,
            ) if needs_mailbox => Self::Mailbox,
            Some(Code::NoPerm | Code::Cannot) if at_login => Self::NotAuthorized,
            Some(Code::Alert) if at_login && reply.refusal != Refusal::Bye => Self::Alert,
            Some(
                Code::Alert
                | Code::AuthenticationFailed
                | Code::AuthorizationFailed
                | Code::Referral
                | Code::Nonexistent
                | Code::TryCreate
                | Code::NoPerm
                | Code::Cannot
                | Code::ExpungeIssued,
            )
            | None => by_step(step, reply),
        }
    }

    pub(super) const fn code(self) -> ErrorCode {
        match self {
            Self::Passing | Self::Misunderstood | Self::Closing => ErrorCode::ImapProtocol,
            Self::Throttled | Self::NotConnected => ErrorCode::ImapThrottled,
            Self::Credential
            | Self::Expired
            | Self::NotAuthorized
            | Self::WebLogin
            | Self::Alert
            | Self::Unsafe
            | Self::Administrator
            | Self::Elsewhere => ErrorCode::ImapAuth,
            Self::Unencrypted | Self::NoTls => ErrorCode::ImapTls,
            Self::Mailbox | Self::Full => ErrorCode::ImapMailbox,
        }
    }
}

/// What known servers say in words, whatever their code.
const fn by_sign_above_code(reply: &Reply) -> Option<Meaning> {
    match reply.sign {
        Some(Sign::Throttled) => Some(Meaning::Throttled),
        Some(Sign::NotConnected) => Some(Meaning::NotConnected),
        Some(Sign::Unsafe) => Some(Meaning::Unsafe),
        Some(Sign::Busy | Sign::Credential) | None => None,
    }
}

/// Without a code that decides.
fn by_step(step: Step, reply: &Reply) -> Meaning {
    match (step, reply.refusal) {
        (_, Refusal::Bye) => Meaning::Closing,
        _ if reply.sign == Some(Sign::Busy) => Meaning::Passing,
        (Step::Login | Step::Token, Refusal::No) => Meaning::Credential,
        (Step::Login | Step::Token, Refusal::Bad) if reply.sign == Some(Sign::Credential) => {
            Meaning::Credential
        }
        (Step::StartTls, Refusal::No | Refusal::Bad) => Meaning::NoTls,
        (Step::Open | Step::OpenSent, Refusal::No) => Meaning::Mailbox,
        (
            Step::Connect
            | Step::Tls
            | Step::Greeting
            | Step::Capability
            | Step::Login
            | Step::Token
            | Step::Mailboxes
            | Step::Status
            | Step::Open
            | Step::List
            | Step::Fetch
            | Step::Store
            | Step::Move
            | Step::OpenSent
            | Step::Search
            | Step::Append
            | Step::Logout,
            Refusal::Bad,
        ) => Meaning::Misunderstood,
        (
            Step::Connect
            | Step::Tls
            | Step::Greeting
            | Step::Capability
            | Step::Mailboxes
            | Step::Status
            | Step::List
            | Step::Fetch
            | Step::Store
            | Step::Move
            | Step::Search
            | Step::Append
            | Step::Logout,
            Refusal::No,
        ) => Meaning::Passing,
    }
}

/// The error for the mailbox's owner. `at` names host and port.
pub(super) fn owner_error(step: Step, reply: &Reply, at: &str) -> OwnerError {
    let meaning = Meaning::of(step, reply);
    let error = tell(meaning.code(), at, &did(meaning, step), reply, &hint(meaning, step, reply));
    if meaning != Meaning::NotConnected {
        return error;
    }
    error.if_it_repeats(tell(
        ErrorCode::ImapAuth,
        at,
        "accepts the login, but does not connect it to a mailbox",
        reply,
        "Check that IMAP is enabled for this mailbox, that the login is the mailbox's own, and, if an application signs in, that it has the permission for this mailbox.",
    ))
}

/// The sentences, with the server's words or else its status.
fn tell(code: ErrorCode, at: &str, did: &str, reply: &Reply, hint: &str) -> OwnerError {
    let status = match reply.refusal {
        Refusal::No => "NO",
        Refusal::Bad => "BAD",
        Refusal::Bye => "BYE",
    };
    let words = if reply.text.is_empty() { status } else { &reply.text };
    quoting(code, &format!("{at} {did}"), words, hint).retry_after(reply.pause)
}

/// What the server did.
fn did(meaning: Meaning, step: Step) -> String {
    let fixed = match meaning {
        Meaning::Passing => return format!("did not {}", action(step)),
        Meaning::Misunderstood => return format!("did not understand how to {}", action(step)),
        Meaning::Closing => return format!("closed the connection (waiting for {step})"),
        Meaning::Throttled | Meaning::NotConnected => "asks us to try again later",
        Meaning::Expired
        | Meaning::NotAuthorized
        | Meaning::Administrator
        | Meaning::WebLogin
        | Meaning::Alert
        | Meaning::Unsafe
        | Meaning::Unencrypted
        | Meaning::Credential
        | Meaning::Elsewhere
            if matches!(step, Step::Login | Step::Token) =>
        {
            "refused the login"
        }
        Meaning::NoTls => "refused STARTTLS",
        Meaning::Full if step == Step::Append => {
            "cannot file the copy of a sent message, because the mailbox is full"
        }
        Meaning::Full => "cannot move messages, because there is no room for them",
        Meaning::Mailbox if step == Step::Move => "cannot move messages to the mailbox that is set for them",
        Meaning::Credential
        | Meaning::Expired
        | Meaning::NotAuthorized
        | Meaning::Administrator
        | Meaning::WebLogin
        | Meaning::Alert
        | Meaning::Elsewhere
        | Meaning::Unsafe
        | Meaning::Unencrypted
        | Meaning::Mailbox => return format!("refused to {}", action(step)),
    };
    fixed.to_owned()
}

/// What the server was asked to do, with the command where its name helps an administrator.
const fn action(step: Step) -> &'static str {
    match step {
        Step::Connect | Step::Tls | Step::Greeting => "accept the connection",
        Step::StartTls => "begin TLS (STARTTLS)",
        Step::Capability => "list its capabilities (CAPABILITY)",
        Step::Login => "complete the login",
        Step::Token => "complete the login with OAuth2 (AUTHENTICATE)",
        Step::Mailboxes => "list the mailboxes (LIST)",
        Step::Status => "count the messages (STATUS)",
        Step::Open => "open the mailbox",
        Step::List => "list the messages (UID FETCH)",
        Step::Fetch => "send messages (UID FETCH)",
        Step::Store => "mark messages (UID STORE)",
        Step::Move => "move messages (UID MOVE or UID COPY)",
        Step::OpenSent => "open the mailbox for sent messages",
        Step::Search => "search for a sent message (UID SEARCH)",
        Step::Append => "file the copy of a sent message (APPEND)",
        Step::Logout => "end the session (LOGOUT)",
    }
}

/// What the owner can do.
fn hint(meaning: Meaning, step: Step, reply: &Reply) -> String {
    let address = reply.address.as_deref();
    let fixed = match (meaning, step) {
        (Meaning::Passing, _) => {
            "Mailroom tries again by itself; if it stays like this, ask the server's administrator."
        }
        (Meaning::Misunderstood, Step::Login | Step::Token) => {
            "Check that host and port are those of the provider's IMAP server, and that the login has no unusual characters."
        }
        (Meaning::Misunderstood, _) => {
            "Mailroom tries again by itself; if it stays like this, check that host and port are those of the provider's IMAP server."
        }
        (Meaning::Closing, Step::Greeting) => {
            "Mailroom tries again by itself; if it stays like this, ask the provider whether it blocks connections from Mailroom."
        }
        (Meaning::Closing, _) => "Mailroom tries again by itself.",
        (Meaning::Throttled, _) if reply.code == Some(Code::OverQuota) => {
            "Mailroom tries again by itself; if the mailbox is full, delete some messages."
        }
        (Meaning::Throttled | Meaning::NotConnected, _) => {
            "Mailroom tries again by itself; fewer programs on this mailbox, or a longer interval, may help."
        }
        (Meaning::Credential, Step::Token) => {
            "Check that the login is the account that granted access, and that IMAP is enabled for it."
        }
        (Meaning::Credential, _) => "Check login and password; many providers require an app password.",
        (Meaning::Expired, _) => {
            "The password has expired: set a new one at the provider, and enter it here."
        }
        (Meaning::NotAuthorized, _) => {
            "The login itself is known, but it may not do this: check that it is the mailbox's own, and that the provider has IMAP enabled for it."
        }
        (Meaning::Administrator, _) => "Only the provider or the server's administrator can help: ask them.",
        (Meaning::WebLogin, _) => {
            return address.map_or_else(
                || "Log in to the provider with a browser, and allow this login there.".to_owned(),
                |address| format!("Open {address} in a browser, and allow this login there."),
            );
        }
        (Meaning::Alert, _) => {
            "Do what the server asks; if it asks for nothing, check login and password, or use an app password."
        }
        (Meaning::Elsewhere, _) => {
            return address.map_or_else(
                || "The mailbox is on another server: ask the provider for its host.".to_owned(),
                |address| format!("The mailbox is on another server: use the host of {address}."),
            );
        }
        (Meaning::Unsafe, _) => {
            "The provider takes this login for unsafe: allow IMAP and this program in its web mail, or ask its support."
        }
        (Meaning::Unencrypted, _) => {
            "The server does not see that the connection is encrypted: use its port with TLS from the first byte, usually 993, or ask its administrator."
        }
        (Meaning::NoTls, _) => "Use a port with TLS from the first byte, usually 993.",
        (Meaning::Mailbox, Step::Move) => "Check that it exists and that the login may write to it.",
        (Meaning::Mailbox, Step::OpenSent) => "Check that the login may read it.",
        (Meaning::Mailbox, Step::Append) => {
            "Check that the mailbox for sent messages exists and that the login may write to it."
        }
        (Meaning::Mailbox, _) => "Check its name and that the login may read it.",
        (Meaning::Full, _) => "Delete some messages, or ask the provider for more space.",
    };
    fixed.to_owned()
}
