//! Reading profiles, and polling one now.

use std::collections::HashMap;

use mailroom_aws::dynamodb::{Accept, Filter, Table};
use mailroom_contract::connection_test::Accepted;
use mailroom_contract::poll::FetchBody;
use mailroom_contract::problem::{self, Problems};
use mailroom_contract::profile_view::{ProfilePage, ProfileView, state_named};
use mailroom_core::flow::FlowSchemaId;
use mailroom_core::health::ProfileState;
use mailroom_core::inbound::schedule::PollRequest;
use mailroom_core::ports::{PortError, Profiles as _};
use mailroom_core::profile::{Profile, ProfileId};
use time::format_description::well_known::Rfc3339;

use crate::http::problem::ApiError;
use crate::http::request::{Request, page_size};
use crate::http::response::Response;
use crate::profiles::Profiles;
use mailroom_lambda::clock;

/// The longest text that is searched for, in characters.
const LONGEST_SEARCH: usize = 100;

impl Profiles {
    pub(crate) async fn get(&self, id: &str) -> Result<Response, ApiError> {
        Ok(Response::profile(200, find(&self.table, id).await?))
    }

    pub(crate) async fn list(&self, request: &Request) -> Result<Response, ApiError> {
        let query = request.query(&["limit", "cursor", "q", "state", "flow_schema_id", "listen"])?;
        let mut problems = Problems::default();
        let limit = page_size(query.get("limit"), &mut problems);
        let before =
            read(&query, "cursor", "must be the `next` of the previous page", &mut problems, |text| {
                ProfileId::parse(text).ok()
            });
        let search = query.get("q").map(String::as_str);
        if search.is_some_and(|text| !(1..=LONGEST_SEARCH).contains(&text.chars().count())) {
            problems.add("q", "must have 1 to 100 characters");
        } else if search.is_some_and(|text| text.chars().any(char::is_control)) {
            problems.add("q", "must not hold control characters");
        }
        let state =
            read(&query, "state", "must be a state, such as misconfigured", &mut problems, state_named);
        let flow_schema =
            read(&query, "flow_schema_id", "must be the id of a flow schema", &mut problems, |text| {
                FlowSchemaId::parse(text).ok()
            });
        let listen = read(&query, "listen", "must be true or false", &mut problems, |text| text.parse().ok());
        problems.none_or().map_err(ApiError::Parameters)?;
        let filter = Filter { search, flow_schema: flow_schema.as_ref(), state, listen };
        let listed = self.table.list_profiles(limit, before, &filter).await?;
        let now = clock::now();
        let page = ProfilePage {
            items: listed.profiles.into_iter().map(|profile| ProfileView::of(profile, now)).collect(),
            next: listed.next.map(|id| id.to_string()),
        };
        Ok(Response::json(200, &page))
    }

    pub(crate) async fn fetch(&self, request: &Request, id: &str) -> Result<Response, ApiError> {
        let body: FetchBody = match request.json()? {
            Some(body) => problem::read(body).map_err(ApiError::Fields)?,
            None => FetchBody::default(),
        };
        let profile = find(&self.table, id).await?;
        let conflict = |detail: String| ApiError::Conflict(detail, Problems::default());
        if !profile.settings.listen {
            let detail =
                "This profile does not listen, so there is nothing to fetch; set listen to true first.";
            return Err(conflict(detail.to_owned()));
        }
        if let Some(until) = profile.status.not_before.filter(|until| *until > clock::now()) {
            if profile.status.state == ProfileState::Throttled {
                let until = until.format(&Rfc3339).unwrap_or_default();
                let detail =
                    format!("The mail server asked for a pause until {until}; the profile is polled then.");
                return Err(conflict(detail));
            }
            // A pause of our own, which a request to poll now ends.
            match self.table.clear_pause(profile.id, profile.version).await {
                // An edit ended it too.
                Ok(()) | Err(PortError::Lost) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(accept) = body.accept {
            let answer = if accept { Accept::HandOver } else { Accept::Drop };
            match self.table.answer_held_back(profile.id, answer).await {
                Ok(()) => {}
                Err(PortError::Lost) => {
                    return Err(conflict("No messages of this profile are held back.".to_owned()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.polls.0.request(&PollRequest::Profile(profile.id)).await?;
        Ok(Response::json(202, &Accepted { profile_id: profile.id.to_string() }))
    }
}

/// Reads a parameter; adds a problem when it cannot be read.
fn read<T>(
    query: &HashMap<&'static str, String>,
    name: &'static str,
    problem: &str,
    problems: &mut Problems,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let value = parse(query.get(name)?);
    if value.is_none() {
        problems.add(name, problem);
    }
    value
}

/// The profile with this id.
pub(crate) async fn find(table: &Table, id: &str) -> Result<Profile, ApiError> {
    let not_found = || ApiError::NotFound("No profile has this id.".to_owned());
    // An id has one spelling: upper case.
    let id = ProfileId::parse(id).ok().filter(|parsed| parsed.to_string() == id).ok_or_else(not_found)?;
    table.get(id).await?.ok_or_else(not_found)
}
