//! The email profile: a mailbox described once by its owner.

use std::fmt;

use time::{Date, OffsetDateTime};
use ulid::Ulid;

use crate::address::{EmailAddress, HeaderText};
use crate::audit::AuditStatus;
use crate::authserv_id::AuthservId;
use crate::flow::FlowSchemaId;
use crate::health::{Health, ProfileState, SendingChange, SendingStatus, SkippedSeen, Status};
use crate::inbound::cursor::{Cursor, Uid};
use crate::inbound::deferred::Deferred;
use crate::inbound::held_back::HeldBack;
use crate::inbound::overdue::OverdueChanges;
use crate::invalid::Invalid;
use crate::oauth2::{Authorization, Oauth2};
use crate::owner_error::ErrorCode;
use crate::provider::Grant;
use crate::server::{Mailbox, Server};

/// A profile's id: a ULID of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileId(Ulid);

impl ProfileId {
    /// The id that holds `ulid`.
    #[must_use]
    pub const fn new(ulid: Ulid) -> Self {
        Self(ulid)
    }

    /// Reads the 26 characters of a ULID.
    ///
    /// # Errors
    /// When `text` is not a ULID.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Ulid::from_string(text).map(Self).map_err(|_| Invalid::new("must be a ULID of 26 characters"))
    }
}

impl fmt::Display for ProfileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What we log in as. The password or client secret is in the profile's secret, never here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Login and password.
    Plain {
        /// The login name, often the address.
        login: String,
    },
    /// OAuth2.
    Oauth2(Oauth2),
}

impl Auth {
    /// The login name.
    #[must_use]
    pub fn login(&self) -> &str {
        match self {
            Self::Plain { login } | Self::Oauth2(Oauth2 { login, .. }) => login,
        }
    }
}

/// Whom messages come from, if that is not the login: an alias, a shared mailbox, or an address that a relay sends for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderIdentity {
    /// The address in `From` and in the envelope.
    pub address: EmailAddress,
    /// The name beside it, unless a message brings its own.
    pub name: Option<HeaderText>,
}

/// A login for the SMTP server alone. Its password is in the profile's secret, beside that of [`Auth`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpAuth {
    /// The login name: an address, or whatever the server calls its clients (`apikey`, `DOMAIN\user`).
    pub login: String,
}

/// Which mail counts as new at the first poll of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartFrom {
    /// What arrives from now on.
    Now,
    /// All that lies there.
    All,
    /// What arrived on this day (UTC) or later.
    Date(Date),
}

/// What is done to a message once its job is handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterFetch {
    /// Nothing: a poll never changes the mailbox.
    Keep,
    /// `\Seen` is set.
    MarkSeen,
    /// It is moved to another mailbox.
    Move(Mailbox),
}

/// Seconds between two polls: 10, 15, 20, 30, or whole minutes up to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefreshInterval(u32);

impl RefreshInterval {
    /// Five minutes.
    pub const DEFAULT: Self = Self(300);

    /// Reads a number of seconds.
    ///
    /// # Errors
    /// When it is not one of the intervals we keep.
    pub fn from_seconds(seconds: u32) -> Result<Self, Invalid> {
        let short = matches!(seconds, 10 | 15 | 20 | 30);
        let minutes = seconds.is_multiple_of(60) && (60..=86_400).contains(&seconds);
        if short || minutes {
            Ok(Self(seconds))
        } else {
            Err(Invalid::new("must be 10, 15, 20, 30, or a multiple of 60 up to 86400 (seconds)"))
        }
    }

    /// The number of seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

/// What a mailbox's owner describes, and edits as a whole or in part. It holds no secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What the owner calls it: 1–100 characters.
    pub name: String,
    /// The owner's notes: at most 1000 characters.
    pub description: String,
    /// Whether inbound messages are fetched.
    pub listen: bool,
    /// The mailbox that is polled.
    pub mailbox: Mailbox,
    /// The IMAP server; required while `listen` is true.
    pub imap: Option<Server>,
    /// The SMTP server; required to send.
    pub smtp: Option<Server>,
    /// The flow schema that each message starts; required while `listen` is true.
    pub flow_schema_id: Option<FlowSchemaId>,
    /// How often it is polled.
    pub refresh_interval: RefreshInterval,
    /// What we log in as.
    pub auth: Auth,
    /// What we log in to the SMTP server as; `None`: the same.
    pub smtp_auth: Option<SmtpAuth>,
    /// Whom messages come from; `None`: the login.
    pub from: Option<SenderIdentity>,
    /// Whether messages that were read before the poll count.
    pub include_seen: bool,
    /// What counts as new at the first poll.
    pub start_from: StartFrom,
    /// What happens to a message after the hand-over.
    pub after_fetch: AfterFetch,
    /// A larger message (bytes, RFC822.SIZE) becomes a headers-only job.
    pub max_message_bytes: u64,
    /// The servers whose results of authentication are believed, besides those of known providers: at most
    /// [`Settings::MAX_TRUSTED_AUTHSERV_IDS`].
    pub trusted_authserv_ids: Vec<AuthservId>,
}

impl Settings {
    /// The default of `max_message_bytes`: 25 MiB, what the large providers accept.
    pub const DEFAULT_MAX_MESSAGE_BYTES: u64 = 26_214_400;

    /// A few border servers of one organisation, each by its name.
    pub const MAX_TRUSTED_AUTHSERV_IDS: usize = 10;

    /// Settings that listen to INBOX of `imap`, with the default of everything else.
    #[must_use]
    pub fn listening(name: &str, imap: Server, auth: Auth, flow_schema_id: FlowSchemaId) -> Self {
        Self {
            name: name.to_owned(),
            description: String::new(),
            listen: true,
            mailbox: Mailbox::inbox(),
            imap: Some(imap),
            smtp: None,
            flow_schema_id: Some(flow_schema_id),
            refresh_interval: RefreshInterval::DEFAULT,
            auth,
            smtp_auth: None,
            from: None,
            include_seen: false,
            start_from: StartFrom::Now,
            after_fetch: AfterFetch::Keep,
            max_message_bytes: Self::DEFAULT_MAX_MESSAGE_BYTES,
            trusted_authserv_ids: Vec::new(),
        }
    }

    /// The address that messages come from.
    ///
    /// # Errors
    /// When none is named, and the login is no address.
    pub fn sender(&self) -> Result<EmailAddress, Invalid> {
        match &self.from {
            Some(from) => Ok(from.address.clone()),
            None => EmailAddress::parse(self.auth.login()),
        }
    }

    /// The login name for the SMTP server.
    #[must_use]
    pub fn smtp_login(&self) -> &str {
        self.smtp_auth.as_ref().map_or(self.auth.login(), |smtp_auth| &smtp_auth.login)
    }
}

/// One mailbox: what its owner describes, and the state that edits, sign-ins, polls and sends leave.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Our id.
    pub id: ProfileId,
    /// What the owner describes.
    pub settings: Settings,
    /// Counts the owner's edits; the `ETag`.
    pub version: u64,
    /// The version of the profile's secret; `None` until one is stored.
    pub secret_version: Option<String>,
    /// The state of a sign-in; `None` until a person has signed in.
    pub authorization: Option<Authorization>,
    /// When the profile was made.
    pub created_at: OffsetDateTime,
    /// When the owner last changed it.
    pub updated_at: OffsetDateTime,
    /// Since when it listens to its mailbox; `None` if it never did.
    pub listens_since: Option<OffsetDateTime>,
    /// How far its mailbox is handled; `None` before the first poll.
    pub cursor: Option<Cursor>,
    /// The messages that the cursor passed although they could not be read.
    pub deferred: Vec<Deferred>,
    /// The messages that a renumbering would have had handed over, if they are too many to do so without a question.
    pub held_back: Option<HeldBack>,
    /// The last messages that were held back and that their owner did not want: an audit does not miss them.
    pub declined: Option<HeldBack>,
    /// The changes in its mailbox that failed after the hand-over.
    pub overdue: Option<OverdueChanges>,
    /// The messages of its mailbox that were passed because someone had read them.
    pub skipped_seen: SkippedSeen,
    /// When its cursor last passed UIDs that the server neither lists nor searches for.
    pub unsearched_at: Option<OffsetDateTime>,
    /// The highest UID of a message whose job an earlier run may have sent without noting it in the ledger.
    pub repeats_up_to: Option<Uid>,
    /// What the last audit of its mailbox says; `None` before the first.
    pub audit: Option<AuditStatus>,
    /// What the owner is shown.
    pub status: Status,
    /// An error of sending, as it is stored; see [`Profile::sending_error`].
    pub sending: Option<SendingStatus>,
}

impl Profile {
    /// A new profile with these settings: not yet polled, without a secret.
    #[must_use]
    pub fn new(id: ProfileId, settings: Settings, now: OffsetDateTime) -> Self {
        let listens_since = settings.listen.then_some(now);
        let state = if settings.listen { ProfileState::Pending } else { ProfileState::Off };
        Self {
            id,
            settings,
            version: 1,
            secret_version: None,
            authorization: None,
            created_at: now,
            updated_at: now,
            listens_since,
            cursor: None,
            deferred: Vec::new(),
            held_back: None,
            declined: None,
            overdue: None,
            skipped_seen: SkippedSeen::default(),
            unsearched_at: None,
            repeats_up_to: None,
            audit: None,
            status: Status { state, ..Status::default() },
            sending: None,
        }
    }

    /// Takes over a change of sending that was stored.
    pub fn note_sending(&mut self, change: SendingChange) {
        match change {
            SendingChange::Unchanged => {}
            SendingChange::Recovered => self.sending = None,
            SendingChange::Refused(sending) => self.sending = Some(sending),
        }
    }

    /// The current error of sending: not one that was seen before the last edit.
    #[must_use]
    pub fn sending_error(&self) -> Option<&SendingStatus> {
        self.sending.as_ref().filter(|sending| sending.version == self.version)
    }

    /// What the owner is shown: a profile that does not listen is `Off`, whatever its sends meet; an error of sends shows
    /// where polls have none.
    #[must_use]
    pub fn health(&self) -> Health<'_> {
        let error = self.status.error.as_ref().or(self.sending_error().map(|sending| &sending.error));
        let state = match (self.status.state, &self.status.error, error) {
            _ if !self.settings.listen => ProfileState::Off,
            (_, None, Some(of_sends)) => ProfileState::of(of_sends.code.class()),
            // Stored while it did not listen; it listens again.
            (ProfileState::Off, _, _) => ProfileState::Pending,
            (state, _, _) => state,
        };
        Health { state, error }
    }

    /// Whether a login can be tried: it has a secret or a sign-in, which the provider has not been seen to refuse.
    #[must_use]
    pub fn can_log_in(&self) -> bool {
        self.is_authorized() && self.health().error.is_none_or(|error| error.code != ErrorCode::Oauth2Grant)
    }

    /// Whether there is what a login needs: a password, a client's own access, or a sign-in.
    #[must_use]
    pub const fn is_authorized(&self) -> bool {
        match &self.settings.auth {
            Auth::Oauth2(Oauth2 { grant: Grant::AuthorizationCode, .. }) => self.authorization.is_some(),
            Auth::Plain { .. } | Auth::Oauth2(_) => self.secret_version.is_some(),
        }
    }
}
