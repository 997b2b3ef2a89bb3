//! Connections to servers that a person named: where they may go, and that they are who they say.
//!
//! Read in this order: [`connect`] (which addresses may be connected to, and how), [`tls`] (always verified),
//! [`login`] (what is sent to log in, the same for every protocol), [`redact`] (keeps it out of quoted words),
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
