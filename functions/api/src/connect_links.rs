//! Connect links: an operator makes one, and the owner of a mailbox connects it with nothing but the link (`crate::connect`).
//!
//! The address of a link holds a token, which is stored as a digest. The secrets that the operator presets for a new
//! profile, such as an OAuth2 client's, are sealed under the token: until the link is used, only its address opens them.

mod cookie;
mod token;

use std::sync::Arc;

use mailroom_aws::dynamodb::{ConnectLink, ConnectLinkState, ConnectTarget, Table};
use mailroom_contract::connect_link::{ConnectLinkBody, ConnectLinkPage, ConnectLinkView, LinkStateView};
use mailroom_contract::patch::merge;
use mailroom_contract::problem::{Problems, read};
use mailroom_core::ports::PortError;
use mailroom_core::profile::{Auth, Profile, ProfileId};
use mailroom_core::provider::Grant;
use mailroom_lambda::clock;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use ulid::Ulid;

pub(crate) use self::cookie::{PATH, cookie, token_of};
pub(crate) use self::token::LinkToken;
use crate::http::problem::ApiError;
use crate::http::request::{Request, page_size};
use crate::http::response::Response;
use crate::profiles::create::require_flow_schema;
use crate::profiles::read::find;

/// How long a link counts.
const LIFETIME: Duration = Duration::days(7);

/// How long one try has the link for itself: longer than any request.
const TRY_TIME: Duration = Duration::seconds(40);

/// Makes links, lists and withdraws them, and keeps what their pages did.
pub(crate) struct ConnectLinks {
    pub(crate) table: Arc<Table>,
    /// Where browsers reach the API, without a slash at its end.
    pub(crate) public_url: String,
}

impl ConnectLinks {
    pub(crate) async fn create(&self, request: &Request) -> Result<Response, ApiError> {
        let body: ConnectLinkBody = read(request.required_json()?).map_err(ApiError::Fields)?;
        let id = clock::new_ulid();
        let token = LinkToken::new(id).map_err(|error| PortError::Corrupt(error.to_string()))?;
        let target = match (body.profile_id, body.settings) {
            (Some(profile), _) => {
                let profile = find(&self.table, &profile.0.to_string()).await?;
                require_person(&profile)?;
                ConnectTarget::Existing(profile.id)
            }
            (None, settings) => {
                let settings = settings.unwrap_or_default();
                let described = settings.check().map_err(ApiError::Fields)?;
                let described = described.describe(ProfileId::new(id), clock::now());
                require_flow_schema(&self.table, &described.profile).await?;
                let (settings, secrets) = settings.split();
                let sealed = secrets.map(|secrets| token.seal(&secrets.to_string())).transpose();
                let sealed = sealed.map_err(|error| PortError::Corrupt(error.to_string()))?;
                ConnectTarget::New { settings: settings.to_string(), sealed, made: None }
            }
        };
        let now = clock::now();
        let link = ConnectLink {
            id,
            digest: token.digest(),
            target,
            contact: body.contact.map(|contact| contact.0),
            created_at: now,
            expires_at: now + LIFETIME,
            used_at: None,
            tries: 0,
            signed_in: false,
        };
        self.table.create_connect_link(&link).await?;
        let url = format!("{}{}?link={}", self.public_url, PATH, token.expose().expose_secret());
        Ok(Response::json(201, &view(link, Some(url), now)).after_making(id))
    }

    pub(crate) async fn list(&self, request: &Request) -> Result<Response, ApiError> {
        let query = request.query(&["limit", "cursor"])?;
        let mut problems = Problems::default();
        let limit = page_size(query.get("limit"), &mut problems);
        let before = query.get("cursor").and_then(|cursor| {
            let id = id(cursor);
            if id.is_none() {
                problems.add("cursor", "must be the `next` of the previous page");
            }
            id
        });
        problems.none_or().map_err(ApiError::Parameters)?;
        let (links, next) = self.table.list_connect_links(limit, before).await?;
        let now = clock::now();
        let items = links.into_iter().map(|link| view(link, None, now)).collect();
        Ok(Response::json(200, &ConnectLinkPage { items, next: next.map(|id| id.to_string()) }))
    }

    pub(crate) async fn delete(&self, link: &str) -> Result<Response, ApiError> {
        let not_found = || ApiError::NotFound("No connect link has this id.".to_owned());
        let id = id(link).ok_or_else(not_found)?;
        self.table.connect_link(id).await?.ok_or_else(not_found)?;
        self.table.delete_connect_link(id).await?;
        Ok(Response::empty(204))
    }

    /// The link that a token opens.
    pub(crate) async fn find(&self, token: &LinkToken) -> Result<Option<ConnectLink>, PortError> {
        let link = self.table.connect_link(token.id()).await?;
        Ok(link.filter(|link| token.has_digest(&link.digest)))
    }

    /// Takes a link for one try. `false`: it cannot be used any more, or another person is trying it.
    pub(crate) async fn begin_try(&self, link: &ConnectLink) -> Result<bool, PortError> {
        let now = clock::now();
        match self.table.try_connect_link(link.id, now, now + TRY_TIME).await {
            Ok(()) => Ok(true),
            Err(PortError::Lost) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// What a new profile has, with the secrets that the token opens.
pub(crate) fn preset(link: &ConnectLink, token: &LinkToken) -> Result<Value, PortError> {
    let ConnectTarget::New { settings, sealed, .. } = &link.target else { return Ok(Value::Null) };
    let unreadable = |_| PortError::Corrupt("a connect link's settings cannot be read".to_owned());
    let mut settings: Value = serde_json::from_str(settings).map_err(unreadable)?;
    if let Some(sealed) = sealed {
        let secrets = token.open(sealed).map_err(|error| PortError::Corrupt(error.to_string()))?;
        merge(&mut settings, serde_json::from_str(secrets.expose_secret()).map_err(unreadable)?);
    }
    Ok(settings)
}

/// Refuses a profile whose access no person gives.
fn require_person(profile: &Profile) -> Result<(), ApiError> {
    match &profile.settings.auth {
        Auth::Plain { .. } => Ok(()),
        Auth::Oauth2(client) if client.grant == Grant::AuthorizationCode => Ok(()),
        Auth::Oauth2(_) => {
            let problems = Problems::one("profile_id", "must be a profile that a person gives access to");
            let detail = "This profile needs nobody to connect it: its client has access by itself.";
            Err(ApiError::Conflict(detail.to_owned(), problems))
        }
    }
}

/// An id, which has one spelling: upper case.
fn id(text: &str) -> Option<Ulid> {
    Ulid::from_string(text).ok().filter(|id| id.to_string() == text)
}

fn view(link: ConnectLink, url: Option<String>, now: OffsetDateTime) -> ConnectLinkView {
    let state = match link.state(now) {
        ConnectLinkState::Open => LinkStateView::Open,
        ConnectLinkState::Used => LinkStateView::Used,
        ConnectLinkState::Expired => LinkStateView::Expired,
        ConnectLinkState::Exhausted => LinkStateView::Exhausted,
    };
    ConnectLinkView {
        id: link.id.to_string(),
        url,
        state,
        profile_id: link.profile().map(|profile| profile.to_string()),
        settings: match link.target {
            ConnectTarget::New { settings, .. } => serde_json::from_str(&settings).ok(),
            ConnectTarget::Existing(_) => None,
        },
        contact: link.contact,
        created_at: link.created_at,
        expires_at: link.expires_at,
        used_at: link.used_at,
    }
}
