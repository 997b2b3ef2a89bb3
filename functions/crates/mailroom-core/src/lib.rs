//! What Mailroom decides, and nothing of how it is done.
//!
//! Read in this order: [`profile`] (what a mailbox's owner describes), [`oauth2`] (access that a provider grants),
//! [`edit`] (what a change of a profile does), [`credential_scope`] (which credentials may stay with it), [`flow`] (what a message starts), [`inbound`] (from a mailbox to jobs),
//! [`outbound`] (from a message to its outcome), [`conversation`] (which messages belong together), [`owner_error`] and [`health`] (what the owner is shown), [`audit`] (whether a message is missing), [`ports`]
//! (what the decisions need from the world).
//!
//! Deliberately absent: I/O, clocks, async runtimes, AWS, IMAP. Time comes in as an argument; every function gives
//! the same answer for the same arguments.

pub mod address;
pub mod audit;
pub mod authserv_id;
pub mod conversation;
pub mod credential_scope;
pub mod edit;
pub mod error_chain;
pub mod flow;
pub mod health;
pub mod inbound;
pub mod invalid;
pub mod jitter;
pub mod known_provider;
pub mod oauth2;
pub mod outbound;
pub mod owner_error;
pub mod ports;
pub mod profile;
pub mod provider;
pub mod server;
pub mod warning;
