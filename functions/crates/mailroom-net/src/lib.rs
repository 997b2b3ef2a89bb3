//! Connections to servers that a profile names: which addresses are allowed, and TLS that verifies the server.
//!
//! Read in this order: [`connect`] (which addresses may be connected to, and how), [`tls`] (always verified),
//! [`login`] (credentials and SASL messages, the same for every protocol), [`redact`] (removes credentials from texts),
//! [`owner_error`] (what the mailbox's owner reads when there is no connection), [`clock`].
//!
//! rustls stays inside [`tls`]. Deliberately absent: any protocol spoken over the connection, and any switch that
//! turns a check off.

mod address;
pub mod clock;
pub mod connect;
pub mod login;
pub mod owner_error;
pub mod redact;
pub mod tls;
mod verifier;
