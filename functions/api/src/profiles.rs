//! Profiles, with their secrets and schedules in step.
//!
//! Read in this order: `read`, `create` (the order of writes that a crash cannot break), `update`, `delete`, `hosts`
//! (which hosts a profile may name), `stored_secret` (which changes need the secret again), `connection_test` (settings against the real servers, changing nothing).

use std::sync::Arc;

use mailroom_aws::dynamodb::Table;
use mailroom_aws::intervals::Intervals;
use mailroom_aws::objects::Objects;
use mailroom_aws::secrets::Secrets;

use crate::config::SecretRecovery;
use crate::poll_now::PollNow;
use crate::profiles::hosts::Hosts;

pub(crate) mod connection_test;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod hosts;
pub(crate) mod read;
mod stored_secret;
pub(crate) mod update;

/// Creates, reads, updates and deletes profiles.
pub(crate) struct Profiles {
    pub(crate) table: Arc<Table>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) schedules: Arc<Intervals>,
    pub(crate) objects: Objects,
    pub(crate) polls: PollNow,
    pub(crate) hosts: Hosts,
    pub(crate) recovery: SecretRecovery,
}
