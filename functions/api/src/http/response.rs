//! A response as API Gateway takes it (HTTP API, payload 2.0).

use std::collections::BTreeMap;

use mailroom_contract::profile_view::ProfileView;
use mailroom_core::profile::Profile;
use serde::Serialize;

use crate::http::base_path::BasePath;
use mailroom_lambda::clock;

/// A response, in the form that API Gateway reads.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    status_code: u16,
    headers: BTreeMap<&'static str, String>,
    /// Always written: `cargo lambda watch` refuses a response without them.
    cookies: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// What the request has changed, for the log.
    #[serde(skip)]
    change: Change,
}

/// What a request has changed, by names: never by values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// The id of what it made, where the path names none.
    pub(crate) made: Option<String>,
    /// The fields.
    pub(crate) fields: Vec<String>,
}

impl Response {
    /// The status (RFC 9110 §15).
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status_code
    }

    /// A response without a body.
    pub(crate) fn empty(status: u16) -> Self {
        // Profiles change by the minute, and are private.
        let headers = BTreeMap::from([("cache-control", "no-store".to_owned())]);
        Self { status_code: status, headers, cookies: Vec::new(), body: None, change: Change::default() }
    }

    /// A response whose body is `text`, which is JSON.
    pub(crate) fn text(status: u16, text: &str) -> Self {
        Self { body: Some(text.to_owned()), ..Self::empty(status) }
            .with_header("content-type", "application/json")
            .with_header("x-content-type-options", "nosniff")
    }

    /// A response whose body is `value` as JSON.
    pub(crate) fn json(status: u16, value: &impl Serialize) -> Self {
        match serde_json::to_string(value) {
            Ok(text) => Self::text(status, &text),
            // Only a map whose keys are not text can fail, and no type here has one.
            Err(_) => Self::empty(500),
        }
    }

    /// A profile, with its version as `ETag`.
    pub(crate) fn profile(status: u16, profile: Profile) -> Self {
        let etag = format!("\"{}\"", profile.version);
        Self::json(status, &ProfileView::of(profile, clock::now())).with_header("etag", etag)
    }

    /// A page for people: HTML that loads nothing, and is shown in no frame.
    pub(crate) fn page(status: u16, html: String) -> Self {
        Self { body: Some(html), ..Self::empty(status) }
            .with_header("content-type", "text/html; charset=utf-8")
            .with_header(
                "content-security-policy",
                "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            )
            .with_header("referrer-policy", "no-referrer")
            .with_header("x-content-type-options", "nosniff")
    }

    /// A page of the console: HTML that loads files of ours alone, and is shown in no frame.
    pub(crate) fn console(status: u16, html: String) -> Self {
        Self { body: Some(html), ..Self::empty(status) }
            .with_header("content-type", "text/html; charset=utf-8")
            .with_header(
                "content-security-policy",
                // connect-src: a connection test comes back into the form, so that nobody types a password twice.
                "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
                 form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
            )
            .with_header("referrer-policy", "same-origin")
            .with_header("x-content-type-options", "nosniff")
    }

    /// A file that is the same for as long as its name is.
    pub(crate) fn file(content_type: &str, text: &str) -> Self {
        Self::text(200, text)
            .with_header("content-type", content_type)
            .with_header("cache-control", "public, max-age=31536000, immutable")
    }

    /// The body, if there is one.
    pub(crate) fn body(&self) -> Option<&str> {
        self.body.as_deref()
    }

    /// The same response with a cookie (RFC 6265 §4.1).
    pub(crate) fn with_cookie(mut self, cookie: String) -> Self {
        self.cookies.push(cookie);
        self
    }

    /// The same response, to a request that has changed these fields.
    pub(crate) fn after_change_of(mut self, fields: Vec<String>) -> Self {
        self.change.fields = fields;
        self
    }

    /// The same response, to a request that has made what has this id.
    pub(crate) fn after_making(mut self, id: impl ToString) -> Self {
        self.change.made = Some(id.to_string());
        self
    }

    /// What the request has changed.
    pub(crate) const fn change(&self) -> &Change {
        &self.change
    }

    /// The same response to a request below this base: its location is there too.
    pub(crate) fn below(mut self, base: &BasePath) -> Self {
        if let Some(location) = self.headers.get_mut("location").filter(|location| location.starts_with('/'))
        {
            *location = base.join(location);
        }
        self
    }

    /// The same response with a header, which replaces one of its name.
    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.insert(name, value.into());
        self
    }
}
