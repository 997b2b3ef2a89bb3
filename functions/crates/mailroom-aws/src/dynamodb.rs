//! The table: profiles, their cursors, leases and health, the flow schemas, the ledger.
//!
//! `table` is the client and what all operations share, `polls` what a poll needs, `settings` what owners do with their profiles, `claim` how
//! one of them has a profile and its secret for itself, `directory` the lists, `flows` the flow
//! schemas, `registry` the intervals in use, `deliveries` the outbound messages, `conversations` which messages belong together, `audits` what an audit compares, `outbox` their lists, `session_slots` who may send for a profile, `sign_ins` the sign-ins under way, `connect_links` who may connect a mailbox, `ended_sessions` the sessions of the console that have ended, and `item`,
//! `state_item` and `delivery_item` what all of these are on the wire.

mod attribute;
mod audit_item;
mod audits;
mod claim;
mod connect_links;
mod conversations;
mod creations;
mod deferred_item;
mod deliveries;
mod delivery_item;
mod ended_sessions;
mod flow_schemas;
mod held_item;
mod interval_registry;
mod ledger_item;
mod listing;
mod outbox;
mod overdue_item;
mod polls;
mod profile_item;
mod profiles;
mod session_slots;
mod sign_ins;
mod state_item;
mod table;

pub use claim::{Claim, Editor};
pub use connect_links::{ConnectLink, ConnectLinkState, ConnectTarget, MAX_CONNECT_TRIES};
pub use creations::Created;
pub use listing::{Filter, Listed};
pub use outbox::{Outbox, OutboxFilter, OutboxPlace};
pub use profiles::Accept;
pub use sign_ins::SignIn;
pub use table::Table;
