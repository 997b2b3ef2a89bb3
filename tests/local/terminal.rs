//! Terminals: shells of their own, in the project's folder, with the environment of a person's.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use std::os::unix::process::CommandExt as _;

use mailroom_local::progress::say;
use mailroom_local::toolbox::Toolbox;
use tempfile::TempDir;

use crate::DEMO_READY;
use crate::readme::{Block, section};

/// How long anything may take: on a machine where nothing is built yet, the functions are.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(900);

/// What a command that goes on prints once others may rely on it.
const READY: [(&str, &str); 4] = [
    ("localstack/up.sh", "Ready."),
    ("cargo local up", "Ctrl-C ends this"),
    ("cargo demo", DEMO_READY),
    ("cargo lambda watch", "starting Runtime server"),
];

/// What a person's terminal has too. The rest is the test's own, above all what cargo tells its children.
const KEPT: [&str; 8] =
    ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "JAVA_HOME", "PYTHON", "LANG"];

/// One scenario at a time: they use the same ports and the same folder.
static TURN: Mutex<()> = Mutex::new(());

struct Terminal {
    text: String,
    shell: Child,
    log: PathBuf,
}

/// The terminals of a scenario: one that is typed into, and those that go on.
pub(crate) struct Terminals {
    others: Vec<Terminal>,
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Terminals {
    /// Waits for its turn, and for nothing to be up.
    pub(crate) fn open() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        for port in [4566, 9000] {
            let free = TcpListener::bind(("127.0.0.1", port));
            assert!(free.is_ok(), "the README's commands use port {port}, and something listens there");
        }
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("environment"), "").expect("a file");
        Self { others: Vec::new(), folder, _turn: turn }
    }

    /// Types the blocks; returns what those have printed that ended.
    pub(crate) fn type_blocks(&mut self, blocks: &[Block]) -> String {
        blocks.iter().map(|block| self.type_block(block)).collect()
    }

    fn type_block(&mut self, block: &Block) -> String {
        let begun = Instant::now();
        for line in block.text.lines().filter(|line| !line.starts_with('#')) {
            say(&format!("$ {line}"));
        }
        if block.own_terminal {
            self.start(block);
            return String::new();
        }
        let environment = self.folder.path().join("environment");
        let environment = environment.display();
        let script = format!(
            "set -euo pipefail; set -a; source {environment}\n{}\nexport -p >{environment}\n",
            block.text
        );
        let mut shell = shell(&script);
        let (log, output) = self.log();
        shell.stderr(output.try_clone().expect("a log")).stdout(output);
        let mut shell = shell.spawn().expect("bash");
        let status = loop {
            if let Some(status) = shell.try_wait().expect("bash") {
                break status;
            }
            assert!(begun.elapsed() < OUTPUT_TIMEOUT, "no end of:\n{}\n{}", block.text, read(&log));
            thread::sleep(Duration::from_millis(50));
        };
        let said = read(&log);
        assert!(status.success(), "{status}:\n{}\nprinted\n{said}\n{}", block.text, self.all_output());
        say(&format!("  ({:.1} s)", begun.elapsed().as_secs_f32()));
        said
    }

    fn start(&mut self, block: &Block) {
        let (log, output) = self.log();
        let mut shell = shell(&block.text);
        shell.process_group(0).stderr(output.try_clone().expect("a log")).stdout(output);
        let shell = shell.spawn().expect("bash");
        self.others.push(Terminal { text: block.text.clone(), shell, log });
        let (command, ready) = READY
            .into_iter()
            .find(|(command, _)| block.text.contains(command))
            .unwrap_or_else(|| panic!("nothing tells when this is ready:\n{}", block.text));
        self.wait_for(command, ready);
    }

    /// Waits until the terminal with this command has printed this.
    pub(crate) fn wait_for(&mut self, command: &str, text: &str) {
        let begun = Instant::now();
        loop {
            let said = self.output(command);
            if said.contains(text) {
                say(&format!("  ({:.1} s)", begun.elapsed().as_secs_f32()));
                return;
            }
            let ended = self.find(command).shell.try_wait().expect("bash");
            assert!(ended.is_none(), "{command} has ended:\n{said}");
            assert!(begun.elapsed() < OUTPUT_TIMEOUT, "{command} has not printed {text:?}:\n{said}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the terminal with this command has printed.
    pub(crate) fn output(&mut self, command: &str) -> String {
        read(&self.find(command).log)
    }

    /// Ends the command as Ctrl-C does.
    pub(crate) fn end(&mut self, command: &str) {
        let index = self.others.iter().rposition(|one| one.text.contains(command)).expect("a terminal");
        interrupt(self.others.remove(index));
    }

    /// Ends what goes on and types what takes the stack down, while LocalStack goes on; returns what that has printed.
    pub(crate) fn down(&mut self) -> String {
        for command in ["cargo lambda watch", "cargo demo", "cargo local up"] {
            if self.others.iter().any(|one| one.text.contains(command)) {
                self.end(command);
            }
        }
        self.type_blocks(&section("Taking it down"))
    }

    fn find(&mut self, command: &str) -> &mut Terminal {
        let found = self.others.iter_mut().rev().find(|one| one.text.contains(command));
        found.unwrap_or_else(|| panic!("no terminal with {command}"))
    }

    fn log(&self) -> (PathBuf, File) {
        let count = fs::read_dir(self.folder.path()).expect("a folder").count();
        let log = self.folder.path().join(format!("{count}.log"));
        (log.clone(), File::create(log).expect("a log"))
    }

    fn all_output(&self) -> String {
        let tail = |text: &str| {
            let lines: Vec<&str> = text.lines().collect();
            lines.iter().skip(lines.len().saturating_sub(40)).copied().collect::<Vec<_>>().join("\n")
        };
        self.others.iter().map(|one| format!("\n== {}{}", one.text, tail(&read(&one.log)))).collect()
    }
}

impl Drop for Terminals {
    fn drop(&mut self) {
        while let Some(last) = self.others.pop() {
            interrupt(last);
        }
        // After a failure the emulator may still be up: its process is not a child of any terminal.
        let mut down = shell("cargo local down");
        let _ = down.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// Sends SIGINT to the terminal's processes, as Ctrl-C does, and waits for their end.
fn interrupt(mut terminal: Terminal) {
    let group = format!("-{}", terminal.shell.id());
    for (signal, patience) in [("INT", Duration::from_secs(20)), ("KILL", Duration::from_secs(5))] {
        let _ = Command::new("/bin/kill").args(["-s", signal, "--", &group]).status();
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if !matches!(terminal.shell.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn shell(script: &str) -> Command {
    let mut shell = Command::new("bash");
    shell.args(["-c", script]).current_dir(Toolbox::root()).stdin(Stdio::null()).env_clear();
    shell.envs(KEPT.iter().filter_map(|name| std::env::var_os(name).map(|value| (name, value))));
    shell
}

fn read(log: &PathBuf) -> String {
    String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned()
}
