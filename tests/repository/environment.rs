//! Each function reads the environment that the template gives it, name by name: in its `config.rs`, or in
//! mailroom-lambda what every function reads.

use std::collections::BTreeSet;

use crate::workspace::{files, read};

/// What the names of our variables begin with.
const PREFIX: &str = "MAILROOM_";

/// Where the names are that every function reads.
const SHARED: &str = "functions/crates/mailroom-lambda/src/";

#[test]
fn every_function_reads_what_the_template_sets() {
    let template = read("infra/template.yaml");
    let files = files();
    let shared: BTreeSet<String> =
        files.iter().filter(|file| file.starts_with(SHARED)).flat_map(|file| literals(&read(file))).collect();
    let config = |file: &String| {
        let function = file.strip_prefix("functions/")?.strip_suffix("/src/config.rs")?.to_owned();
        Some((function, file.clone()))
    };
    let functions: Vec<(String, String)> = files.iter().filter_map(config).collect();
    assert!(functions.len() >= 3, "functions/*/src/config.rs are gone; this test looks for them there");
    for (function, file) in functions {
        let set = names(resource(&template, &function), |rest| rest.starts_with(':'));
        let own = literals(&read(&file));
        let only = |these: &BTreeSet<String>, those| these.difference(those).cloned().collect::<Vec<_>>();
        let read: BTreeSet<String> = own.union(&shared).cloned().collect();
        assert_eq!(
            only(&read, &set),
            [""; 0],
            "{function} reads what infra/template.yaml does not set for it"
        );
        assert_eq!(
            only(&set, &read),
            [""; 0],
            "infra/template.yaml sets for {function} what it does not read"
        );
    }
}

/// Our variables among the string literals of a source file, up to its tests.
fn literals(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    code.split('"').skip(1).step_by(2).flat_map(|text| names(text, |_| true)).collect()
}

/// The lines of the template's resource that is built from this function's folder.
fn resource<'a>(template: &'a str, function: &str) -> &'a str {
    let code = format!("target/lambda/{function}/bootstrap.zip");
    let is_key = |line: &str| {
        line.strip_prefix("  ")
            .is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_alphabetic()))
    };
    let at = template.find(&code).unwrap_or_else(|| panic!("infra/template.yaml has no function of {code}"));
    let mut starts = Vec::from([0]);
    let mut end = 0;
    for line in template.split_inclusive('\n') {
        if is_key(line) {
            starts.push(end);
        }
        end += line.len();
    }
    starts.push(end);
    let after = starts.partition_point(|start| *start <= at);
    &template[starts[after - 1]..starts[after]]
}

/// Our variables in a text, each where what follows its name is as it has to be.
fn names(text: &str, follows: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let is_name = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
    let found = text.match_indices(PREFIX).map(|(at, _)| {
        let rest = &text[at..];
        rest.split_at(rest.find(|letter| !is_name(letter)).unwrap_or(rest.len()))
    });
    found.filter(|(_, rest)| follows(rest)).map(|(name, _)| name.to_owned()).collect()
}
