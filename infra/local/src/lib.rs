//! To be written.
pub mod certificates;
pub mod dovecot;
pub mod lmtp;
pub mod tied;
