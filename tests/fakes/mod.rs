//! Peers that do what real servers only do when it hurts.

pub mod rtt_proxy;
pub mod scripted_imap;
