//! Mail that comes in: from how far a mailbox is handled to the jobs that its new messages become.
//!
//! Read in this order: [`cursor`] (how far a mailbox is handled), [`poll`] (what one look at it does next), [`job`]
//! (what a flow receives), [`truncate`] (what of it goes first when it is too large), [`schedule`] (which profiles an
//! invocation polls).

pub mod cursor;
pub mod job;
pub mod poll;
pub mod schedule;
pub mod truncate;
