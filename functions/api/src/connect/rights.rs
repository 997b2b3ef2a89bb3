//! The API, with the rights of one connect link: what its page needs, on its own profile, and nothing else.

use std::sync::OnceLock;

use futures_util::future::BoxFuture;
use mailroom_aws::dynamodb::{ConnectLink, ConnectTarget};
use mailroom_contract::route::{Operation, Segments};
use serde_json::Value;

use crate::connect_links::ConnectLinks;
use crate::console::operations::{Answer, Call, Operations};
use crate::console::words::text;
use crate::http::problem::ApiError;
use crate::http::request::Request;
use crate::http::response::Response;

/// What the page of a link needs of the API.
pub(crate) trait Linked: Sync {
    /// The links.
    fn connect_links(&self) -> &ConnectLinks;

    /// Performs an operation that a link gives the right to.
    fn perform<'a>(
        &'a self,
        link: &'a ConnectLink,
        request: Request,
        operation: Operation,
        segments: Segments,
    ) -> BoxFuture<'a, Result<Response, ApiError>>;
}

/// The API with the rights of a link.
pub(super) struct WithLink<'a> {
    api: &'a dyn Linked,
    link: &'a ConnectLink,
    /// The link's profile: it may be made by this very request.
    profile: OnceLock<String>,
}

impl<'a> WithLink<'a> {
    pub(super) fn new(api: &'a dyn Linked, link: &'a ConnectLink) -> Self {
        let profile = link.profile().map_or_else(OnceLock::new, |id| OnceLock::from(id.to_string()));
        Self { api, link, profile }
    }

    /// The link's profile, once there is one.
    pub(super) fn profile(&self) -> Option<&str> {
        self.profile.get().map(String::as_str)
    }

    /// Whether the link gives the right to an operation on what has this id.
    fn may(&self, operation: Operation, id: &str) -> bool {
        use Operation as Op;
        let makes_one = matches!(self.link.target, ConnectTarget::New { .. });
        match operation {
            Op::FindSettings | Op::TestSettings => makes_one,
            Op::CreateProfile => makes_one && self.profile().is_none(),
            Op::GetProfile | Op::PatchProfile | Op::TestProfile | Op::AuthorizeProfile => {
                self.profile() == Some(id)
            }
            Op::ListProviders => true,
            Op::ListProfiles
            | Op::PutProfile
            | Op::DeleteProfile
            | Op::FetchProfile
            | Op::ListQuarantine
            | Op::RetryQuarantined
            | Op::DeleteAuthorization
            | Op::StartSignIn
            | Op::FinishSignIn
            | Op::SendMessage
            | Op::CreateUpload
            | Op::ListMessages
            | Op::GetMessage
            | Op::CancelMessage
            | Op::ResendMessage
            | Op::CreateConnectLink
            | Op::ListConnectLinks
            | Op::DeleteConnectLink
            | Op::CreateFlowSchema
            | Op::ListFlowSchemas
            | Op::GetFlowSchema
            | Op::PutFlowSchema
            | Op::DeleteFlowSchema
            | Op::GetOpenApi
            | Op::GetFlowJobSchema
            | Op::GetHealth => false,
        }
    }
}

impl Operations for WithLink<'_> {
    fn allows(&self, _authorizer: &Value, operation: Operation) -> bool {
        self.may(operation, self.profile().unwrap_or_default())
    }

    fn ask<'a>(&'a self, of: &'a Request, authorizer: &'a Value, call: Call) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let (operation, segments, request) = call.into_request(of, authorizer);
            if !self.may(operation, &segments.id) {
                let refused = ApiError::Forbidden("This link does not give the right to do this.".to_owned());
                return Answer::of(&refused.response());
            }
            let performed = self.api.perform(self.link, request, operation, segments).await;
            let answer = Answer::of(&performed.unwrap_or_else(ApiError::response));
            if operation == Operation::CreateProfile && answer.status == 201 {
                let _ = self.profile.set(text(&answer.body, "/id").to_owned());
            }
            answer
        })
    }
}
