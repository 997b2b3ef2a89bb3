//! From an error to a response: the one place where an error becomes HTTP.

use mailroom_contract::problem::{FieldError, Problems};
use mailroom_contract::route::Method;
use mailroom_core::error_chain::Chain;
use mailroom_core::ports::PortError;
use serde::Serialize;
use tracing::error;

use crate::http::response::Response;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The request cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// Parameters are wrong.
    #[error("parameters are wrong")]
    Parameters(Problems),
    /// The caller may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// The path names something that does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The path takes other methods.
    #[error("the method is not allowed here")]
    Methods(Vec<Method>),
    /// The request conflicts with what is stored; names the field, if there is one.
    #[error("{0}")]
    Conflict(String, Problems),
    /// `If-Match` names another version.
    #[error("the version does not match")]
    Stale,
    /// The body is larger than this.
    #[error("the body is too large")]
    TooLarge(&'static str),
    /// `content-type` is not JSON.
    #[error("the content-type is not JSON")]
    ContentType,
    /// Fields of the body are wrong.
    #[error("fields are wrong")]
    Fields(Problems),
    /// A service failed.
    #[error("a service failed")]
    Port(#[from] PortError),
    /// The request has done a part of its work; a repeat goes on.
    #[error("a part of the work is left")]
    Unfinished,
    /// Time ran out.
    #[error("time ran out")]
    TimedOut,
}

/// RFC 9457.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl ApiError {
    /// The response. The cause of a service's failure goes to the log only.
    pub(crate) fn response(self) -> Response {
        const FIELDS: &str = "Some fields are wrong; see errors.";
        let none = Problems::default();
        match self {
            Self::Unreadable(detail) => problem(400, &detail, &none),
            Self::Parameters(problems) => problem(400, "Some parameters are wrong; see errors.", &problems),
            Self::Forbidden(detail) => problem(403, &detail, &none),
            Self::NotFound(detail) => problem(404, &detail, &none),
            Self::Methods(methods) => {
                let methods = methods.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", ");
                let detail = format!("Allowed methods: {methods}.");
                problem(405, &detail, &none).with_header("allow", methods)
            }
            Self::Conflict(detail, problems) => problem(409, &detail, &problems),
            Self::Stale => {
                problem(412, "It was changed since you read it: read it again, and repeat the change.", &none)
            }
            Self::TooLarge(limit) => problem(413, &format!("The body is larger than {limit}."), &none),
            Self::ContentType => {
                problem(415, "The body must be JSON, and its content-type application/json.", &none)
            }
            Self::Fields(problems) => problem(422, FIELDS, &problems),
            Self::Port(source) => {
                error!(error = %Chain(&source), "the request failed: a service is unavailable");
                unavailable(
                    "Mailroom cannot reach its storage at the moment. Nothing is lost; try again in a moment.",
                )
            }
            Self::Unfinished => unavailable("Not everything is deleted yet; repeat the request to go on."),
            Self::TimedOut => {
                error!("the request timed out");
                unavailable("The request took too long and was stopped; try again in a moment.")
            }
        }
    }
}

fn unavailable(detail: &str) -> Response {
    problem(503, detail, &Problems::default()).with_header("retry-after", "5")
}

fn problem(status: u16, detail: &str, problems: &Problems) -> Response {
    let body = Body { r#type: "about:blank", title: title(status), status, detail, errors: &problems.0 };
    Response::json(status, &body).with_header("content-type", "application/problem+json")
}

const fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        _ => "Service Unavailable",
    }
}
