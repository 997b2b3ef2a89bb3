//! What can be asked for: every operation with its method and path, in one table that the function's router and the
//! document are both made from.

/// The request methods that the API knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Create, or do.
    Post,
    /// Replace.
    Put,
    /// Change in part.
    Patch,
    /// Remove.
    Delete,
}

impl Method {
    const ALL: [Self; 5] = [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// Reads a method's name, which is case-sensitive (RFC 9110 §9.1).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }

    /// Its name.
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

/// Everything that the API does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Makes a profile.
    CreateProfile,
    /// A page of profiles.
    ListProfiles,
    /// Tries settings that are not stored.
    TestSettings,
    /// One profile.
    GetProfile,
    /// Replaces a profile's settings.
    PutProfile,
    /// Changes some of a profile's settings.
    PatchProfile,
    /// Removes a profile with all that belongs to it.
    DeleteProfile,
    /// Tries a profile's settings.
    TestProfile,
    /// Polls a profile now.
    FetchProfile,
    /// Begins a sign-in.
    AuthorizeProfile,
    /// Ends what a sign-in has granted.
    DeleteAuthorization,
    /// Leads a browser to the provider.
    StartSignIn,
    /// The provider's way back.
    FinishSignIn,
    /// Has a message sent.
    SendMessage,
    /// How a message is doing.
    GetMessage,
    /// Makes a flow schema.
    CreateFlowSchema,
    /// A page of flow schemas.
    ListFlowSchemas,
    /// One flow schema.
    GetFlowSchema,
    /// Makes or replaces a flow schema.
    PutFlowSchema,
    /// Removes a flow schema that no profile uses.
    DeleteFlowSchema,
    /// The document.
    GetOpenApi,
    /// The JSON Schema of flow jobs.
    GetFlowJobSchema,
    /// Whether the function is alive.
    GetHealth,
}

/// An operation's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The operation.
    pub operation: Operation,
    /// Its method.
    pub method: Method,
    /// Its path; `{id}` and `{message}` stand for one segment each.
    pub path: &'static str,
}

const fn route(operation: Operation, method: Method, path: &'static str) -> Route {
    Route { operation, method, path }
}

/// All routes. Where two fit a path, the first counts.
pub const ROUTES: [Route; 23] = [
    route(Operation::CreateProfile, Method::Post, "/profiles"),
    route(Operation::ListProfiles, Method::Get, "/profiles"),
    route(Operation::TestSettings, Method::Post, "/profiles/test"),
    route(Operation::GetProfile, Method::Get, "/profiles/{id}"),
    route(Operation::PutProfile, Method::Put, "/profiles/{id}"),
    route(Operation::PatchProfile, Method::Patch, "/profiles/{id}"),
    route(Operation::DeleteProfile, Method::Delete, "/profiles/{id}"),
    route(Operation::TestProfile, Method::Post, "/profiles/{id}/test"),
    route(Operation::FetchProfile, Method::Post, "/profiles/{id}/fetch"),
    route(Operation::AuthorizeProfile, Method::Post, "/profiles/{id}/authorize"),
    route(Operation::DeleteAuthorization, Method::Delete, "/profiles/{id}/authorization"),
    route(Operation::StartSignIn, Method::Get, "/oauth2/start"),
    route(Operation::FinishSignIn, Method::Get, "/oauth2/callback"),
    route(Operation::SendMessage, Method::Post, "/profiles/{id}/messages"),
    route(Operation::GetMessage, Method::Get, "/profiles/{id}/messages/{message}"),
    route(Operation::CreateFlowSchema, Method::Post, "/flow-schemas"),
    route(Operation::ListFlowSchemas, Method::Get, "/flow-schemas"),
    route(Operation::GetFlowSchema, Method::Get, "/flow-schemas/{id}"),
    route(Operation::PutFlowSchema, Method::Put, "/flow-schemas/{id}"),
    route(Operation::DeleteFlowSchema, Method::Delete, "/flow-schemas/{id}"),
    route(Operation::GetOpenApi, Method::Get, "/openapi.json"),
    route(Operation::GetFlowJobSchema, Method::Get, "/schemas/flow-job.v1.json"),
    route(Operation::GetHealth, Method::Get, "/health"),
];

/// What a method and a path lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// An operation, and what its path names.
    Operation(Operation, Segments),
    /// The path is there, for these methods only.
    OtherMethods(Vec<Method>),
    /// There is no such path.
    Nothing,
}

/// What a path names: each segment decoded, empty where the path has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segments {
    /// Where `{id}` stands.
    pub id: String,
    /// Where `{message}` stands.
    pub message: String,
}

/// Finds what a request asks for. `path` as it was sent, percent-encoded (RFC 3986 §2.1).
#[must_use]
pub fn find(method: &str, path: &str) -> Found {
    let mut methods = Vec::new();
    let mut literal = false;
    for route in ROUTES {
        let Some(segments) = matches(route.path, path) else { continue };
        // A path that is named as it stands is not an id of another route.
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

/// Decodes a percent-encoded text (RFC 3986 §2.1); `None` for what is no UTF-8, or wrongly encoded.
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
