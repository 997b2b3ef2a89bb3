//! Messages that come in: from a mailbox to the jobs that its new messages become.
//!
//! Read in this order: [`cursor`] (how far a mailbox is handled), [`pending`] (a message without a job), [`listing`]
//! (what a server lists, and what it leaves out), [`plan`] (which messages are new), [`failure`] (why a step failed), [`isolation`] (how carefully messages are handed over after
//! failures), [`deferred`] (messages that could not be read), [`step`] (what a poll and its driver say to each other),
//! `page` (the hand-over of one page), `backlog` (what is left to hand over), [`poll`] (the whole of it), [`job`] (what a
//! flow receives), [`ledger`] (what is remembered of it), [`mod@truncate`] (what of it goes first when it is too large), [`schedule`] (which profiles an
//! invocation polls), [`interval_health`] (how many of them are doing well).

mod backlog;
pub mod cursor;
pub mod deferred;
pub mod failure;
pub mod held_back;
pub mod interval_health;
pub mod isolation;
pub mod job;
pub mod ledger;
pub mod listing;
pub mod overdue;
mod page;
pub mod pending;
pub mod plan;
pub mod poll;
pub mod schedule;
pub mod step;
pub mod truncate;
