//! Reading profiles, and polling one now.

use mailroom_contract::connection_test::Accepted;
use mailroom_contract::problem::Problems;
use mailroom_contract::profile_view::{ProfilePage, ProfileView};
use mailroom_core::health::State;
use mailroom_core::inbound::schedule::PollRequest;
use mailroom_core::ports::{PortError, Profiles as _};
use mailroom_core::profile::{Profile, ProfileId};
use time::format_description::well_known::Rfc3339;

use crate::Api;
use crate::http::problem::ApiError;
use crate::http::request::Request;
use crate::http::response::Answer;
use mailroom_lambda::clock;

/// Items of a page when the request does not say.
const USUAL_PAGE: usize = 50;

/// Items of a page at most.
const LARGEST_PAGE: usize = 100;

/// The longest text that is searched for, in characters.
const LONGEST_SEARCH: usize = 100;

impl Api {
    pub(crate) async fn get_profile(&self, id: &str) -> Result<Answer, ApiError> {
        Ok(Answer::profile(200, self.profile(id).await?))
    }

    /// The profile with this id.
    pub(crate) async fn profile(&self, id: &str) -> Result<Profile, ApiError> {
        let gone = || ApiError::NotFound("There is no profile with this id.".to_owned());
        // An id has one spelling: ours.
        let id = ProfileId::parse(id).ok().filter(|parsed| parsed.to_string() == id).ok_or_else(gone)?;
        self.table.get(id).await?.ok_or_else(gone)
    }

    pub(crate) async fn list_profiles(&self, request: &Request) -> Result<Answer, ApiError> {
        let query = request.query(&["limit", "cursor", "q"])?;
        let mut problems = Problems::default();
        let limit = limit(query.get("limit"), &mut problems);
        let before = query.get("cursor").and_then(|cursor| {
            let id = ProfileId::parse(cursor).ok();
            if id.is_none() {
                problems.add("cursor", "must be `next` of the page before");
            }
            id
        });
        let search = query.get("q").map(String::as_str);
        if search.is_some_and(|text| !(1..=LONGEST_SEARCH).contains(&text.chars().count())) {
            problems.add("q", "must have 1 to 100 characters");
        } else if search.is_some_and(|text| text.chars().any(char::is_control)) {
            problems.add("q", "must not hold control characters");
        }
        problems.none_or().map_err(ApiError::Parameters)?;
        let listed = self.table.list_profiles(limit, before, search).await?;
        let now = clock::now();
        let page = ProfilePage {
            items: listed.profiles.into_iter().map(|profile| ProfileView::of(profile, now)).collect(),
            next: listed.next.map(|id| id.to_string()),
        };
        Ok(Answer::json(200, &page))
    }

    pub(crate) async fn fetch_profile(&self, id: &str) -> Result<Answer, ApiError> {
        let profile = self.profile(id).await?;
        let conflict = |detail: String| ApiError::Conflict(detail, Problems::default());
        if !profile.listen {
            let detail =
                "This profile does not listen, so there is nothing to fetch; set listen to true first.";
            return Err(conflict(detail.to_owned()));
        }
        if let Some(until) = profile.status.not_before.filter(|until| *until > clock::now()) {
            if profile.status.state == State::Throttled {
                let until = until.format(&Rfc3339).unwrap_or_default();
                let detail =
                    format!("The mail server has asked for a pause until {until}; it is polled then.");
                return Err(conflict(detail));
            }
            // Our own pause, which whoever asks for a poll now wants to end.
            match self.table.clear_pause(profile.id, profile.version).await {
                // An edit has ended it too.
                Ok(()) | Err(PortError::Lost) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.polls.request(&PollRequest::Profile(profile.id)).await?;
        Ok(Answer::json(202, &Accepted { profile_id: profile.id.to_string() }))
    }
}

/// Reads `limit`.
pub(crate) fn limit(text: Option<&String>, problems: &mut Problems) -> usize {
    let Some(text) = text else { return USUAL_PAGE };
    let limit = text.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit));
    limit.unwrap_or_else(|| {
        problems.add("limit", "must be a whole number from 1 to 100");
        USUAL_PAGE
    })
}
