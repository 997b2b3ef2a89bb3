//! Settings for an address, found without a password.

use mailroom_autoconfig::candidate::{Candidate, Confidence, Origin};
use mailroom_autoconfig::search::{Autoconfig, SEARCH_TIMEOUT};
use mailroom_contract::autoconfig::{
    AlternativeView, AutoconfigBody, AutoconfigView, CandidateView, ConfidenceView, KnownOauth2View,
    OriginView, ProviderName, ServerView, auth_names, login_form_name,
};
use mailroom_contract::problem::{Problems, read};
use mailroom_core::server::Host;
use mailroom_lambda::clock;

use crate::http::problem::ApiError;
use crate::http::request::Request;
use crate::http::response::Response;

/// Finds settings.
pub(crate) struct SettingsSearch(pub(crate) Autoconfig);

impl SettingsSearch {
    pub(crate) async fn find(&self, request: &Request) -> Result<Response, ApiError> {
        let AutoconfigBody { address } = read(request.required_json()?).map_err(ApiError::Fields)?;
        let domain = Host::parse(address.0.domain()).ok().filter(|domain| domain.as_str().contains('.'));
        let Some(domain) = domain else {
            let problem = "must have a domain, such as example.com, after the @";
            return Err(ApiError::Fields(Problems::one("address", problem)));
        };
        let found = self.0.find(&address.0, &domain, clock::instant() + SEARCH_TIMEOUT).await;
        let candidates = found.into_iter().map(view).collect();
        Ok(Response::json(200, &AutoconfigView { candidates }))
    }
}

fn view(candidate: Candidate) -> CandidateView {
    let provider = candidate.provider;
    CandidateView {
        origin: match candidate.origin {
            Origin::Provider => OriginView::Provider,
            Origin::Mx => OriginView::Mx,
            Origin::Autoconfig => OriginView::Autoconfig,
            Origin::Ispdb => OriginView::Ispdb,
            Origin::Srv => OriginView::Srv,
            Origin::Guess => OriginView::Guess,
        },
        source: candidate.source,
        confidence: match candidate.confidence {
            Confidence::High => ConfidenceView::High,
            Confidence::Medium => ConfidenceView::Medium,
            Confidence::Low => ConfidenceView::Low,
        },
        provider: provider.map(|known| ProviderName { id: known.id.clone(), name: known.name.clone() }),
        imap: candidate.imap.as_ref().map(ServerView::of),
        smtp: candidate.smtp.as_ref().map(ServerView::of),
        alternatives: candidate
            .alternatives
            .iter()
            .map(|(protocol, server)| AlternativeView::of(*protocol, server))
            .collect(),
        login_form: login_form_name(candidate.login_form),
        login: candidate.login,
        login_note: provider.and_then(|known| known.login_note.clone()),
        auth: auth_names(&candidate.auth),
        oauth2: provider.and_then(|known| known.oauth2.as_ref()).map(KnownOauth2View::of),
        instructions: provider.map(|known| known.instructions.clone()),
        ends_on: provider.and_then(|known| known.ends_on).map(|day| day.to_string()),
        unconfirmed_hosts: candidate.unconfirmed_hosts.iter().map(ToString::to_string).collect(),
    }
}
