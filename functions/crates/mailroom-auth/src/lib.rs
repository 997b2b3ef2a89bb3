//! What a profile logs in with: the stored password, or an OAuth2 access token; and a person's consent to the latter.
//!
//! Read in this order: [`http`] (one request to a host that a person typed: checked, bounded, never redirected),
//! [`discovery`] (provider metadata), [`client`] (the requests of RFC 6749 to its token endpoint),
//! [`assertion`] (what a client with a key signs), [`sign_in`] (a person's consent, from the first address to the refresh
//! token), [`tokens`] (access tokens in memory, and refresh tokens that are used by one process at a time), [`login_secret`] (what a profile logs in with, of either kind),
//! [`error`] (what went wrong, for the owner of the mailbox).
//!
//! Deliberately absent: where secrets are stored, which the core's ports say, and any cache of tokens beyond this process, and IMAP and SMTP.

pub mod assertion;
pub mod client;
pub mod discovery;
pub mod error;
pub mod http;
pub mod login_secret;
pub mod sign_in;
pub mod tokens;
