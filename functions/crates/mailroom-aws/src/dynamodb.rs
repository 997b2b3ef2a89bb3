//! The table: profiles, their cursors, leases and health, the flow schemas, the ledger.

mod item;
mod table;

pub use table::Table;
