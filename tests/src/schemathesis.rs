//! Schemathesis: thousands of requests that are made up from the OpenAPI document, and held against it.
//!
//! It comes from PyPI, into a virtual environment of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use mailroom_local::stack::Stack;
use mailroom_local::toolbox::Toolbox;
use serde_json::Value;

/// Pinned: what it finds should change when the API does.
const REQUIREMENT: &str = "schemathesis==4.32.5";

/// Where it is installed, below `.local`.
const ENVIRONMENT: &str = "schemathesis";

/// The result of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Requests that were made up and sent.
    pub cases: u64,
    /// Whether it got to the end, and every answer was as the document says.
    pub passed: bool,
    /// What it has printed.
    pub output: String,
}

/// Tries the API of a stack: all phases, all checks that are on by default, and `config` (TOML). The same seed makes up
/// the same requests.
///
/// # Panics
/// When it cannot be installed or run.
#[must_use]
pub fn run(stack: &Stack, seed: u64, config: &str) -> Report {
    let toolbox = Toolbox::here();
    let installed = toolbox.install(ENVIRONMENT, &[REQUIREMENT], "Schemathesis");
    let bin = installed.unwrap_or_else(|problem| panic!("{problem}"));
    let files = tempfile::tempdir().expect("a temporary folder");
    let (settings, report) = (files.path().join("schemathesis.toml"), files.path().join("report.json"));
    fs::write(&settings, config).expect("a writable folder");
    let output = Command::new(bin.join("schemathesis"))
        .arg("--no-color")
        .arg("--config-file")
        .arg(&settings)
        .args(["run", &format!("{}/openapi.json", stack.api.url), "--url", &stack.api.url])
        // Which account's API is meant, the emulator learns from nothing else. It checks no signature.
        .arg("--header")
        .arg(format!("Authorization:AWS4-HMAC-SHA256 Credential={}/execute-api", stack.account))
        .args(["--seed", &seed.to_string(), "--continue-on-failure", "--generation-database", "none"])
        .args(["--report", "json", "--report-json-path"])
        .arg(&report)
        // What it keeps for its next run is of no use here.
        .current_dir(files.path())
        .stdin(Stdio::null())
        .output()
        .expect("Schemathesis starts");
    let printed =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    let report = read(&report).unwrap_or_else(|| panic!("no report, {}: {printed}", output.status));
    let cases = report.pointer("/test_cases/generated").and_then(Value::as_u64).expect("a count");
    let complete = report.get("complete").and_then(Value::as_bool).expect("whether it got to the end");
    Report { cases, passed: complete && output.status.success(), output: printed }
}

fn read(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}
