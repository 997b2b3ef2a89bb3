//! Deleting a profile: its polls stop first and its item goes last, so that a deletion that a crash cut short is visible
//! and can be repeated.

use std::time::Duration;

use mailroom_aws::objects::Removal;
use mailroom_contract::problem::Problems;
use mailroom_core::inbound::schedule::PollRequest;
use mailroom_core::ports::{Forgotten, PortError, Profiles as _};
use mailroom_core::profile::ProfileId;

use crate::config::SecretRecovery;
use crate::http::problem::ApiError;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::profiles::Profiles;
use crate::profiles::read::find;
use crate::profiles::update::wait_for_concurrent_edit;
use mailroom_lambda::clock;

/// How long a request removes what was noted about a profile's messages; the fetch function does the rest.
const FORGET_TIME: Duration = Duration::from_secs(8);

/// How long a request removes stored messages; a repeat goes on.
const PURGE_TIME: Duration = Duration::from_secs(10);

/// How long a deletion waits for other requests that change the profile.
const CONCURRENT_EDIT_TIMEOUT: Duration = Duration::from_secs(10);

impl Profiles {
    pub(crate) async fn delete(&self, request: &Request, id: &str) -> Result<Response, ApiError> {
        let if_match = request.if_match()?;
        let messages = messages_of(request)?;
        let end = clock::instant() + CONCURRENT_EDIT_TIMEOUT;
        loop {
            let profile = match find(&self.table, id).await {
                Err(gone @ ApiError::NotFound(_)) => return self.purge_leftovers(id, messages, gone).await,
                found => found?,
            };
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
            if messages == Messages::Purged && self.purge(profile.id).await? == Removal::Some {
                return Err(ApiError::Unfinished);
            }
            match self.table.forget(profile.id, FORGET_TIME).await? {
                Forgotten::All => {}
                Forgotten::More => {
                    self.polls.0.request(&PollRequest::Forget(profile.id)).await?;
                }
            }
            self.table.delete(profile.id).await?;
            return Ok(Response::empty(204));
        }
    }

    /// Removes what is stored of a profile's messages.
    async fn purge(&self, id: ProfileId) -> Result<Removal, PortError> {
        self.objects.remove_all(&format!("mail/{id}/"), PURGE_TIME).await
    }

    /// Removes what is left of the messages of a profile that is gone: it was deleted without them, or a poll that was at
    /// work stored some afterwards.
    async fn purge_leftovers(
        &self,
        id: &str,
        messages: Messages,
        gone: ApiError,
    ) -> Result<Response, ApiError> {
        match (messages, ProfileId::parse(id)) {
            (Messages::Purged, Ok(id)) => match self.purge(id).await? {
                Removal::All => Ok(Response::empty(204)),
                Removal::Some => Err(ApiError::Unfinished),
                Removal::Nothing => Err(gone),
            },
            (Messages::Kept, _) | (_, Err(_)) => Err(gone),
        }
    }
}

/// What becomes of the messages that are stored of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Messages {
    /// They stay for as long as the bucket keeps messages.
    Kept,
    /// They are removed.
    Purged,
}

fn messages_of(request: &Request) -> Result<Messages, ApiError> {
    match request.query(&["purge"])?.get("purge").map(String::as_str) {
        None | Some("false") => Ok(Messages::Kept),
        Some("true") => Ok(Messages::Purged),
        Some(_) => Err(ApiError::Parameters(Problems::one("purge", "must be true or false"))),
    }
}
