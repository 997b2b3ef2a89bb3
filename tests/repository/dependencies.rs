//! Which crate may link which is kept in `.deny.toml`: here, only that no crate of ours is missing there, and what it
//! cannot say.

use crate::workspace::{Workspace, read};

/// What is pure: it decides and transforms, without I/O, clocks or an async runtime.
const PURE: [&str; 2] = ["mailroom-core", "mailroom-mime"];

/// What does I/O, or leads to it. Names that begin with `aws-` too.
const IMPURE: [&str; 5] = ["hyper", "lambda_runtime", "tokio", "tokio-rustls", "tracing"];

#[test]
fn deny_toml_names_every_crate_of_ours() {
    let deny = read(".deny.toml");
    for package in Workspace::read().packages() {
        let name = package["name"].as_str().unwrap();
        assert!(
            deny.contains(&format!("{{ crate = \"{name}\", wrappers = [")),
            "add a line {{ crate = \"{name}\", wrappers = [] }} to the bans in .deny.toml, with the crates that may \
             depend on it"
        );
    }
}

#[test]
fn what_decides_does_no_io() {
    for package in Workspace::read().packages() {
        let name = package["name"].as_str().unwrap();
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        for dependency in dependencies.filter(|dependency| dependency["kind"].is_null()) {
            let dependency = dependency["name"].as_str().unwrap();
            let impure = IMPURE.contains(&dependency) || dependency.starts_with("aws-");
            assert!(!(PURE.contains(&name) && impure), "{name} is pure: it cannot depend on {dependency}");
        }
    }
}
