//! The table: profiles, their cursors, leases and health, the flow schemas, the ledger.
//!
//! `table` is what a poll needs, `settings` what owners do with their profiles, `claim` how
//! one of them has a profile and its secret for itself, `directory` the lists, `flows` the flow
//! schemas, `registry` the intervals in use, `item` what all of these are on the wire.

mod claim;
mod directory;
mod flows;
mod item;
mod registry;
mod settings;
mod table;

pub use claim::{Claim, Editor};
pub use directory::Listed;
pub use table::Table;
