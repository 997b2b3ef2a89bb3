//! Asking for a poll.

use deserr::Deserr;
use utoipa::ToSchema;

use crate::problem::Problems;

/// What a request for a poll may say beside that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserr, ToSchema)]
#[deserr(error = Problems, deny_unknown_fields)]
pub struct FetchBody {
    /// Whether the messages that are held back are handed over (`true`) or dropped (`false`). Without it, they wait on.
    #[deserr(default)]
    pub accept: Option<bool>,
}
