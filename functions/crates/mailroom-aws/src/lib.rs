//! The core's ports over AWS: the only crate that knows an AWS SDK.
//!
//! [`client`] sets up one HTTP client, and service clients when they are first used; [`dynamodb`] is the table,
//! [`secrets`] the credentials, [`named_secret`] a secret that belongs to no profile, [`grants`] what OAuth2 providers have granted, [`handover`] the bucket and queues for
//! inbound messages, [`objects`] the bucket itself, [`send_queue`] the queue of outbound messages, [`scheduler`] the
//! schedules, [`intervals`] what keeps them in step with the profiles. No environment variable of Mailroom is read here,
//! only the SDK's own. No SDK type leaves the crate, but for the configuration from which the tools beside the functions
//! make clients of their own.

pub mod client;
pub mod dynamodb;
mod error;
pub mod grants;
pub mod handover;
pub mod intervals;
pub mod named_secret;
pub mod objects;
#[cfg(test)]
mod replay;
pub mod scheduler;
pub mod secrets;
pub mod send_queue;
