//! From a request to its answer.

use std::time::Duration;

use mailroom_contract::connection_test::Alive;
use mailroom_contract::route::{self, Found, Operation, Segments};
use mailroom_core::inbound::job::FLOW_JOB_SCHEMA;
use mailroom_lambda::start::Handler;
use serde_json::Value;
use tokio::time::Instant;
use tracing::{Instrument as _, info, info_span};

use crate::Api;
use crate::http::problem::ApiError;
use crate::http::request::{Request, UnknownEvent};
use crate::http::response::Answer;

/// The OpenAPI document, made when the function was built.
const OPENAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// API Gateway waits 29 s at most for an answer, and ours is better than its own.
const ANSWER_TIME: Duration = Duration::from_secs(26);

impl Handler for Api {
    type Response = Answer;
    type Error = UnknownEvent;

    /// Serves a request. What is wrong with it is in the response; only an event that is not a request is an error.
    async fn handle(&self, event: Value, _: Instant) -> Result<Answer, UnknownEvent> {
        let request = Request::parse(event)?;
        let span = info_span!("request", id = request.id());
        let answer = async {
            let served = tokio::time::timeout(ANSWER_TIME, Box::pin(self.serve(&request))).await;
            let answer = match served {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) => error.answer(),
                Err(_) => ApiError::TimedOut.answer(),
            };
            info!(http.method = request.method(), http.status = answer.status(), "served");
            answer
        };
        Ok(answer.instrument(span).await)
    }
}

impl Api {
    async fn serve(&self, request: &Request) -> Result<Answer, ApiError> {
        let (operation, Segments { id, message }) = match route::find(request.method(), request.path()) {
            Found::Operation(operation, segments) => (operation, segments),
            // A browser asks before it sends; API Gateway adds what CORS needs.
            Found::OtherMethods(_) if request.method() == "OPTIONS" => return Ok(Answer::empty(204)),
            Found::OtherMethods(methods) => return Err(ApiError::Methods(methods)),
            Found::Nothing => {
                return Err(ApiError::NotFound("There is nothing here; see /openapi.json.".to_owned()));
            }
        };
        let has_query = matches!(
            operation,
            Operation::ListProfiles
                | Operation::ListFlowSchemas
                | Operation::StartSignIn
                | Operation::FinishSignIn
        );
        if !has_query {
            request.query(&[])?;
        }
        match operation {
            Operation::CreateProfile => self.create_profile(request).await,
            Operation::ListProfiles => self.list_profiles(request).await,
            Operation::TestSettings => self.test_settings(request).await,
            Operation::GetProfile => self.get_profile(&id).await,
            Operation::PutProfile => self.put_profile(request, &id).await,
            Operation::PatchProfile => self.patch_profile(request, &id).await,
            Operation::DeleteProfile => self.delete_profile(request, &id).await,
            Operation::TestProfile => self.test_profile(request, &id).await,
            Operation::FetchProfile => self.fetch_profile(&id).await,
            Operation::AuthorizeProfile => self.authorize_profile(&id).await,
            Operation::DeleteAuthorization => self.delete_authorization(&id).await,
            Operation::StartSignIn => Ok(self.start_sign_in(request).await),
            Operation::FinishSignIn => Ok(self.finish_sign_in(request).await),
            Operation::SendMessage => self.send_message(request, &id).await,
            Operation::GetMessage => self.get_message(&id, &message).await,
            Operation::CreateFlowSchema => self.create_flow_schema(request).await,
            Operation::ListFlowSchemas => self.list_flow_schemas(request).await,
            Operation::GetFlowSchema => self.get_flow_schema(&id).await,
            Operation::PutFlowSchema => self.put_flow_schema(request, &id).await,
            Operation::DeleteFlowSchema => self.delete_flow_schema(&id).await,
            Operation::GetOpenApi => Ok(public(OPENAPI)),
            Operation::GetFlowJobSchema => Ok(public(FLOW_JOB_SCHEMA)),
            Operation::GetHealth => Ok(Answer::json(200, &Alive { status: "ok" })),
        }
    }
}

/// A document that is the same for everybody until the next deployment.
fn public(text: &str) -> Answer {
    Answer::text(200, text)
        .with_header("cache-control", "public, max-age=300")
        .with_header("access-control-allow-origin", "*")
}
