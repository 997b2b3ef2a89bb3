//! The documents: their links lead somewhere, and a test runs each command that they show.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use mailroom_tests::readme::Commands;

use crate::workspace::{files, read, root};

/// The documents that tell people what to type.
const WITH_COMMANDS: [&str; 7] = [
    "README.md",
    "functions/README.md",
    "functions/api/README.md",
    "functions/audit/README.md",
    "infra/README.md",
    "infra/CONSOLE.md",
    ".github/CONTRIBUTING.md",
];

/// How it is known that commands work.
enum Proof {
    /// A test of this name, in this file, runs them.
    Test(&'static str, &'static str),
    /// Another check does: this text stands in this file.
    Text(&'static str, &'static str),
    /// No test runs them, for this reason.
    Unproven(&'static str),
}

/// Commands under a heading of a document. `first` begins their first line; empty: all of the section.
struct Claim {
    document: &'static str,
    section: &'static str,
    first: &'static str,
    proof: Proof,
}

const fn claim(document: &'static str, section: &'static str, first: &'static str, proof: Proof) -> Claim {
    Claim { document, section, first, proof }
}

/// The manual of the API runs from its first line to its last.
const MANUAL: Proof =
    Proof::Test("tests/it/manual.rs", "every_command_of_the_api_manual_prints_what_the_manual_shows");

/// What operators type, as far as the emulator can do it.
const OPERATORS: Proof =
    Proof::Test("tests/it/manual.rs", "the_commands_for_operators_do_what_the_document_says");

/// What developers type on this machine, on the default emulator.
const MACHINE: Proof = Proof::Test("tests/local/main.rs", "the_readme_holds_on_the_default_emulator");

/// The same, on a real LocalStack.
const LOCALSTACK: Proof = Proof::Test("tests/local/main.rs", "the_readme_holds_on_localstack");

/// Which commands are known to work, and how.
const CLAIMS: &[Claim] = &[
    claim("README.md", "Try it", "cargo demo", MACHINE),
    claim("README.md", "Try it", "cargo test", Proof::Text(".ci/run", "\ncargo test\n")),
    claim(
        "functions/README.md",
        "How messages are read",
        "cargo run",
        Proof::Test("tests/it/reading.rs", "the_reader_prints_a_line_for_each_message_of_a_folder"),
    ),
    claim("functions/api/README.md", "API", "", MANUAL),
    claim("functions/api/README.md", "Sending", "", MANUAL),
    claim("functions/api/README.md", "Signing in with OAuth2", "", MANUAL),
    claim("functions/api/README.md", "Profiles", "", MANUAL),
    claim("infra/README.md", "Deploy to AWS", "rustup target add", Proof::Unproven("needs an AWS account")),
    claim("infra/README.md", "Deploy to AWS", "echo", OPERATORS),
    claim("infra/README.md", "Flows that send by the queue", "aws sqs send-message", OPERATORS),
    claim("infra/CONSOLE.md", "Who may use it", "aws secretsmanager create-secret", OPERATORS),
    claim("infra/README.md", "Roll back", "aws lambda put-function-concurrency", OPERATORS),
    claim("functions/audit/README.md", "Whether a message is missing", "echo", OPERATORS),
    claim("infra/README.md", "Messages that were given up", "aws s3 cp", OPERATORS),
    claim(
        "infra/README.md",
        "Messages that were given up",
        "aws sqs start-message-move-task",
        Proof::Unproven("the emulator has no StartMessageMoveTask"),
    ),
    claim("infra/README.md", "On this machine", "", MACHINE),
    claim("infra/README.md", "With LocalStack", "", LOCALSTACK),
    claim("infra/README.md", "Seeing jobs", "", MACHINE),
    claim("infra/README.md", "The functions from the sources with cargo-lambda", "", MACHINE),
    claim("infra/README.md", "Taking it down", "cargo local down", MACHINE),
    claim("infra/README.md", "Jobs with the AWS command line", "export", OPERATORS),
    claim(
        "infra/README.md",
        "Check the template",
        "pip install cfn-lint==1.58.0",
        Proof::Text(".ci/run", "cfn-lint==1.58.0"),
    ),
    claim(
        ".github/CONTRIBUTING.md",
        "Before a change lands",
        ".ci/run",
        Proof::Text(".github/workflows/ci.yml", "run: .ci/run"),
    ),
    claim(
        ".github/CONTRIBUTING.md",
        "Before a change lands",
        "cargo test",
        Proof::Text(".ci/run", "\ncargo test\n"),
    ),
];

#[test]
fn each_command_in_a_document_is_run_by_a_test() {
    let mut unclaimed = Vec::new();
    let mut used = BTreeSet::new();
    for document in WITH_COMMANDS {
        for commands in Commands::of(&read(document)) {
            let claims = |claim: &Claim| {
                claim.document == document
                    && claim.section == commands.section
                    && commands.first_line().starts_with(claim.first)
            };
            match CLAIMS.iter().position(claims) {
                Some(at) => drop(used.insert(at)),
                None => {
                    unclaimed.push(format!("{document}, \"{}\": {}", commands.section, commands.first_line()))
                }
            }
        }
    }
    assert!(
        unclaimed.is_empty(),
        "have a test run these commands, and name it in CLAIMS in tests/repository/documents.rs:\n  {}",
        unclaimed.join("\n  ")
    );
    for (at, claim) in CLAIMS.iter().enumerate() {
        let Claim { document, section, first, proof } = claim;
        assert!(
            used.contains(&at),
            "no commands in {document}, \"{section}\", begin with \"{first}\"; remove the claim"
        );
        match proof {
            Proof::Test(file, name) => {
                assert!(read(file).contains(&format!("fn {name}(")), "{file} has no test {name}")
            }
            Proof::Text(file, text) => assert!(read(file).contains(text), "{file} has no `{text}`"),
            Proof::Unproven(reason) => {
                assert!(!reason.is_empty(), "{document}, \"{section}\": say why no test runs it")
            }
        }
    }
}

#[test]
fn links_lead_to_files_and_headings_that_are_there() {
    let all: BTreeSet<String> = files().into_iter().collect();
    let mut broken = Vec::new();
    for document in all.iter().filter(|file| file.ends_with(".md")) {
        let text = read(document);
        for link in links(&text) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { document.clone() } else { beside(document, path) };
            let there = root().join(&target).is_dir() || all.contains(&target);
            let found =
                there && (heading.is_empty() || headings(&read(&target)).any(|anchor| anchor == heading));
            if !found {
                broken.push(format!("{document}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "these links lead nowhere:\n  {}", broken.join("\n  "));
}

#[test]
fn commands_are_found_with_what_they_print() {
    let found = Commands::of(
        "# A\n```sh\na\n```\n```json\n{…}\n```\n## B\ntext\n```sh\n# why\nb --json\n```\n\nmore\n",
    );
    let [a, b] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((a.section.as_str(), a.first_line(), a.output.as_deref()), ("A", "a", Some("{…}")));
    assert_eq!((b.section.as_str(), b.first_line(), b.output.as_deref()), ("B", "b --json", None));
    assert!(a.show("{\"id\":1}\n") && !a.show("{\"id\":1} and more") && !a.show("error"));
    assert!(b.show("") && !b.show("something"));
    assert!(a.only_look() && !b.only_look());
}

/// The targets of a document's links, those to other sites left out.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    targets.filter(|target| !target.contains("://"))
}

/// The anchors of a document's headings, as GitHub makes them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let outside_code = text.split("\n```").step_by(2);
    let headings = outside_code.flat_map(str::lines).filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect()
    })
}

/// A path from the top folder, given one from the folder of a document.
fn beside(document: &str, path: &str) -> String {
    let mut full = PathBuf::new();
    for part in Path::new(document).parent().into_iter().chain([Path::new(path)]).flat_map(Path::components) {
        match part {
            Component::ParentDir => drop(full.pop()),
            part => full.push(part),
        }
    }
    full.display().to_string()
}
