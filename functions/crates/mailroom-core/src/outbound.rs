//! Outbound messages: from what a flow or a person asks to send to the final outcome.
//!
//! Read in this order: [`message`] (what is to be sent), [`loop_guard`] (what is held back because it could start a mail
//! loop), [`delivery`] (how far a message is, and what is next), [`ports`] (what sending needs from the world).

pub mod delivery;
pub mod loop_guard;
pub mod message;
pub mod ports;
