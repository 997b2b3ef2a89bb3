//! How source files are kept.

use crate::workspace::{files, read};

/// The lines that a file may have before it holds more than one idea.
const MAX_LINES: usize = 500;

/// The lines of a function's `main.rs`: it starts what the library is.
const MAX_MAIN_LINES: usize = 15;

/// The lines of the README: what people read before they decide to go on.
const MAX_README_LINES: usize = 90;

/// Notes to oneself. In two pieces each, so that this file does not hold them.
const NOTES: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// How a file begins that no person writes.
const GENERATED: &str = "# Made from ";

/// Kinds of files that people write and read from top to bottom. A template is looked up.
const SOURCES: [&str; 6] = [".rs", ".py", ".mjs", ".md", ".sh", ".toml"];

#[test]
fn no_file_is_longer_than_500_lines() {
    let too_long = violations(is_source, |_, text| {
        let lines = text.lines().count();
        (lines > MAX_LINES && !text.starts_with(GENERATED)).then(|| format!("{lines} lines"))
    });
    assert_none(&too_long, "split these files, each by what its parts are about");
}

#[test]
fn modules_are_where_the_compiler_looks_for_them() {
    let moved = violations(is_rust, |_, text| {
        text.lines().find(|line| line.trim_start().starts_with("#[path")).map(str::to_owned)
    });
    assert_none(&moved, "move the file to where `mod` alone finds it: `a.rs` has its modules in `a/`");
}

#[test]
fn modules_have_one_style() {
    let folders = violations(|file| file.ends_with("/mod.rs"), |_, _| Some("is a mod.rs".to_owned()));
    assert_none(&folders, "rename each `a/mod.rs` to `a.rs`, beside its folder");
}

#[test]
fn the_main_of_a_function_only_starts_it() {
    let is_main = |file: &str| file.starts_with("functions/") && file.ends_with("/src/main.rs");
    let long = violations(is_main, |_, text| {
        let lines = text.lines().count();
        (lines > MAX_MAIN_LINES).then(|| format!("{lines} lines"))
    });
    assert_none(
        &long,
        "leave to mailroom-lambda what every function does, and to the function's lib.rs the rest",
    );
}

#[test]
fn the_readme_is_short() {
    let long = violations(
        |file| file == "README.md",
        |_, text| {
            let lines = text.lines().count();
            (lines > MAX_README_LINES).then(|| format!("{lines} lines"))
        },
    );
    assert_none(
        &long,
        "the README is the way in: move details to functions/README.md, functions/api/README.md or infra/README.md",
    );
}

#[test]
fn nothing_is_left_to_be_done_in_a_comment() {
    let is_text = |file: &str| {
        is_source(file) || file.ends_with(".yaml") || file.ends_with(".yml") || file == ".ci/run"
    };
    let notes = violations(is_text, |_, text| {
        let words = |line: &str| {
            line.split(|letter: char| !letter.is_alphanumeric()).any(|word| NOTES.contains(&word))
        };
        text.lines()
            .zip(1..)
            .find(|(line, _)| words(line))
            .map(|(line, number)| format!("line {number}: {}", line.trim()))
    });
    assert_none(&notes, "do it, or write an issue");
}

fn is_source(file: &str) -> bool {
    SOURCES.iter().any(|ending| file.ends_with(ending))
}

fn is_rust(file: &str) -> bool {
    file.ends_with(".rs")
}

/// What `check` says of the files that are `wanted`.
fn violations(wanted: impl Fn(&str) -> bool, check: impl Fn(&str, &str) -> Option<String>) -> Vec<String> {
    let said = |file: String| check(&file, &read(&file)).map(|what| format!("{file}: {what}"));
    files().into_iter().filter(|file| wanted(file)).filter_map(said).collect()
}

/// Fails with the list and what to do.
#[track_caller]
fn assert_none(violations: &[String], advice: &str) {
    assert!(violations.is_empty(), "{advice}:\n  {}", violations.join("\n  "));
}
