//! Profiles, with their secrets and schedules in step.

pub(crate) mod connection_test;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod hosts;
pub(crate) mod read;
pub(crate) mod update;
