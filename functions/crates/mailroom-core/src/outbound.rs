//! Mail that goes out: from what a flow or a person wants to have sent to its outcome.
//!
//! Read in this order: [`message`] (what is to be sent), [`loop_guard`] (what is held back, because it could begin a
//! loop), [`delivery`] (how far it is, and what is next).

pub mod delivery;
pub mod loop_guard;
pub mod message;
