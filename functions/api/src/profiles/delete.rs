//! Deleting a profile: its polls stop first and its item goes last, so that a deletion that a crash cut short is visible
//! and can be repeated.

use std::time::Duration;

use mailroom_core::inbound::schedule::PollRequest;
use mailroom_core::ports::{Forgotten, PortError, Profiles as _};

use crate::config::SecretRecovery;
use crate::http::problem::ApiError;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::profiles::Profiles;
use crate::profiles::read::find;
use crate::profiles::update::wait_for_concurrent_edit;
use mailroom_lambda::clock;

/// How long a request removes what was noted about a profile's messages; the fetch function does the rest.
const FORGET_TIME: Duration = Duration::from_secs(10);

/// How long a deletion waits for other requests that change the profile.
const CONCURRENT_EDIT_TIMEOUT: Duration = Duration::from_secs(10);

impl Profiles {
    pub(crate) async fn delete(&self, request: &Request, id: &str) -> Result<Response, ApiError> {
        let if_match = request.if_match()?;
        let end = clock::instant() + CONCURRENT_EDIT_TIMEOUT;
        loop {
            let profile = find(&self.table, id).await?;
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
            // Even if it does not listen: a repeat completes a deletion that a crash cut short.
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
            return Ok(Response::empty(204));
        }
    }
}
