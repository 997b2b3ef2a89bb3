//! A real browser: Chromium from Debian, without windows, driven by its own driver (WebDriver, W3C).

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request};
use mailroom_local::child_process::ChildProcess;
use mailroom_local::http;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::debian;

/// The programs, as Debian's packages have them.
const PROGRAMS: [&str; 2] = ["/usr/bin/chromium", "/usr/bin/chromedriver"];

/// How long the driver may take to start, and a page to show what is waited for.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// The name under which WebDriver tells an element (§11).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with a profile of its own. It ends when dropped.
pub struct Browser {
    // Dropped in this order.
    _driver: ChildProcess,
    _profile: TempDir,
    handle: Handle,
    address: SocketAddr,
    session: String,
}

impl Browser {
    /// Starts a browser, installing it where that is possible. It takes any certificate: those here are of nobody it knows.
    ///
    /// # Panics
    /// When it cannot be installed or started.
    #[must_use]
    pub fn start(handle: &Handle) -> Self {
        Self::start_with(handle, true)
    }

    /// Starts a browser that runs no script of any page.
    ///
    /// # Panics
    /// When it cannot be installed or started.
    #[must_use]
    pub fn without_scripts(handle: &Handle) -> Self {
        Self::start_with(handle, false)
    }

    fn start_with(handle: &Handle, scripts: bool) -> Self {
        debian::ensure_installed(&PROGRAMS, &["chromium", "chromium-driver"]);
        let profile = tempfile::tempdir().expect("a temporary folder");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let address = port.expect("a free port");
        let args = [format!("--port={}", address.port())];
        let driver = ChildProcess::spawn("/usr/bin/chromedriver", args, |command| {
            command.env("HOME", profile.path()).stdout(Stdio::null()).stderr(Stdio::null());
        });
        let options = json!({
            "binary": "/usr/bin/chromium",
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=900,700",
                format!("--user-data-dir={}", profile.path().join("profile").display())],
            "prefs": {"profile.managed_default_content_settings.javascript": if scripts { 1 } else { 2 }},
        });
        let logs = json!({"browser": "ALL", "performance": "ALL"});
        let wanted = json!({
            "acceptInsecureCerts": true, "goog:chromeOptions": options, "goog:loggingPrefs": logs,
        });
        let mut browser = Self {
            _driver: driver.expect("the driver starts"),
            _profile: profile,
            handle: handle.clone(),
            address,
            session: String::new(),
        };
        let begun = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < PAGE_TIMEOUT, "the browser's driver does not listen");
            thread::sleep(Duration::from_millis(50));
        }
        let made = browser.ask(&Method::POST, "/session", &json!({"capabilities": {"alwaysMatch": wanted}}));
        let id = made.get("sessionId").and_then(Value::as_str);
        browser.session = id.unwrap_or_else(|| panic!("no browser: {made}")).to_owned();
        browser
    }

    /// Opens an address, and waits until the page has loaded.
    pub fn open(&self, url: &str) {
        let _ = self.command(&Method::POST, "/url", &json!({"url": url}));
    }

    /// The address that the browser shows, after redirects.
    #[must_use]
    pub fn url(&self) -> String {
        self.command(&Method::GET, "/url", &Value::Null).as_str().unwrap_or_default().to_owned()
    }

    /// The text of the page that a person can see.
    #[must_use]
    pub fn text(&self) -> String {
        let text = self.script("return document.body ? document.body.innerText : ''");
        text.as_str().unwrap_or_default().to_owned()
    }

    /// The page as it came, with what scripts have changed since.
    #[must_use]
    pub fn source(&self) -> String {
        self.command(&Method::GET, "/source", &Value::Null).as_str().unwrap_or_default().to_owned()
    }

    /// The value of a cookie of the page; `None` where there is none of this name.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        let cookie = self.command(&Method::GET, &format!("/cookie/{name}"), &Value::Null);
        Some(cookie.get("value")?.as_str()?.to_owned())
    }

    /// Has the browser forget a cookie, as it does when the cookie's time is over.
    pub fn forget_cookie(&self, name: &str) {
        let _ = self.command(&Method::DELETE, &format!("/cookie/{name}"), &Value::Null);
    }

    /// Gives the page a cookie that only https carries.
    pub fn set_cookie(&self, name: &str, value: &str) {
        let cookie = json!({"name": name, "value": value, "path": "/", "secure": true, "httpOnly": true, "sameSite": "Lax"});
        let _ = self.command(&Method::POST, "/cookie", &json!({"cookie": cookie}));
    }

    /// Goes on in another tab than before: the first that there is.
    ///
    /// # Panics
    /// When there is no other.
    pub fn switch_tab(&self) {
        let begun = Instant::now();
        let here = self.command(&Method::GET, "/window", &Value::Null);
        loop {
            let tabs = self.command(&Method::GET, "/window/handles", &Value::Null);
            let tabs = tabs.as_array().cloned().unwrap_or_default();
            if let Some(other) = tabs.iter().find(|tab| **tab != here) {
                let _ = self.command(&Method::POST, "/window", &json!({"handle": other}));
                return;
            }
            assert!(begun.elapsed() < PAGE_TIMEOUT, "no other tab than {}", self.url());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Closes the tab, and goes on in the one before.
    pub fn close_tab(&self) {
        let left = self.command(&Method::DELETE, "/window", &Value::Null);
        let _ = self.command(&Method::POST, "/window", &json!({"handle": left.get(0)}));
    }

    /// Runs a script of the test's own in the page. Returns what it returns.
    #[must_use]
    pub fn script(&self, script: &str) -> Value {
        self.command(&Method::POST, "/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Runs a script that tells its result to the function that it gets as its last argument.
    #[must_use]
    pub fn script_with_callback(&self, script: &str) -> Value {
        self.command(&Method::POST, "/execute/async", &json!({"script": script, "args": []}))
    }

    /// Shows pages as this reader wants them, in a window of this size.
    pub fn look(&self, scheme: &str, width: u32, height: u32) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        let _ = self.chromium("Emulation.setEmulatedMedia", &json!({"features": features}));
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        let _ = self.chromium("Emulation.setDeviceMetricsOverride", &size);
    }

    /// What the browser has complained about since it was last asked: errors, and what a policy has kept from loading. That
    /// an answer is a 4xx is not the fault of a page, nor is what pages of another origin do not find.
    #[must_use]
    pub fn complaints(&self, origin: &str) -> Vec<String> {
        let is_advice =
            |entry: &Value| matches!(entry.get("level").and_then(Value::as_str), Some("DEBUG" | "INFO"));
        let is_fault = |text: &String| {
            let missing = text.contains("Failed to load resource");
            !missing || (text.contains(origin) && !text.contains("status of 4"))
        };
        let entries = self.log("browser");
        let entries = entries.iter().filter(|entry| !is_advice(entry)).map(Value::to_string);
        entries.filter(is_fault).collect()
    }

    /// The addresses that pages of this origin have asked for since this was last asked.
    #[must_use]
    pub fn requests_of(&self, origin: &str) -> Vec<String> {
        let entries = self.log("performance");
        let messages = entries.iter().filter_map(|entry| entry.get("message")?.as_str());
        let messages = messages.filter_map(|text| serde_json::from_str::<Value>(text).ok());
        let url = |message: Value| {
            let sent = message.pointer("/message/method")? == "Network.requestWillBeSent";
            let page = message.pointer("/message/params/documentURL")?.as_str()?;
            (sent && page.starts_with(origin))
                .then(|| Some(message.pointer("/message/params/request/url")?.as_str()?.to_owned()))?
        };
        messages.filter_map(url).collect()
    }

    /// A picture of the whole page (PNG), beyond the window too.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn whole_picture(&self) -> Vec<u8> {
        let picture = self.chromium("Page.captureScreenshot", &json!({"captureBeyondViewport": true}));
        let data = picture.get("data").and_then(Value::as_str).unwrap_or_default();
        STANDARD.decode(data).expect("a picture")
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.command(&Method::POST, "/se/log", &json!({"type": kind}));
        entries.as_array().cloned().unwrap_or_default()
    }

    /// A command of Chromium's own.
    fn chromium(&self, name: &str, parameters: &Value) -> Value {
        self.command(&Method::POST, "/goog/cdp/execute", &json!({"cmd": name, "params": parameters}))
    }

    /// Waits until the page shows these words.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_for(&self, words: &str) {
        let begun = Instant::now();
        while !self.text().contains(words) {
            assert!(begun.elapsed() < PAGE_TIMEOUT, "{} says: {}", self.url(), self.text());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Types into the field that this CSS selector finds, in place of what is in it.
    #[track_caller]
    pub fn fill(&self, css: &str, text: &str) {
        let element = self.element(css);
        // A provider may have filled it in by what it was told.
        let _ = self.command(&Method::POST, &format!("/element/{element}/clear"), &json!({}));
        let _ = self.command(&Method::POST, &format!("/element/{element}/value"), &json!({"text": text}));
    }

    /// Clicks what this CSS selector finds, and waits for the page that it may lead to.
    #[track_caller]
    pub fn click(&self, css: &str) {
        let element = self.element(css);
        let _ = self.command(&Method::POST, &format!("/element/{element}/click"), &json!({}));
    }

    /// A screenshot of the page (PNG).
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn picture(&self) -> Vec<u8> {
        let picture = self.command(&Method::GET, "/screenshot", &Value::Null);
        STANDARD.decode(picture.as_str().unwrap_or_default()).expect("a picture")
    }

    #[track_caller]
    fn element(&self, css: &str) -> String {
        let begun = Instant::now();
        loop {
            let wanted = json!({"using": "css selector", "value": css});
            let found = self.command(&Method::POST, "/element", &wanted);
            if let Some(id) = found.get(ELEMENT).and_then(Value::as_str) {
                return id.to_owned();
            }
            assert!(begun.elapsed() < PAGE_TIMEOUT, "no {css} at {}: {}", self.url(), self.text());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn command(&self, method: &Method, path: &str, body: &Value) -> Value {
        self.ask(method, &format!("/session/{}{path}", self.session), body)
    }

    fn ask(&self, method: &Method, path: &str, body: &Value) -> Value {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, "application/json")
            .body(Bytes::from(text))
            .expect("a request");
        let answer = self.handle.block_on(http::send(self.address, request)).expect("the driver answers");
        let mut answer: Value = serde_json::from_slice(answer.body()).expect("JSON");
        answer.get_mut("value").map(Value::take).unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = self.command(&Method::DELETE, "", &Value::Null);
        }
    }
}
