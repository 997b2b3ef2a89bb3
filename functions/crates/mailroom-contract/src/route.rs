//! The routes: every operation with its method and path, in one table that both the function's router and the OpenAPI
//! document are made from.

/// The request methods of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET: read.
    Get,
    /// POST: create, or start an action.
    Post,
    /// PUT: replace.
    Put,
    /// PATCH: change some fields.
    Patch,
    /// DELETE: remove.
    Delete,
}

impl Method {
    const ALL: [Self; 5] = [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// Parses the name of a method, which is case-sensitive (RFC 9110 §9.1).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }

    /// The name of the method in HTTP.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// The operations of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Creates a profile.
    CreateProfile,
    /// Returns a page of profiles.
    ListProfiles,
    /// Tests settings that are not stored.
    TestSettings,
    /// Returns a profile.
    GetProfile,
    /// Replaces a profile's settings.
    PutProfile,
    /// Changes some of a profile's settings.
    PatchProfile,
    /// Removes a profile with all that belongs to it.
    DeleteProfile,
    /// Tests a profile's settings.
    TestProfile,
    /// Polls a profile now.
    FetchProfile,
    /// Returns the messages of a profile that cannot be read.
    ListQuarantine,
    /// Tries one of them now.
    RetryQuarantined,
    /// Begins a sign-in for a profile.
    AuthorizeProfile,
    /// Signs a profile out.
    DeleteAuthorization,
    /// Redirects a browser to the provider.
    StartSignIn,
    /// Takes a browser back from the provider.
    FinishSignIn,
    /// Accepts a message for sending.
    SendMessage,
    /// Gives an address to upload a file to that messages attach.
    CreateUpload,
    /// Returns a page of a profile's messages.
    ListMessages,
    /// Returns the status of a message.
    GetMessage,
    /// Cancels a message that is queued.
    CancelMessage,
    /// Sends a message again to those whom nobody has taken it for.
    ResendMessage,
    /// Looks for the settings of an address.
    FindSettings,
    /// Returns the providers that are known.
    ListProviders,
    /// Makes a link with which the owner of a mailbox connects it.
    CreateConnectLink,
    /// Returns a page of the links.
    ListConnectLinks,
    /// Withdraws a link.
    DeleteConnectLink,
    /// Creates a flow schema.
    CreateFlowSchema,
    /// Returns a page of flow schemas.
    ListFlowSchemas,
    /// Returns a flow schema.
    GetFlowSchema,
    /// Creates or replaces a flow schema.
    PutFlowSchema,
    /// Removes a flow schema that no profile uses.
    DeleteFlowSchema,
    /// Returns the OpenAPI document.
    GetOpenApi,
    /// Returns the JSON Schema of flow jobs.
    GetFlowJobSchema,
    /// Returns whether the function works.
    GetHealth,
}

/// What a caller has to be allowed, where a deployment tells callers apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// To see profiles, flow schemas and the statuses of messages.
    Read,
    /// To change them, and to have mailboxes connected to.
    Write,
    /// To send messages, and to see their outcomes.
    Send,
}

impl Right {
    /// All rights.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Send];

    /// The scope that stands for it, unless a deployment names another.
    #[must_use]
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Read => "mailroom/read",
            Self::Write => "mailroom/write",
            Self::Send => "mailroom/send",
        }
    }
}

impl Operation {
    /// The rights of which a caller needs one. None: it is open to everybody.
    #[must_use]
    pub const fn rights(self) -> &'static [Right] {
        match self {
            Self::ListProfiles
            | Self::GetProfile
            | Self::ListQuarantine
            | Self::ListProviders
            | Self::ListConnectLinks
            | Self::ListFlowSchemas
            | Self::GetFlowSchema => &[Right::Read],
            Self::CreateProfile
            | Self::TestSettings
            | Self::FindSettings
            | Self::PutProfile
            | Self::PatchProfile
            | Self::DeleteProfile
            | Self::TestProfile
            | Self::FetchProfile
            | Self::RetryQuarantined
            | Self::AuthorizeProfile
            | Self::DeleteAuthorization
            | Self::CreateConnectLink
            | Self::DeleteConnectLink
            | Self::CreateFlowSchema
            | Self::PutFlowSchema
            | Self::DeleteFlowSchema => &[Right::Write],
            Self::SendMessage | Self::CreateUpload | Self::CancelMessage | Self::ResendMessage => {
                &[Right::Send]
            }
            Self::ListMessages | Self::GetMessage => &[Right::Read, Right::Send],
            Self::StartSignIn
            | Self::FinishSignIn
            | Self::GetOpenApi
            | Self::GetFlowJobSchema
            | Self::GetHealth => &[],
        }
    }
}

/// The method and path of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route<T = Operation> {
    /// What a request to the route does.
    pub operation: T,
    /// The method of the route.
    pub method: Method,
    /// The path. `{id}` and `{message}` each match one segment.
    pub path: &'static str,
}

pub(crate) const fn route<T: Copy>(operation: T, method: Method, path: &'static str) -> Route<T> {
    Route { operation, method, path }
}

/// All routes. If two match a path, the first is used.
pub const ROUTES: [Route; 34] = [
    route(Operation::CreateProfile, Method::Post, "/profiles"),
    route(Operation::ListProfiles, Method::Get, "/profiles"),
    route(Operation::TestSettings, Method::Post, "/profiles/test"),
    route(Operation::CreateConnectLink, Method::Post, "/profiles/connect-links"),
    route(Operation::ListConnectLinks, Method::Get, "/profiles/connect-links"),
    route(Operation::DeleteConnectLink, Method::Delete, "/profiles/connect-links/{id}"),
    route(Operation::GetProfile, Method::Get, "/profiles/{id}"),
    route(Operation::PutProfile, Method::Put, "/profiles/{id}"),
    route(Operation::PatchProfile, Method::Patch, "/profiles/{id}"),
    route(Operation::DeleteProfile, Method::Delete, "/profiles/{id}"),
    route(Operation::TestProfile, Method::Post, "/profiles/{id}/test"),
    route(Operation::FetchProfile, Method::Post, "/profiles/{id}/fetch"),
    route(Operation::ListQuarantine, Method::Get, "/profiles/{id}/quarantine"),
    route(Operation::RetryQuarantined, Method::Post, "/profiles/{id}/quarantine/{message}/retry"),
    route(Operation::AuthorizeProfile, Method::Post, "/profiles/{id}/authorize"),
    route(Operation::DeleteAuthorization, Method::Delete, "/profiles/{id}/authorization"),
    route(Operation::StartSignIn, Method::Get, "/oauth2/start"),
    route(Operation::FinishSignIn, Method::Get, "/oauth2/callback"),
    route(Operation::SendMessage, Method::Post, "/profiles/{id}/messages"),
    route(Operation::CreateUpload, Method::Post, "/profiles/{id}/uploads"),
    route(Operation::ListMessages, Method::Get, "/profiles/{id}/messages"),
    route(Operation::GetMessage, Method::Get, "/profiles/{id}/messages/{message}"),
    route(Operation::CancelMessage, Method::Post, "/profiles/{id}/messages/{message}/cancel"),
    route(Operation::ResendMessage, Method::Post, "/profiles/{id}/messages/{message}/resend"),
    route(Operation::FindSettings, Method::Post, "/autoconfig"),
    route(Operation::ListProviders, Method::Get, "/providers"),
    route(Operation::CreateFlowSchema, Method::Post, "/flow-schemas"),
    route(Operation::ListFlowSchemas, Method::Get, "/flow-schemas"),
    route(Operation::GetFlowSchema, Method::Get, "/flow-schemas/{id}"),
    route(Operation::PutFlowSchema, Method::Put, "/flow-schemas/{id}"),
    route(Operation::DeleteFlowSchema, Method::Delete, "/flow-schemas/{id}"),
    route(Operation::GetOpenApi, Method::Get, "/openapi.json"),
    route(Operation::GetFlowJobSchema, Method::Get, "/schemas/flow-job.v1.json"),
    route(Operation::GetHealth, Method::Get, "/health"),
];

/// The result of [`find`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T = Operation> {
    /// The route exists: its operation, and the segments of the path.
    Operation(T, Segments),
    /// The path exists, but for these methods only.
    OtherMethods(Vec<Method>),
    /// The path does not exist.
    Nothing,
}

/// The variable segments of a path, decoded; empty where the path has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segments {
    /// The segment that `{id}` matches.
    pub id: String,
    /// The segment that `{message}` matches.
    pub message: String,
}

/// Finds the operation of a request. `path` as it was sent, percent-encoded (RFC 3986 §2.1).
#[must_use]
pub fn find(method: &str, path: &str) -> Found {
    find_in(&ROUTES, method, path)
}

/// Finds a request's operation in a table.
pub(crate) fn find_in<T: Copy>(routes: &[Route<T>], method: &str, path: &str) -> Found<T> {
    let mut methods = Vec::new();
    let mut literal = false;
    for route in routes {
        let Some(segments) = matches(route.path, path) else { continue };
        // A literal path, such as /profiles/test, is not an id for another route.
        if literal && route.path.contains('{') {
            break;
        }
        literal |= !route.path.contains('{');
        if route.method.as_str() == method {
            return Found::Operation(route.operation, segments);
        }
        methods.push(route.method);
    }
    if methods.is_empty() { Found::Nothing } else { Found::OtherMethods(methods) }
}

/// What the path names, if it fits.
fn matches(pattern: &str, path: &str) -> Option<Segments> {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    let mut segments = Segments::default();
    loop {
        match (pattern.next(), path.next()) {
            (Some("{id}"), Some(segment)) if !segment.is_empty() => segments.id = decode(segment)?,
            (Some("{message}"), Some(segment)) if !segment.is_empty() => segments.message = decode(segment)?,
            (Some(wanted), Some(segment)) if wanted == segment => {}
            (None, None) => return Some(segments),
            (Some(_) | None, Some(_)) | (Some(_), None) => return None,
        }
    }
}

/// Decodes a percent-encoded text (RFC 3986 §2.1); `None` for what is not UTF-8, or wrongly encoded.
#[must_use]
pub fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
            let (high, low) = (digit()?, digit()?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_finds_itself_and_no_other() {
        for route in ROUTES {
            let path = route.path.replace("{id}", "01JDC").replace("{message}", "a-1");
            let named =
                |name, value: &str| if route.path.contains(name) { value.to_owned() } else { String::new() };
            let segments = Segments { id: named("{id}", "01JDC"), message: named("{message}", "a-1") };
            let found = find(route.method.as_str(), &path);
            assert_eq!(found, Found::Operation(route.operation, segments), "{path}");
        }
    }

    #[test]
    fn a_path_that_is_there_says_its_methods() {
        assert_eq!(find("DELETE", "/profiles"), Found::OtherMethods(vec![Method::Post, Method::Get]));
        assert_eq!(find("GET", "/profiles/test"), Found::OtherMethods(vec![Method::Post]));
        assert_eq!(find("get", "/health"), Found::OtherMethods(vec![Method::Get]));
    }

    #[test]
    fn segments_are_decoded_one_by_one() {
        let id = |path| match find("GET", path) {
            Found::Operation(Operation::GetFlowSchema, segments) => Some(segments.id),
            Found::Operation(..) | Found::OtherMethods(_) | Found::Nothing => None,
        };
        assert_eq!(id("/flow-schemas/a%20b%2Fc").as_deref(), Some("a b/c"));
        for wrong in [
            "/flow-schemas/",
            "/flow-schemas/a/b",
            "/flow-schemas/%",
            "/flow-schemas/%zz",
            "/flow-schemas/%ff",
        ] {
            assert_eq!(id(wrong), None, "{wrong}");
        }
    }
}
