//! Requests in, responses out: the one place where the function speaks HTTP.

pub(crate) mod base_path;
pub(crate) mod problem;
pub(crate) mod request;
pub(crate) mod response;
