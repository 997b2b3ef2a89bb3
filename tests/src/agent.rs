//! A person with a browser that has no windows: follows redirects, keeps cookies, fills in forms. [`crate::browser`] is
//! the real thing; this one can also do what a browser would never do.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use hyper::{Method, Request, Response};
use mailroom_local::http;
use tokio::runtime::Handle;
use url::Url;

use crate::secret_scan;

/// Redirects that a sign-in may take.
const MAX_REDIRECTS: usize = 12;

/// A page that a request ended at, after its redirects.
#[derive(Debug, Clone)]
pub struct Page {
    /// The address that the agent shows for it.
    pub url: Url,
    /// The HTTP status; 0 where the agent stopped before it opened the page.
    pub status: u16,
    /// The body, HTML included.
    pub text: String,
}

/// The person, who has nothing but cookies.
#[derive(Debug, Clone)]
pub struct Agent {
    handle: Handle,
    /// Cookies by host and port, which keeps them further apart than a browser would.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
    /// Hosts that are asked at another address, because they speak TLS there.
    aliases: Vec<(String, String)>,
}

impl Agent {
    pub(crate) fn new(handle: &Handle, aliases: Vec<(String, String)>) -> Self {
        Self { handle: handle.clone(), cookies: BTreeMap::new(), aliases }
    }

    /// Opens an address, and goes where it leads to, as long as that is not to `stop`: then the address is the answer.
    ///
    /// # Panics
    /// When nobody answers, or redirects have no end.
    pub fn open(&mut self, url: &str, stop: Option<&str>) -> Page {
        self.go(Method::GET, Url::parse(url).expect("an address"), String::new(), stop)
    }

    /// Sends a form with these fields by POST, and follows redirects as [`Self::open`] does.
    ///
    /// # Panics
    /// When nobody answers, or redirects have no end.
    pub fn submit(&mut self, url: &Url, form: &[(&str, &str)], stop: Option<&str>) -> Page {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.go(Method::POST, url.clone(), body, stop)
    }

    /// Sends one GET and follows no redirect. Returns the page and its `Location`.
    ///
    /// # Panics
    /// When nobody answers.
    pub fn get_once(&mut self, url: &str) -> (Page, Option<String>) {
        let url = self.resolved(Url::parse(url).expect("an address"));
        let response = self.exchange(&Method::GET, &url, String::new());
        let location = response.headers().get(LOCATION).map(|value| value.to_str().expect("text").to_owned());
        (page(url, &response), location)
    }

    fn go(&mut self, method: Method, url: Url, body: String, stop: Option<&str>) -> Page {
        let (mut method, mut url, mut body) = (method, self.resolved(url), body);
        for _ in 0..MAX_REDIRECTS {
            if stop.is_some_and(|stop| url.as_str().starts_with(stop)) {
                return Page { url, status: 0, text: String::new() };
            }
            let response = self.exchange(&method, &url, body);
            let Some(to) = response.headers().get(LOCATION) else { return page(url, &response) };
            let to = url.join(to.to_str().expect("text")).expect("an address");
            url = self.resolved(to);
            (method, body) = (Method::GET, String::new());
        }
        panic!("redirects without an end, at last to {url}");
    }

    fn resolved(&self, url: Url) -> Url {
        let mut text = url.to_string();
        for (from, to) in &self.aliases {
            text = text.replacen(from.as_str(), to, 1);
        }
        Url::parse(&text).expect("an address")
    }

    fn exchange(&mut self, method: &Method, url: &Url, body: String) -> Response<Bytes> {
        let site = format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"));
        let target = url.query().map_or_else(|| url.path().to_owned(), |q| format!("{}?{q}", url.path()));
        let mut request = Request::builder().method(method).uri(target);
        if let Some(cookies) = self.cookies.get(&site).filter(|cookies| !cookies.is_empty()) {
            let all: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, all.join("; "));
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request = request.body(Bytes::from(body)).expect("a request");
        let address = site.parse().expect("an address of this machine");
        let response = self.handle.block_on(http::send(address, request)).expect("somebody answers");
        let jar = self.cookies.entry(site).or_default();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().expect("text");
            let pair = cookie.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie");
            let _ = jar.insert(name.trim().to_owned(), value.trim().to_owned());
        }
        response
    }
}

fn page(url: Url, response: &Response<Bytes>) -> Page {
    let text = String::from_utf8_lossy(response.body()).into_owned();
    secret_scan::assert_kept(url.path(), &text);
    Page { url, status: response.status().as_u16(), text }
}
