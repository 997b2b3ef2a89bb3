//! What Mailroom decides, and nothing of how it is done.
//!
//! Read in this order: [`profile`] (what a mailbox's owner describes), [`oauth2`] (access that a provider grants),
//! [`edit`] (what a change of it does), [`flow`] (what a mail starts), [`cursor`] (how far we are), [`poll`] (from a
//! cursor and a server's listing to what has to be done), [`job`] (what a flow receives), [`fit`] (what of it goes
//! first when it is too large), [`outbound`] (what is to be sent), [`guard`] (what is held
//! back, because it could begin a loop), [`delivery`] (how far it is), [`health`] (what the owner is shown), [`schedule`] (what one run checks), [`ports`]
//! (what the decisions need from the world).
//!
//! Deliberately absent: I/O, clocks, async runtimes, AWS, IMAP. Time comes in as an argument; every function gives
//! the same answer for the same arguments.

pub mod cursor;
pub mod delivery;
pub mod edit;
pub mod fit;
pub mod flow;
pub mod guard;
pub mod health;
pub mod job;
pub mod oauth2;
pub mod outbound;
pub mod poll;
pub mod ports;
pub mod profile;
pub mod schedule;
pub mod trouble;
