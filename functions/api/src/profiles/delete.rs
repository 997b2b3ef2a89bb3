//! Removing a profile: it ceases to be polled first, and its item goes last, so that a removal that died half-way can be
//! seen, and repeated.

use std::time::Duration;

use mailroom_core::inbound::schedule::PollRequest;
use mailroom_core::ports::{Forgotten, PortError, Profiles as _};

use crate::Api;
use crate::config::SecretRecovery;
use crate::http::problem::ApiError;
use crate::http::request::Request;
use crate::http::response::Answer;
use crate::profiles::update::wait_for_concurrent_edit;
use mailroom_lambda::clock;

/// How long a request goes on removing what was noted about a profile's mail; the fetch function does the rest.
const FORGET_TIME: Duration = Duration::from_secs(10);

/// How long a removal waits for others that change the profile.
const PATIENCE: Duration = Duration::from_secs(10);

impl Api {
    pub(crate) async fn delete_profile(&self, request: &Request, id: &str) -> Result<Answer, ApiError> {
        let if_match = request.if_match()?;
        let end = clock::instant() + PATIENCE;
        loop {
            let profile = self.profile(id).await?;
            if !if_match.allows(profile.version) {
                return Err(ApiError::Stale);
            }
            match self.table.retire(profile.id, profile.version, clock::now()).await {
                Ok(()) => {}
                Err(PortError::Lost) => {
                    wait_for_concurrent_edit(end).await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            // Even if it did not listen any more: a removal that died half-way is repeated here.
            self.leave(&profile).await;
            let recovery = match self.recovery {
                SecretRecovery::None => None,
                SecretRecovery::Days(days) => Some(days),
            };
            self.secrets.remove(profile.id, recovery).await?;
            match self.table.forget(profile.id, FORGET_TIME).await? {
                Forgotten::All => {}
                Forgotten::More => {
                    self.polls.request(&PollRequest::Forget(profile.id)).await?;
                }
            }
            self.table.delete(profile.id).await?;
            return Ok(Answer::empty(204));
        }
    }
}
