//! What a profile logs in with: the stored password, or an OAuth2 access token; and a person's consent to the latter.
//!
//! Read in this order: [`http`] (one request to a host that a person typed: checked, bounded, never redirected),
//! [`discovery`] (provider metadata), [`client`] (the requests of RFC 6749 to the token endpoint), [`assertion`] (what a
//! client with a key signs), [`sign_in`] (a person's consent, from the first address to the refresh token), [`tokens`]
//! (access tokens in memory, and refresh tokens that one process uses at a time), [`login_secret`] (the secret to log in
//! with, of either kind), [`error`] (what went wrong, for the owner of the mailbox).
//!
//! Deliberately absent: the storage of secrets, which is behind the core's ports; a cache of tokens beyond this process;
//! IMAP and SMTP.

pub mod assertion;
pub mod client;
pub mod discovery;
pub mod error;
pub mod http;
pub mod login_secret;
pub mod sign_in;
pub mod tokens;
