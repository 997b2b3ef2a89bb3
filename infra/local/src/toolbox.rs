//! The tools that come from PyPI, in a virtual environment of our own: nothing outside the project's folder changes.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::packages::{self, Need};
use crate::problem::Problem;
use crate::progress::step;

/// Pinned: the emulator releases daily, and the versions here are those that the tests ran with.
const REQUIREMENTS: [&str; 3] = ["ministack==1.5.33", "aws-sam-translator==1.115.0", "cargo-lambda==1.9.2"];

/// The virtual environment that they are in.
const ENVIRONMENT: &str = "venv";

/// The project's folder and the tools in it.
#[derive(Debug, Clone)]
pub struct Toolbox {
    root: PathBuf,
}

impl Toolbox {
    /// The top folder of the repository.
    #[must_use]
    pub fn root() -> PathBuf {
        // This crate lies two folders below it.
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_owned()
    }

    /// The folder as it is, whatever may be missing.
    #[must_use]
    pub fn here() -> Self {
        Self { root: Self::root() }
    }

    /// Installs what is missing. At once when nothing is; two processes at a time wait for each other.
    ///
    /// # Errors
    /// When Python has no virtual environments, or PyPI cannot be reached.
    pub fn prepare() -> Result<Self, Problem> {
        let toolbox = Self::here();
        toolbox.install(ENVIRONMENT, &REQUIREMENTS, "the AWS emulator and cargo-lambda")?;
        Ok(toolbox)
    }

    /// Installs `what`, which PyPI knows by these requirements, into a virtual environment of this name, and returns the
    /// folder of its programs. At once when it is there; two processes at a time wait for each other.
    ///
    /// # Errors
    /// When Python has no virtual environments, or PyPI cannot be reached.
    pub fn install(&self, name: &str, requirements: &[&str], what: &str) -> Result<PathBuf, Problem> {
        let _lock = self.lock(name)?;
        let environment = self.state().join(name);
        let (programs, ready) = (environment.join("bin"), environment.join("ready"));
        let wanted = requirements.join("\n");
        if fs::read_to_string(&ready).is_ok_and(|installed| installed == wanted) {
            return Ok(programs);
        }
        let progress = step(&format!("installing {what} into .local/{name} (about a minute)"));
        make_environment(&environment)?;
        let mut pip = Command::new(programs.join("pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(requirements);
        run(&mut pip, "the tools could not be installed from PyPI; is it reachable?")?;
        fs::write(&ready, wanted).map_err(Problem::while_(format!("cannot write {}", ready.display())))?;
        progress.done("tools installed");
        Ok(programs)
    }

    /// Waits until no other process holds the lock of this name; it is held until the file is dropped.
    pub(crate) fn lock(&self, name: &str) -> Result<File, Problem> {
        let path = self.state().join(name).with_extension("lock");
        fs::create_dir_all(self.state())
            .and_then(|()| File::create(&path))
            .and_then(|file| file.lock().map(|()| file))
            .map_err(Problem::while_(format!("cannot lock {}", path.display())))
    }

    /// Takes the lock of this name if no other process holds it.
    pub(crate) fn try_lock(&self, name: &str) -> Result<Option<File>, Problem> {
        let path = self.state().join(name).with_extension("lock");
        let failed = || Problem::while_(format!("cannot lock {}", path.display()));
        let file = File::create(&path).map_err(failed())?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed()(error)),
        }
    }

    /// Where everything lies that is not the project's source: ignored by git, and safe to delete.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join(".local")
    }

    /// The folder of the virtual environment's programs.
    #[must_use]
    pub fn programs(&self) -> PathBuf {
        self.state().join(ENVIRONMENT).join("bin")
    }

    /// A program of the virtual environment.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs().join(name)
    }

    /// Where the deployed stack is written down.
    #[must_use]
    pub fn stack_file(&self) -> PathBuf {
        self.state().join("stack.json")
    }
}

/// Makes a virtual environment, if it is not there.
fn make_environment(folder: &Path) -> Result<(), Problem> {
    let make = || {
        Command::new("python3")
            .args(["-m", "venv"])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if make() {
        return Ok(());
    }
    // Debian keeps the module in a package of its own.
    let missing = || {
        Problem::new(format!(
            "Python 3 with virtual environments is missing. {}",
            packages::advice(Need::Python)
        ))
    };
    let installed = Command::new("sh")
        .args(["-c", "[ \"$(id -u)\" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if installed && make() { Ok(()) } else { Err(missing()) }
}

/// Runs a command to its end; what it printed is shown only when it failed.
pub(crate) fn run(command: &mut Command, advice: &str) -> Result<(), Problem> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(Problem::while_(format!("cannot start {}", command.get_program().display())))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().collect();
    let tail = lines.iter().skip(lines.len().saturating_sub(20)).copied().collect::<Vec<_>>().join("\n");
    Err(Problem::new(format!("{advice}\n{tail}")))
}
