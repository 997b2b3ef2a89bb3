//! Messages that cannot be read: listed, and tried again at once.

use std::sync::Arc;

use mailroom_aws::dynamodb::Table;
use mailroom_contract::connection_test::Accepted;
use mailroom_contract::problem::Problems;
use mailroom_contract::quarantine::{QuarantineView, quarantine_id};
use mailroom_core::inbound::schedule::PollRequest;
use mailroom_core::ports::PortError;
use mailroom_lambda::clock;

use crate::http::problem::ApiError;
use crate::http::response::Response;
use crate::poll_now::PollNow;
use crate::profiles::read::find;

/// Lists the messages of profiles that cannot be read, and has them tried again.
pub(crate) struct Quarantine {
    pub(crate) table: Arc<Table>,
    pub(crate) polls: PollNow,
}

impl Quarantine {
    pub(crate) async fn list(&self, id: &str) -> Result<Response, ApiError> {
        let profile = find(&self.table, id).await?;
        Ok(Response::json(200, &QuarantineView::of(&profile)))
    }

    /// Has a message tried now: it is due at once, and its mailbox is polled.
    pub(crate) async fn retry(&self, id: &str, message: &str) -> Result<Response, ApiError> {
        let conflict = |detail: &str| ApiError::Conflict(detail.to_owned(), Problems::default());
        let profile = find(&self.table, id).await?;
        let place = profile.deferred.iter().position(|entry| quarantine_id(entry) == message);
        let entry = place.and_then(|place| Some((place, profile.deferred.get(place)?)));
        let Some((place, entry)) = entry else {
            let detail = "No message of this profile that cannot be read has this id; see the list.";
            return Err(ApiError::NotFound(detail.to_owned()));
        };
        if !profile.settings.listen {
            return Err(conflict(
                "This profile does not listen, so no message is read; set listen to true first.",
            ));
        }
        match self.table.retry_deferred(profile.id, place, entry, clock::now()).await {
            Ok(()) => {}
            Err(PortError::Lost) => {
                return Err(conflict("The mailbox is being polled at this moment; try again in a minute."));
            }
            Err(error) => return Err(error.into()),
        }
        self.polls.0.request(&PollRequest::Profile(profile.id)).await?;
        Ok(Response::json(202, &Accepted { profile_id: profile.id.to_string() }))
    }
}
