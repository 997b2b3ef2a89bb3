//! A request as API Gateway passes it on (HTTP API, payload 2.0), read without trusting any of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailroom_contract::problem::Problems;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

use crate::access::Caller;
use crate::http::problem::ApiError;

/// The largest body that is read, ten times a profile with every field at its limit.
const MAX_BODY: Limit = Limit { bytes: 256 * 1024, words: "256 KiB" };

/// The largest body of a message: what Lambda accepts of any request.
const MAX_LARGE_BODY: Limit = Limit { bytes: 6 * 1024 * 1024, words: "6 MB" };

/// Items of a page when the request does not say.
const DEFAULT_PAGE_SIZE: usize = 50;

/// Items of a page at most.
const MAX_PAGE_SIZE: usize = 100;

/// How large a body may be.
#[derive(Clone, Copy)]
struct Limit {
    bytes: usize,
    words: &'static str,
}

/// The event is not an API Gateway event.
#[derive(Debug, thiserror::Error)]
#[error("the event is not an API Gateway event of an HTTP API with payload format 2.0")]
pub struct UnknownEvent(#[source] serde_json::Error);

/// The part of the event that matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    raw_path: String,
    /// `cargo lambda watch` sends null for a request without one.
    raw_query_string: Option<String>,
    #[serde(default)]
    headers: HashMap<String, String>,
    #[serde(default)]
    cookies: Vec<String>,
    request_context: Context,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    #[serde(default)]
    request_id: String,
    http: Http,
    /// Who asks, where API Gateway has asked for it. Its form is the authorizer's.
    #[serde(default)]
    authorizer: Value,
}

#[derive(Deserialize)]
struct Http {
    method: String,
}

/// A request.
pub(crate) struct Request {
    event: Event,
}

/// Which version a change was made from (RFC 9110 §13.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// The header is absent.
    Absent,
    /// `*`: any version.
    Any,
    /// One of these versions.
    Versions(Vec<u64>),
}

impl IfMatch {
    /// Whether a change of `version` may go on.
    pub(crate) fn allows(&self, version: u64) -> bool {
        match self {
            Self::Absent | Self::Any => true,
            Self::Versions(versions) => versions.contains(&version),
        }
    }
}

impl Request {
    pub(crate) fn parse(payload: Value) -> Result<Self, UnknownEvent> {
        serde_json::from_value(payload).map(|event| Self { event }).map_err(UnknownEvent)
    }

    pub(crate) fn method(&self) -> &str {
        &self.event.request_context.http.method
    }

    pub(crate) fn path(&self) -> &str {
        &self.event.raw_path
    }

    /// The query as it was sent.
    pub(crate) fn raw_query(&self) -> &str {
        self.event.raw_query_string.as_deref().unwrap_or_default()
    }

    /// API Gateway's id of the request, which is in its access log too.
    pub(crate) fn id(&self) -> &str {
        &self.event.request_context.request_id
    }

    /// What API Gateway knows of who asks.
    pub(crate) const fn authorizer(&self) -> &Value {
        &self.event.request_context.authorizer
    }

    /// A request of this caller for an operation of the API. `headers` have names in lower case.
    pub(crate) fn derived(
        &self,
        authorizer: Value,
        method: &str,
        query: String,
        headers: HashMap<String, String>,
        body: Option<String>,
    ) -> Self {
        let http = Http { method: method.to_owned() };
        let request_id = self.event.request_context.request_id.clone();
        let event = Event {
            raw_path: String::new(),
            raw_query_string: Some(query),
            headers,
            cookies: Vec::new(),
            request_context: Context { request_id, http, authorizer },
            body,
            is_base64_encoded: false,
        };
        Self { event }
    }

    /// Who asks.
    pub(crate) const fn caller(&self) -> Caller<'_> {
        Caller::new(&self.event.request_context.authorizer)
    }

    /// Header names come in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.event.headers.get(name).map(String::as_str)
    }

    /// The body as JSON; `None` when there is none.
    pub(crate) fn json(&self) -> Result<Option<Value>, ApiError> {
        self.json_within(MAX_BODY)
    }

    /// The fields of a form (`application/x-www-form-urlencoded`), in order.
    pub(crate) fn form(&self) -> Result<Vec<(String, String)>, ApiError> {
        let wrong = || ApiError::Unreadable("The form cannot be read: it is not UTF-8.".to_owned());
        let bytes = self.bytes_within(MAX_BODY)?.unwrap_or_default();
        let text = String::from_utf8(bytes).map_err(|_| wrong())?;
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let fields = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        });
        fields.collect::<Option<_>>().ok_or_else(wrong)
    }

    fn json_within(&self, limit: Limit) -> Result<Option<Value>, ApiError> {
        let Some(bytes) = self.bytes_within(limit)? else { return Ok(None) };
        if !self.header("content-type").is_none_or(is_json) {
            return Err(ApiError::ContentType);
        }
        // The error's own words: they tell line and column, and quote nothing.
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| ApiError::Unreadable(format!("The body is not JSON: {error}.")))
    }

    fn bytes_within(&self, limit: Limit) -> Result<Option<Vec<u8>>, ApiError> {
        let Some(body) = self.event.body.as_deref().filter(|body| !body.is_empty()) else { return Ok(None) };
        if body.len() > limit.bytes * 4 / 3 + 4 {
            return Err(ApiError::TooLarge(limit.words));
        }
        let bytes = if self.event.is_base64_encoded {
            STANDARD
                .decode(body)
                .map_err(|_| ApiError::Unreadable("The body cannot be decoded from Base64.".to_owned()))?
        } else {
            body.as_bytes().to_vec()
        };
        if bytes.len() > limit.bytes {
            return Err(ApiError::TooLarge(limit.words));
        }
        Ok(Some(bytes))
    }

    /// The body as JSON; an error when there is none.
    pub(crate) fn required_json(&self) -> Result<Value, ApiError> {
        self.json()?.ok_or_else(|| ApiError::Unreadable("The request needs a JSON body.".to_owned()))
    }

    /// The body of a message, which may be larger; an error when there is none.
    pub(crate) fn required_large_json(&self) -> Result<Value, ApiError> {
        let missing = || ApiError::Unreadable("The request needs a JSON body.".to_owned());
        self.json_within(MAX_LARGE_BODY)?.ok_or_else(missing)
    }

    /// `Idempotency-Key`.
    pub(crate) fn idempotency_key(&self) -> Result<Option<String>, ApiError> {
        let Some(key) = self.header("idempotency-key") else { return Ok(None) };
        if (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) {
            return Ok(Some(key.to_owned()));
        }
        let problem = "must have 1 to 255 visible ASCII characters";
        Err(ApiError::Parameters(Problems::one("Idempotency-Key", problem)))
    }

    /// The query's parameters, decoded; refuses those that are not among `known`.
    pub(crate) fn query(&self, known: &[&'static str]) -> Result<HashMap<&'static str, String>, ApiError> {
        let mut parameters = HashMap::new();
        let mut problems = Problems::default();
        for pair in self.raw_query().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).unwrap_or_default();
            match (known.iter().find(|known| **known == name), decode(value)) {
                (None, _) => {
                    let name: String = name.chars().take(100).filter(|c| !c.is_control()).collect();
                    let allowed = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                    problems.add(name, format!("is not a parameter of this route; allowed: {allowed}"));
                }
                (Some(name), None) => problems.add(*name, "must be UTF-8, percent-encoded"),
                (Some(name), Some(value)) => {
                    if parameters.insert(*name, value).is_some() {
                        problems.add(*name, "must be given once");
                    }
                }
            }
        }
        problems.none_or().map_err(ApiError::Parameters)?;
        Ok(parameters)
    }

    /// The query's parameters of these names, decoded, ignoring others: the first of each. A
    /// provider adds its own to the redirect.
    pub(crate) fn parameters(&self, known: &[&'static str]) -> HashMap<&'static str, String> {
        let mut parameters = HashMap::new();
        for pair in self.raw_query().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).unwrap_or_default();
            if let (Some(name), Some(value)) = (known.iter().find(|known| **known == name), decode(value)) {
                parameters.entry(*name).or_insert(value);
            }
        }
        parameters
    }

    /// The values of the cookies of this name. API Gateway lists cookies apart from the header fields.
    pub(crate) fn cookies<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let header = self.header("cookie").into_iter();
        let all = self.event.cookies.iter().map(String::as_str).chain(header).flat_map(|all| all.split(';'));
        all.filter_map(move |cookie| cookie.trim().strip_prefix(name)?.strip_prefix('='))
    }

    /// `If-Match`.
    pub(crate) fn if_match(&self) -> Result<IfMatch, ApiError> {
        let Some(header) = self.header("if-match") else { return Ok(IfMatch::Absent) };
        if header.trim() == "*" {
            return Ok(IfMatch::Any);
        }
        let version = |tag: &str| {
            let tag = tag.trim();
            // A weak tag never matches (RFC 9110 §13.1.1), and we never give one out.
            let opaque = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?;
            let strong = !tag.starts_with("W/");
            let known = opaque.parse().ok().filter(|_| strong && opaque.bytes().all(|b| b.is_ascii_digit()));
            (!opaque.contains('"')).then_some(known)
        };
        let versions = header.split(',').map(version).collect::<Option<Vec<_>>>();
        match versions {
            Some(versions) => Ok(IfMatch::Versions(versions.into_iter().flatten().collect())),
            None => {
                let problems = Problems::one("If-Match", "must be * or an ETag in quotes, such as \"7\"");
                Err(ApiError::Parameters(problems))
            }
        }
    }
}

/// Reads `limit`, the number of items in a page.
pub(crate) fn page_size(text: Option<&String>, problems: &mut Problems) -> usize {
    let Some(text) = text else { return DEFAULT_PAGE_SIZE };
    let size = text.parse().ok().filter(|size| (1..=MAX_PAGE_SIZE).contains(size));
    size.unwrap_or_else(|| {
        problems.add("limit", "must be a whole number from 1 to 100");
        DEFAULT_PAGE_SIZE
    })
}

/// Whether a media type is JSON (RFC 8259, or by its suffix, RFC 6839 §3.1).
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Decodes a part of a query: `+` is a blank there.
fn decode(text: &str) -> Option<String> {
    mailroom_contract::route::decode(&text.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(query: &str, headers: &Value) -> Request {
        Request::parse(json!({
            "version": "2.0", "rawPath": "/profiles", "rawQueryString": query, "headers": headers,
            "requestContext": {"http": {"method": "GET"}},
        }))
        .unwrap()
    }

    #[test]
    fn parameters_are_decoded_and_known() {
        let parameters = request("q=a%20b%2B+c&limit=7", &json!({})).query(&["q", "limit"]).unwrap();
        assert_eq!(parameters, HashMap::from([("q", "a b+ c".to_owned()), ("limit", "7".to_owned())]));
        for wrong in ["q=%ff", "page=2", "q=1&q=2", "q=%"] {
            assert!(
                matches!(request(wrong, &json!({})).query(&["q"]), Err(ApiError::Parameters(_))),
                "{wrong}"
            );
        }
    }

    #[test]
    fn versions_are_compared_strongly() {
        let tags = |tags: &str| request("", &json!({"if-match": tags})).if_match().ok();
        assert_eq!(tags("*"), Some(IfMatch::Any));
        assert_eq!(tags("\"7\", \"8\""), Some(IfMatch::Versions(vec![7, 8])));
        assert_eq!(tags("W/\"7\""), Some(IfMatch::Versions(vec![])));
        assert_eq!(tags("\"a\""), Some(IfMatch::Versions(vec![])));
        // An empty one too: its sender lost the version that it means to protect.
        for wrong in ["7", "\"7", "", "\"7\" \"8\""] {
            assert_eq!(tags(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_not_json() {
        let body = |body: &[u8]| {
            let payload = json!({
                "rawPath": "/", "requestContext": {"http": {"method": "POST"}},
                "body": STANDARD.encode(body), "isBase64Encoded": true,
            });
            Request::parse(payload).unwrap().json()
        };
        assert_eq!(body(b"{\"a\": 1}").unwrap(), Some(json!({"a": 1})));
        assert!(matches!(body(b"{\"a\": \"\xff\"}"), Err(ApiError::Unreadable(_))));
        assert!(matches!(body(&vec![b' '; MAX_BODY.bytes + 1]), Err(ApiError::TooLarge(_))));
    }

    #[test]
    fn json_is_known_by_its_type() {
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert!(is_json(good), "{good}");
        }
        for bad in ["text/json", "text/plain", "application/xml", "", "multipart/form-data"] {
            assert!(!is_json(bad), "{bad}");
        }
    }

    const WORDS: [&str; 9] = ["%", "%zz", "&", "=", ";", "W/", "*", "application/json", "\"body\": "];

    #[test]
    fn any_change_of_a_request_is_read_or_refused() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
        mailroom_fuzzing::run(corpus, &[&mailroom_fuzzing::JSON[..], &WORDS].concat(), |input| {
            let Ok(payload) = serde_json::from_slice(input) else { return };
            let Ok(request) = Request::parse(payload) else { return };
            let _ = (
                request.json(),
                request.required_large_json(),
                request.idempotency_key(),
                request.if_match(),
            );
            let _ =
                (request.query(&["q", "limit"]), request.parameters(&["q"]), request.cookies("a").count());
            let _ = (
                request.caller().name().len(),
                mailroom_contract::route::find(request.method(), request.path()),
            );
        });
    }
}
