//! The flows in `infra/examples`: their types made anew, checked, and the flows run as Lambda runs them.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use mailroom_local::functions;
use mailroom_local::npm::{self, Installed};
use mailroom_local::toolbox::Toolbox;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::lambda::{Lambda, Outcome};
use crate::or_panic::or_panic;

/// What checks Python and makes its types. Pinned: other versions write other files.
const PYTHON: [&str; 2] = ["datamodel-code-generator==0.89.0", "mypy==2.4.1"];

/// The flows, their types, and what checks them, below `infra/examples`.
const FILES: [&str; 8] = [
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "generate.mjs",
    "typescript/handler.ts",
    "typescript/flow-job.ts",
    "python/handler.py",
    "python/flow_job.py",
];

/// How long the function may take: its timeout in `flows.yaml`.
const LIMIT: Duration = Duration::from_secs(20);

/// The schema that the types are made from.
const SCHEMA: &str = "functions/crates/mailroom-core/src/inbound/flow-job.v1.json";

/// Runs a handler on the event from its input.
const NODE_DRIVER: &str =
    "import { handler } from './typescript/handler.ts'; import { readFileSync } from 'node:fs';
console.log(JSON.stringify(await handler(JSON.parse(readFileSync(0, 'utf8')))));";

/// The same for Python. What the handler prints goes to the error output, as it goes to a log at AWS.
const PYTHON_DRIVER: &str = "import contextlib, json, sys
sys.path.insert(0, 'python')
from handler import handler
with contextlib.redirect_stdout(sys.stderr):
    answer = handler(json.load(sys.stdin), None)
print(json.dumps(answer))";

/// A language that there is a flow in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Run by Node.js.
    TypeScript,
    /// Python.
    Python,
    /// Built for Lambda, and run as Lambda runs it.
    Rust,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::TypeScript, Self::Python, Self::Rust];

    /// The file with the types, below `infra/examples`; `None` where they are the project's own.
    #[must_use]
    pub const fn types(self) -> Option<&'static str> {
        match self {
            Self::TypeScript => Some("typescript/flow-job.ts"),
            Self::Python => Some("python/flow_job.py"),
            Self::Rust => None,
        }
    }
}

/// The flows, in a folder of their own with what they need.
pub struct Flows {
    home: PathBuf,
    node: PathBuf,
    python: PathBuf,
}

impl Flows {
    /// Installs what the flows need.
    ///
    /// # Panics
    /// When PyPI or npm cannot be reached.
    #[must_use]
    pub fn install() -> Self {
        let toolbox = Toolbox::here();
        let python = or_panic(toolbox.install("python-types", &PYTHON, "Python's types"));
        for folder in ["typescript", "python"] {
            fs::create_dir_all(toolbox.state().join("flows").join(folder)).expect("a writable folder");
        }
        let source = Toolbox::root().join("infra/examples");
        let installed = npm::install(&toolbox, "flows", &source, &FILES, "the flows' checks");
        let Installed { programs, home } = or_panic(installed);
        let node = programs.join("node");
        Self { home, node, python }
    }

    /// The types of a job as the schema says them now; `None` where no generator makes them.
    ///
    /// # Panics
    /// When the generator fails.
    #[must_use]
    pub fn types(&self, language: Language) -> Option<String> {
        let schema = Toolbox::root().join(SCHEMA);
        match language {
            Language::TypeScript => {
                let mut node = self.node();
                node.arg("generate.mjs").arg(schema);
                Some(output(&mut node, "").0)
            }
            Language::Python => {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let written = folder.path().join("flow_job.py");
                let mut generator = Command::new(self.python.join("datamodel-codegen"));
                generator.arg("--input").arg(schema).arg("--output").arg(&written).args([
                    "--input-file-type",
                    "jsonschema",
                    "--output-model-type",
                    "typing.TypedDict",
                    "--target-python-version",
                    "3.11",
                    "--class-name",
                    "FlowJob",
                    // Fields may be added.
                    "--no-use-closed-typed-dict",
                    "--disable-timestamp",
                    "--formatters",
                    "builtin",
                    "--use-schema-description",
                    "--use-field-description",
                    "--custom-file-header",
                    "# Made from flow-job.v1.json by datamodel-code-generator; a test compares them.",
                ]);
                let _ = output(&mut generator, "");
                Some(fs::read_to_string(written).expect("the generator writes it"))
            }
            Language::Rust => None,
        }
    }

    /// What the language's checker says of the flow; empty when all is well.
    #[must_use]
    pub fn problems(&self, language: Language) -> String {
        let mut checker = match language {
            Language::TypeScript => {
                let mut node = self.node();
                node.args(["node_modules/typescript/bin/tsc", "--project", "."]);
                node
            }
            Language::Python => {
                let mut mypy = Command::new(self.python.join("mypy"));
                mypy.args(["--strict", "--no-error-summary", "handler.py", "flow_job.py"]);
                mypy.current_dir(self.home.join("python"));
                mypy
            }
            // The compiler has.
            Language::Rust => return String::new(),
        };
        let Output { status, stdout, stderr } = checker.output().expect("the checker runs");
        let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
        if status.success() { said.trim().to_owned() } else { format!("{status}: {said}") }
    }

    /// Calls the flow's handler with an event, and returns its answer and what it logs.
    ///
    /// # Panics
    /// When the handler fails as a whole.
    #[must_use]
    pub fn call(&self, language: Language, api: &str, event: &Value) -> (Value, String) {
        let mut command = match language {
            Language::TypeScript => {
                let mut node = self.node();
                node.args(["--input-type=module", "--eval", NODE_DRIVER]);
                node
            }
            Language::Python => {
                let mut python = Command::new(self.python.join("python"));
                python.args(["-c", PYTHON_DRIVER]).current_dir(&self.home);
                python
            }
            Language::Rust => return Self::call_function(api, event),
        };
        command.env("MAILROOM_API", api);
        let (answer, log) = output(&mut command, &event.to_string());
        (serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}")), log)
    }

    /// Builds the flow in Rust, and sends it an event.
    fn call_function(api: &str, event: &Value) -> (Value, String) {
        let function = or_panic(functions::build_flow(&Toolbox::here()));
        let runtime = Runtime::new().expect("a runtime");
        let log = tempfile::NamedTempFile::new().expect("a temporary file");
        let environment = vec![("MAILROOM_API".to_owned(), api.to_owned())];
        let lambda = Lambda::new(runtime.handle().clone(), &function.binary, environment, log.path());
        match lambda.invoke(event.clone(), LIMIT) {
            Outcome::Answered(answer) => (answer, lambda.log()),
            other @ (Outcome::Failed(_) | Outcome::Crashed | Outcome::TimedOut) => {
                panic!("{other:?}: {}", lambda.log())
            }
        }
    }

    fn node(&self) -> Command {
        let mut node = Command::new(&self.node);
        node.current_dir(&self.home);
        node
    }
}

/// What a command prints: its output, and its errors.
fn output(command: &mut Command, input: &str) -> (String, String) {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A pipe holds 64 KiB, and all of these read their input before they write.
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("the program reads");
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the program ends");
    let errors = String::from_utf8_lossy(&stderr).into_owned();
    assert!(status.success(), "{command:?}: {errors}");
    (String::from_utf8(stdout).expect("UTF-8"), errors)
}
