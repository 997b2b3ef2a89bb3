//! What different readers take for the text that was written now, in the samples of `mailroom-mime`: ours, optimised as it
//! is deployed, and other packages from PyPI.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mailroom_fuzzing::score::{Score, lines};
use mailroom_local::toolbox::Toolbox;
use serde_json::{Value, json};

use crate::or_panic::or_panic;

/// The labelled samples: bodies, and beside each what its author wrote.
const SAMPLES: &str = "functions/crates/mailroom-mime/src/parse/reply_text/tests/samples";

/// The other packages. talon-main is talon as it runs on Python 3.
const OTHERS: [&str; 6] = [
    "mail-parser-reply==1.36",
    "email-reply-parser==0.5.12",
    "email-reply-extractor==1.1.1",
    "quotequail==0.5.4",
    "talon-main==0.2",
    "setuptools",
];

/// Runs them.
const SCRIPT: &str = include_str!("reply_readers/readers.py");

/// The name of ours in a table.
pub const OURS: &str = "mailroom";

/// A reader's results.
#[derive(Debug, Default)]
pub struct Results {
    /// What it found.
    pub score: Score,
    microseconds: Vec<u64>,
    bytes: Vec<u64>,
}

impl Results {
    /// Takes what was found, at `text` of a result that says what it took.
    fn add(&mut self, found: &Value, text: &str, wanted: &str) {
        let number = |name: &str| found.get(name).and_then(Value::as_u64).expect("a number");
        let text = found.pointer(text).and_then(Value::as_str).unwrap_or_default();
        self.score.add(&lines(text), &lines(wanted));
        self.microseconds.push(number("microseconds"));
        self.bytes.push(number("bytes"));
    }

    /// A row of the table.
    #[must_use]
    pub fn row(&self) -> String {
        let Score { samples, exact, missed, .. } = self.score;
        let [time, longest] = ends(&self.microseconds);
        let [memory, most] = ends(&self.bytes);
        format!(
            "recall {:4} ‰, precision {:4} ‰, {exact:3} of {samples} exact, {missed:2} missed; \
             {time:5} µs (longest {longest:6}), {memory:7} bytes (most {most:7})",
            self.score.recall(),
            self.score.precision(),
        )
    }
}

/// The value in the middle, and the largest.
fn ends(values: &[u64]) -> [u64; 2] {
    let mut values = values.to_vec();
    values.sort_unstable();
    [values.get(values.len() / 2), values.last()].map(|value| value.copied().unwrap_or_default())
}

/// What each reader finds in all samples.
///
/// # Panics
/// When PyPI cannot be reached, or ours does not compile.
#[must_use]
pub fn compare() -> BTreeMap<String, Results> {
    let ours = ours();
    let samples: Vec<Value> = ours
        .iter()
        .map(|(file, line)| {
            let body = fs::read_to_string(folder().join(file)).expect("a sample in UTF-8");
            if Path::new(file).extension().is_some_and(|extension| extension == "html") {
                json!({"file": file, "text": line.pointer("/message/text"), "html": body})
            } else {
                json!({"file": file, "text": body, "html": null})
            }
        })
        .collect();
    let mut all: BTreeMap<String, Results> = BTreeMap::new();
    for (reader, found) in others(&Value::from(samples).to_string()) {
        for file in ours.keys() {
            let found = found.get(file).expect("the reader reads every sample");
            all.entry(reader.clone()).or_default().add(found, "/found", &wanted(file));
        }
    }
    for (file, line) in &ours {
        all.entry(OURS.to_owned()).or_default().add(line, "/message/reply_text", &wanted(file));
    }
    all
}

fn folder() -> PathBuf {
    Toolbox::root().join(SAMPLES)
}

/// What the author of a sample wrote.
fn wanted(file: &str) -> String {
    let label = folder().join(format!("{file}.own"));
    fs::read_to_string(&label).unwrap_or_else(|error| panic!("{}: {error}", label.display()))
}

/// The line that the example `read` prints of each sample.
fn ours() -> BTreeMap<String, Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--release", "--locked", "-p", "mailroom-mime", "--example", "read", "--"]);
    cargo.args(["--repeat", "20", SAMPLES]).current_dir(Toolbox::root());
    // Linking as for a deployment takes minutes and changes little.
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    let printed = output(&mut cargo, "");
    let lines = printed.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let file = |line: &Value| line.get("file").and_then(Value::as_str).expect("a name").to_owned();
    lines.map(|line| (file(&line), line)).collect()
}

fn others(samples: &str) -> BTreeMap<String, Value> {
    let programs = or_panic(Toolbox::here().install("reply-readers", &OTHERS, "other readers of replies"));
    let mut python = Command::new(programs.join("python"));
    python.args(["-W", "ignore", "-c", SCRIPT]);
    serde_json::from_str(&output(&mut python, samples)).expect("JSON")
}

fn output(command: &mut Command, input: &str) -> String {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // Both read all of it before they write.
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("the program reads");
    let output = child.wait_with_output().expect("the program ends");
    assert!(output.status.success(), "{command:?} fails");
    String::from_utf8(output.stdout).expect("UTF-8")
}
