//! axe-core: what a page lacks for people who use it by keyboard, by ear, or with low vision (WCAG 2.2).
//!
//! It comes from npm, into a folder of its own.

use std::fs;

use mailroom_local::npm;
use mailroom_local::toolbox::Toolbox;
use serde_json::Value;

use crate::browser::Browser;
use crate::or_panic::or_panic;

/// Where it is installed, below `.local`.
const HOME: &str = "axe";

/// Which rules are held against a page, and what is told of each that it breaks.
const RUN: &str = "
    const done = arguments[arguments.length - 1];
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    axe.run(document, { runOnly: tags }).then((result) => done({
        passes: result.passes.length,
        violations: result.violations.flatMap((rule) => rule.nodes.map((node) =>
            `${rule.id}: ${node.html} (${node.failureSummary})`)),
    }), (error) => done({ passes: 0, violations: [String(error)] }));";

/// The checks.
pub struct Axe {
    script: String,
}

impl Axe {
    /// Installs them.
    ///
    /// # Panics
    /// When they cannot be installed.
    #[must_use]
    pub fn install() -> Self {
        let toolbox = Toolbox::here();
        let source = Toolbox::root().join("tests/axe");
        let installed = or_panic(npm::install(
            &toolbox,
            HOME,
            &source,
            &["package.json", "package-lock.json"],
            "axe-core",
        ));
        let script = installed.home.join("node_modules/axe-core/axe.min.js");
        Self { script: fs::read_to_string(script).expect("axe.min.js") }
    }

    /// What the page that the browser shows violates.
    ///
    /// # Panics
    /// When nothing was checked.
    #[must_use]
    #[track_caller]
    pub fn violations(&self, browser: &Browser) -> Vec<String> {
        let _ = browser.script(&self.script);
        let result = browser.script_with_callback(RUN);
        let passes = result.get("passes").and_then(Value::as_u64).unwrap_or_default();
        let violations = result.get("violations").and_then(Value::as_array).cloned().unwrap_or_default();
        assert!(passes > 10 || !violations.is_empty(), "axe has checked nothing: {result}");
        violations.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
    }
}
