//! What there is: the files of the repository and the crates of the workspace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The repository's top folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is a folder of the repository")
}

/// The text of a file, by its path from the top folder.
pub(crate) fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The files that are committed, or could be: by their paths from the top folder, in order.
pub(crate) fn files() -> Vec<String> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(list).current_dir(root()).output().expect("git is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("names are UTF-8");
    let mut files: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
    // One that is removed, and not yet committed as such, is listed too.
    files.retain(|file| root().join(file).is_file());
    files.sort();
    files.dedup();
    files
}

/// The workspace, as Cargo sees it.
pub(crate) struct Workspace(Value);

impl Workspace {
    /// Asks Cargo for the members, without a network.
    pub(crate) fn read() -> Self {
        let metadata = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
        let output =
            Command::new(env!("CARGO")).args(metadata).current_dir(root()).output().expect("Cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self(serde_json::from_slice(&output.stdout).expect("JSON"))
    }

    /// The members, each as an object of `cargo metadata`.
    pub(crate) fn packages(&self) -> &[Value] {
        self.0["packages"].as_array().expect("packages")
    }

    /// The root files of its libraries and programs.
    pub(crate) fn roots(&self) -> Vec<PathBuf> {
        let targets =
            self.packages().iter().flat_map(|package| package["targets"].as_array().expect("targets"));
        let built = targets.filter(|target| {
            target["kind"] == serde_json::json!(["lib"]) || target["kind"] == serde_json::json!(["bin"])
        });
        built.map(|target| PathBuf::from(target["src_path"].as_str().expect("a path"))).collect()
    }
}
