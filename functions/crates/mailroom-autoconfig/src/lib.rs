//! From an address to the settings of its mailbox: servers, logins, and what its owner has to do first.
//!
//! 1. [`candidate`]: the settings that are found, where they come from, and how far they can be trusted.
//! 2. `names`: what the DNS says of a domain. A domain whose mail a known provider takes is that provider's.
//! 3. `document`: configuration documents (Mozilla's format) of the domain itself, and of Thunderbird's database.
//! 4. `probe`: hosts with usual names, tried over TLS.
//! 5. [`search`]: all of it at once, within a deadline.
//!
//! Deliberately absent: a password. What is tried here is tried without one, and only at hosts that may be connected to.
//! What the DNS says is not proved, so hosts that it names outside of the domain have to be confirmed by a person
//! ([`candidate::Candidate::unconfirmed_hosts`]).

pub mod candidate;
mod document;
mod names;
mod probe;
pub mod search;
