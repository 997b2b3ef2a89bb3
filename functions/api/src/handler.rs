//! From a request to its response: the method and path name an operation, and a service performs it.

use std::time::Duration;

use futures_util::future::BoxFuture;
use mailroom_aws::dynamodb::ConnectLink;
use mailroom_contract::autoconfig::ProviderList;
use mailroom_contract::connection_test::Alive;
use mailroom_contract::route::{self, Found, Operation, Right, Segments};
use mailroom_core::inbound::job::FLOW_JOB_SCHEMA;
use mailroom_lambda::start::Handler;
use serde_json::Value;
use tokio::time::Instant;
use tracing::{Instrument as _, info, info_span};

use crate::access::{Access, Caller};
use crate::autoconfig::SettingsSearch;
use crate::connect;
use crate::connect::rights::Linked;
use crate::connect_links::ConnectLinks;
use crate::console::Console;
use crate::console::operations::{Answer, Call, Operations};
use crate::flow_schemas::FlowSchemas;
use crate::http::base_path::BasePath;
use crate::http::problem::ApiError;
use crate::http::request::{Request, UnknownEvent};
use crate::http::response::{Change, Response};
use crate::messages::Messages;
use crate::profiles::Profiles;
use crate::profiles::connection_test::ConnectionTests;
use crate::quarantine::Quarantine;
use crate::sign_in::SignIns;
use crate::uploads::Uploads;

/// The OpenAPI document, made when the function was built.
const OPENAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// API Gateway waits at most 29 s, and our problem document says more than its own.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(26);

/// The services of the API; each owns what it uses.
pub struct Api {
    pub(crate) profiles: Profiles,
    pub(crate) connection_tests: ConnectionTests,
    pub(crate) quarantine: Quarantine,
    pub(crate) sign_ins: SignIns,
    pub(crate) connect_links: ConnectLinks,
    pub(crate) messages: Messages,
    pub(crate) uploads: Uploads,
    pub(crate) settings_search: SettingsSearch,
    pub(crate) flow_schemas: FlowSchemas,
    pub(crate) access: Access,
    pub(crate) console: Console,
    pub(crate) base_path: BasePath,
}

impl Handler for Api {
    type Response = Response;
    type Error = UnknownEvent;

    /// Serves a request. What is wrong with it is in the response; only an event that is not a request is an error.
    async fn handle(&self, event: Value, deadline: Instant) -> Result<Response, UnknownEvent> {
        let request = Request::parse(event)?;
        let span = info_span!("request", request.id = request.id());
        let response = async {
            let served = tokio::time::timeout(REQUEST_TIMEOUT, Box::pin(self.serve(&request))).await;
            let response = match served {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => error.response(),
                Err(_) => ApiError::TimedOut.response(),
            };
            info!(
                http.method = request.method(),
                http.status = response.status(),
                "served {} with {}",
                request.method(),
                response.status()
            );
            response
        };
        let response = response.instrument(span).await;
        self.sign_ins.tokens.settle(deadline).await;
        Ok(response)
    }
}

impl Api {
    async fn serve(&self, request: &Request) -> Result<Response, ApiError> {
        let below_base = self.base_path.strip(request.path());
        let path = below_base.unwrap_or_else(|| request.path());
        if let Some(page) = Box::pin(connect::serve(self, request, path)).await {
            return Ok(page);
        }
        if let Some(page) = Box::pin(self.console.serve(self, request, path)).await {
            return Ok(page);
        }
        let (operation, segments) = match route::find(request.method(), path) {
            Found::Operation(operation, segments) => (operation, segments),
            // A browser asks before it sends; API Gateway adds what CORS needs.
            Found::OtherMethods(_) if request.method() == "OPTIONS" => return Ok(Response::empty(204)),
            Found::OtherMethods(methods) => return Err(ApiError::Methods(methods)),
            Found::Nothing => {
                return Err(ApiError::NotFound("This path does not exist; see /openapi.json.".to_owned()));
            }
        };
        let response = self.admit(request, operation, segments).await?;
        Ok(if below_base.is_some() { response.below(&self.base_path) } else { response })
    }

    /// Performs an operation, if the caller may have it performed.
    async fn admit(
        &self,
        request: &Request,
        operation: Operation,
        segments: Segments,
    ) -> Result<Response, ApiError> {
        self.access.check(request.caller(), operation)?;
        let target = segments.id.clone();
        let response = self.perform(request, operation, segments).await?;
        note_change(&request.caller().name(), operation, &target, response.change());
        Ok(response)
    }

    async fn perform(
        &self,
        request: &Request,
        operation: Operation,
        Segments { id, message }: Segments,
    ) -> Result<Response, ApiError> {
        let has_query = matches!(
            operation,
            Operation::ListProfiles
                | Operation::ListFlowSchemas
                | Operation::ListConnectLinks
                | Operation::DeleteProfile
                | Operation::ListMessages
                | Operation::StartSignIn
                | Operation::FinishSignIn
        );
        if !has_query {
            request.query(&[])?;
        }
        match operation {
            Operation::CreateProfile => self.profiles.create(request).await,
            Operation::ListProfiles => self.profiles.list(request).await,
            Operation::TestSettings => self.connection_tests.test_settings(request).await,
            Operation::GetProfile => self.profiles.get(&id).await,
            Operation::PutProfile => self.profiles.replace(request, &id).await,
            Operation::PatchProfile => self.profiles.patch(request, &id).await,
            Operation::DeleteProfile => self.profiles.delete(request, &id).await,
            Operation::TestProfile => self.connection_tests.test_profile(request, &id).await,
            Operation::FetchProfile => self.profiles.fetch(request, &id).await,
            Operation::ListQuarantine => self.quarantine.list(&id).await,
            Operation::RetryQuarantined => self.quarantine.retry(&id, &message).await,
            Operation::AuthorizeProfile => self.sign_ins.authorize(&id, None).await,
            Operation::DeleteAuthorization => self.sign_ins.sign_out(&id).await,
            Operation::StartSignIn => Ok(self.sign_ins.start(request).await),
            Operation::FinishSignIn => Ok(self.sign_ins.finish(request).await),
            Operation::SendMessage => self.messages.send(request, &id).await,
            Operation::CreateUpload => self.uploads.create(request, &id).await,
            Operation::ListMessages => self.messages.list(request, &id).await,
            Operation::CancelMessage => self.messages.cancel(&id, &message).await,
            Operation::ResendMessage => self.messages.resend(&id, &message).await,
            Operation::GetMessage => self.messages.get(&id, &message).await,
            Operation::FindSettings => self.settings_search.find(request).await,
            Operation::ListProviders => Ok(Response::json(200, &ProviderList::of_all())),
            Operation::CreateConnectLink => self.connect_links.create(request).await,
            Operation::ListConnectLinks => self.connect_links.list(request).await,
            Operation::DeleteConnectLink => self.connect_links.delete(&id).await,
            Operation::CreateFlowSchema => self.flow_schemas.create(request).await,
            Operation::ListFlowSchemas => self.flow_schemas.list(request).await,
            Operation::GetFlowSchema => self.flow_schemas.get(&id).await,
            Operation::PutFlowSchema => self.flow_schemas.put(request, &id).await,
            Operation::DeleteFlowSchema => self.flow_schemas.delete(&id).await,
            Operation::GetOpenApi => Ok(public(OPENAPI)),
            Operation::GetFlowJobSchema => Ok(public(FLOW_JOB_SCHEMA)),
            Operation::GetHealth => Ok(Response::json(200, &Alive { status: "ok" })),
        }
    }
}

impl Linked for Api {
    fn connect_links(&self) -> &ConnectLinks {
        &self.connect_links
    }

    fn perform<'a>(
        &'a self,
        link: &'a ConnectLink,
        request: Request,
        operation: Operation,
        segments: Segments,
    ) -> BoxFuture<'a, Result<Response, ApiError>> {
        Box::pin(async move {
            let target = segments.id.clone();
            let response = if operation == Operation::AuthorizeProfile {
                // The provider's redirect leads back to the link's page.
                self.sign_ins.authorize(&target, Some(link.id)).await?
            } else {
                self.perform(&request, operation, segments).await?
            };
            note_change(&format!("connect link {}", link.id), operation, &target, response.change());
            Ok(response)
        })
    }
}

impl Operations for Api {
    fn ask<'a>(&'a self, of: &'a Request, authorizer: &'a Value, call: Call) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let (operation, segments, request) = call.into_request(of, authorizer);
            let performed = self.admit(&request, operation, segments).await;
            Answer::of(&performed.unwrap_or_else(ApiError::response))
        })
    }

    fn allows(&self, authorizer: &Value, operation: Operation) -> bool {
        self.access.check(Caller::new(authorizer), operation).is_ok()
    }
}

/// Writes to the log who has changed what: names of fields, never values.
fn note_change(caller: &str, operation: Operation, target: &str, change: &Change) {
    if !operation.rights().iter().any(|right| matches!(right, Right::Write))
        && operation != Operation::SendMessage
    {
        return;
    }
    let target = change.made.as_deref().unwrap_or(target);
    info!(
        caller.name = caller,
        change.operation = ?operation,
        change.target = target,
        change.fields = change.fields.join(","),
        "{caller} has performed {operation:?} on {target}"
    );
}

/// A document that is the same for every caller until the next deployment.
fn public(text: &str) -> Response {
    Response::text(200, text)
        .with_header("cache-control", "public, max-age=300")
        .with_header("access-control-allow-origin", "*")
}
