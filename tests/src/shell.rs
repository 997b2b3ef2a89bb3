//! A reader's shell: it runs what a document shows, in a folder that looks like the repository while a stack is up.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use mailroom_local::toolbox::Toolbox;
use tempfile::TempDir;

use crate::debian;
use crate::or_panic::or_panic;
use crate::readme::Commands;
use crate::world::World;

/// Pinned, like all that comes from PyPI.
const AWS_CLI: &str = "awscli==1.45.11";

/// How long commands that only look are repeated: until a poll or a delivery is through.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(60);

/// A shell that keeps its variables from one block of commands to the next.
pub struct Shell {
    folder: TempDir,
    path: String,
    /// What was set, by the commands or by the reader: each block runs in a process of its own.
    variables: BTreeMap<String, String>,
}

impl Shell {
    /// A shell in a folder with all that is in the repository's, where this world's stack is up.
    ///
    /// # Panics
    /// When curl, jq or the AWS command line is missing.
    #[must_use]
    pub fn new(world: &World) -> Self {
        debian::ensure_installed(&["/usr/bin/curl", "/usr/bin/jq"], &["curl", "jq"]);
        let aws = or_panic(Toolbox::here().install("aws-cli", &[AWS_CLI], "the AWS command line"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        for entry in fs::read_dir(Toolbox::root()).expect("the repository").flatten() {
            if entry.file_name() != ".local" {
                symlink(entry.path(), folder.path().join(entry.file_name())).expect("a writable folder");
            }
        }
        let state = folder.path().join(".local");
        fs::create_dir(&state).expect("a writable folder");
        let mut stack = world.stack().clone();
        stack.api.url = world.public_url();
        or_panic(stack.save(&state.join("stack.json")));
        Self { folder, path: format!("{}:/usr/bin:/bin", aws.display()), variables: BTreeMap::new() }
    }

    /// The reader sets variables.
    pub fn set(&mut self, variables: &[(&str, &str)]) {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.variables.extend(owned);
    }

    /// Runs commands and holds what they print against what the document shows. Those that only look are repeated until
    /// they see it.
    ///
    /// # Panics
    /// When they print something else, or fail.
    pub fn run_as_shown(&mut self, commands: &Commands) -> String {
        let begun = Instant::now();
        loop {
            let printed = self.run(&commands.text);
            if commands.show(&printed) {
                return printed;
            }
            assert!(
                commands.only_look() && begun.elapsed() < OUTPUT_TIMEOUT,
                "under \"{}\", this:\n\n{}\n\nprints:\n\n{printed}\n\nand the document shows:\n\n{}",
                commands.section,
                commands.text,
                commands.output.as_deref().unwrap_or("nothing"),
            );
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Runs commands to their end; what they print, errors included.
    ///
    /// # Panics
    /// When one of them fails.
    pub fn run(&mut self, commands: &str) -> String {
        let kept = self.folder.path().join("variables");
        let script = format!("exec 2>&1\nset -eo pipefail\n{commands}\nenv -0 > '{}'\n", kept.display());
        let output = Command::new("bash")
            // With `-a` every variable is exported, so that it can be kept for the next block.
            .args(["-a", "-c", &script])
            .current_dir(self.folder.path())
            .env_clear()
            .envs(&self.variables)
            .env("PATH", &self.path)
            .env("HOME", self.folder.path())
            .output()
            .expect("Bash is installed");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{commands}\n\nfails:\n\n{printed}");
        let text = fs::read_to_string(&kept).expect("the variables were kept");
        let pairs = text.split_terminator('\0').filter_map(|pair| pair.split_once('='));
        self.variables = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        printed
    }
}
