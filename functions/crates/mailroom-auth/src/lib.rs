//! OAuth2: from a profile to an access token, and from a person's consent to a sign-in.
//!
//! Read in this order: [`http`] (one request to a host that somebody typed: checked, bounded, never redirected),
//! [`discovery`] (what a provider says of itself), [`client`] (the requests of RFC 6749 to its token endpoint),
//! [`assertion`] (what a client with a key signs), [`sign_in`] (a person's consent, from the first address to the refresh
//! token), [`tokens`] (access tokens in memory, and refresh tokens that are used by one process at a time), [`access`] (what a profile logs in with, a password or a token), [`error`]
//! (what went wrong, for the owner of the mailbox).
//!
//! Deliberately absent: where secrets are stored, which the core's ports say, and any cache of tokens beyond this process.

pub mod access;
pub mod assertion;
pub mod client;
pub mod discovery;
pub mod error;
pub mod http;
pub mod sign_in;
pub mod tokens;
