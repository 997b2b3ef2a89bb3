//! The routes of the console: pages for people. They have a table of their own, because they are no contract: the OpenAPI
//! document does not describe them, and they change with the pages.

use crate::route::{Found, Method, Operation, Route, find_in, route};

/// What a request of the console asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Page {
    /// Shows all mailboxes.
    Mailboxes,
    /// Shows the form for a new profile.
    NewProfile,
    /// Takes that form.
    CreateProfile,
    /// Shows how a profile is doing.
    Status,
    /// Shows the form of a profile.
    General,
    /// Takes that form.
    SaveProfile,
    /// Asks whether a profile is to go.
    ConfirmDeletion,
    /// Removes a profile.
    DeleteProfile,
    /// Polls a profile now.
    PollNow,
    /// Answers whether messages that are held back are handed over.
    AnswerHeldBack,
    /// Tries a message that cannot be read.
    RetryQuarantined,
    /// Lets a profile listen, or pauses it.
    SetListen,
    /// Begins a sign-in for a profile.
    SignIn,
    /// Signs a profile out.
    SignOut,
    /// Sends a message again to those whom nobody has taken it for.
    ResendMessage,
    /// Cancels a message that is queued.
    CancelMessage,
    /// Shows the connect links, and the form for a new one.
    ConnectLinks,
    /// Takes that form.
    CreateConnectLink,
    /// Withdraws a connect link.
    WithdrawConnectLink,
    /// Makes a connect link for a profile.
    ConnectProfile,
    /// Shows all flow schemas.
    FlowSchemas,
    /// Shows the form for a new flow schema.
    NewFlowSchema,
    /// Takes that form.
    CreateFlowSchema,
    /// Shows the form of a flow schema.
    FlowSchema,
    /// Takes that form.
    SaveFlowSchema,
    /// Removes a flow schema that no profile uses.
    DeleteFlowSchema,
    /// Returns a style sheet or a script.
    StaticFile,
    /// Shows where people sign in to the console itself.
    Session,
    /// Sends a person to the provider, for a session.
    StartSession,
    /// Takes a person back from the provider.
    FinishSession,
    /// Says that a person is signed in who did so beside a page with a form.
    SessionStarted,
    /// Ends a session.
    EndSession,
}

/// Who may see a page, or send its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Everybody who can reach the console.
    Everybody,
    /// People who may have the API perform this operation.
    CallersOf(Operation),
}

impl Page {
    /// Who may see the page, or send its form.
    #[must_use]
    pub const fn admission(self) -> Admission {
        Admission::CallersOf(match self {
            Self::Mailboxes => Operation::ListProfiles,
            Self::Status | Self::General => Operation::GetProfile,
            Self::NewProfile | Self::CreateProfile => Operation::CreateProfile,
            Self::SaveProfile | Self::SetListen => Operation::PatchProfile,
            Self::ConfirmDeletion | Self::DeleteProfile => Operation::DeleteProfile,
            Self::PollNow | Self::AnswerHeldBack => Operation::FetchProfile,
            Self::RetryQuarantined => Operation::RetryQuarantined,
            Self::ConnectLinks => Operation::ListConnectLinks,
            Self::CreateConnectLink | Self::ConnectProfile => Operation::CreateConnectLink,
            Self::WithdrawConnectLink => Operation::DeleteConnectLink,
            Self::SignIn => Operation::AuthorizeProfile,
            Self::SignOut => Operation::DeleteAuthorization,
            Self::ResendMessage => Operation::ResendMessage,
            Self::CancelMessage => Operation::CancelMessage,
            Self::FlowSchemas => Operation::ListFlowSchemas,
            Self::FlowSchema => Operation::GetFlowSchema,
            Self::NewFlowSchema | Self::CreateFlowSchema => Operation::CreateFlowSchema,
            Self::SaveFlowSchema => Operation::PutFlowSchema,
            Self::DeleteFlowSchema => Operation::DeleteFlowSchema,
            Self::StaticFile
            | Self::Session
            | Self::StartSession
            | Self::FinishSession
            | Self::SessionStarted
            | Self::EndSession => return Admission::Everybody,
        })
    }
}

/// All routes of the console.
pub const CONSOLE_ROUTES: [Route<Page>; 32] = [
    route(Page::Mailboxes, Method::Get, "/console"),
    route(Page::NewProfile, Method::Get, "/console/profiles/new"),
    route(Page::CreateProfile, Method::Post, "/console/profiles/new"),
    route(Page::Status, Method::Get, "/console/profiles/{id}"),
    route(Page::General, Method::Get, "/console/profiles/{id}/general"),
    route(Page::SaveProfile, Method::Post, "/console/profiles/{id}/general"),
    route(Page::ConfirmDeletion, Method::Get, "/console/profiles/{id}/delete"),
    route(Page::DeleteProfile, Method::Post, "/console/profiles/{id}/delete"),
    route(Page::PollNow, Method::Post, "/console/profiles/{id}/fetch"),
    route(Page::AnswerHeldBack, Method::Post, "/console/profiles/{id}/held-back"),
    route(Page::RetryQuarantined, Method::Post, "/console/profiles/{id}/quarantine/{message}/retry"),
    route(Page::SetListen, Method::Post, "/console/profiles/{id}/listen"),
    route(Page::SignIn, Method::Post, "/console/profiles/{id}/authorize"),
    route(Page::SignOut, Method::Post, "/console/profiles/{id}/sign-out"),
    route(Page::ResendMessage, Method::Post, "/console/profiles/{id}/messages/{message}/resend"),
    route(Page::CancelMessage, Method::Post, "/console/profiles/{id}/messages/{message}/cancel"),
    route(Page::ConnectProfile, Method::Post, "/console/profiles/{id}/connect-link"),
    route(Page::ConnectLinks, Method::Get, "/console/connect-links"),
    route(Page::CreateConnectLink, Method::Post, "/console/connect-links"),
    route(Page::WithdrawConnectLink, Method::Post, "/console/connect-links/{id}/withdraw"),
    route(Page::FlowSchemas, Method::Get, "/console/flow-schemas"),
    route(Page::NewFlowSchema, Method::Get, "/console/new-flow-schema"),
    route(Page::CreateFlowSchema, Method::Post, "/console/new-flow-schema"),
    route(Page::FlowSchema, Method::Get, "/console/flow-schemas/{id}"),
    route(Page::SaveFlowSchema, Method::Post, "/console/flow-schemas/{id}"),
    route(Page::DeleteFlowSchema, Method::Post, "/console/flow-schemas/{id}/delete"),
    route(Page::StaticFile, Method::Get, "/console/static/{id}"),
    route(Page::Session, Method::Get, "/console/sign-in"),
    route(Page::StartSession, Method::Get, "/console/sign-in/start"),
    route(Page::FinishSession, Method::Get, "/console/sign-in/callback"),
    route(Page::SessionStarted, Method::Get, "/console/sign-in/done"),
    route(Page::EndSession, Method::Post, "/console/sign-out"),
];

/// Finds what a request of the console asks for.
#[must_use]
pub fn find_page(method: &str, path: &str) -> Found<Page> {
    find_in(&CONSOLE_ROUTES, method, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi;
    use crate::route::{ROUTES, Right};

    #[test]
    fn every_page_finds_itself() {
        for route in CONSOLE_ROUTES {
            let path = route.path.replace("{id}", "01JDC").replace("{message}", "a-1");
            match find_page(route.method.as_str(), &path) {
                Found::Operation(page, _) => assert_eq!(page, route.operation, "{path}"),
                other @ (Found::OtherMethods(_) | Found::Nothing) => panic!("{path}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_form_that_changes_something_needs_more_than_the_right_to_read() {
        for route in CONSOLE_ROUTES {
            if let Admission::CallersOf(operation) = route.operation.admission() {
                let reads = operation.rights().contains(&Right::Read);
                assert!(!operation.rights().is_empty(), "{}", route.path);
                assert!(route.method == Method::Get || !reads, "{}", route.path);
            }
        }
    }

    #[test]
    fn pages_are_no_part_of_the_contract() {
        let document = openapi::document();
        for (path, _) in document["paths"].as_object().unwrap() {
            assert!(!path.starts_with("/console"), "{path} is in the OpenAPI document");
        }
        for route in ROUTES {
            assert!(!route.path.starts_with("/console"), "{} is in the API's table", route.path);
        }
        for route in CONSOLE_ROUTES {
            assert!(route.path.starts_with("/console"), "{}", route.path);
        }
    }
}
