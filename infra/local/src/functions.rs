//! The functions as Lambda zips, built by cargo-lambda in the quick profile.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::problem::Problem;
use crate::progress::step;
use crate::toolbox::{Toolbox, run};

/// A function that is ready to be deployed.
#[derive(Debug, Clone)]
pub struct Function {
    /// The zip that Lambda takes, with `bootstrap` in it.
    pub zip: PathBuf,
    /// The same `bootstrap`, taken out of the zip.
    pub binary: PathBuf,
}

/// The architecture of this machine, as Lambda names it: the emulator runs functions as they are.
///
/// # Errors
/// On a machine that Lambda has no architecture for.
pub fn architecture() -> Result<&'static str, Problem> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("x86_64"),
        "aarch64" => Ok("arm64"),
        other => Err(Problem::new(format!("Lambda runs on x86_64 and arm64, and this machine is {other}"))),
    }
}

/// Builds the fetch function; takes a second when nothing has changed.
///
/// # Errors
/// When it does not compile: cargo has said why.
pub fn build_fetch(toolbox: &Toolbox) -> Result<Function, Problem> {
    let progress = step("building the fetch function (some minutes the first time)");
    let root = Toolbox::root();
    let flag = if architecture()? == "arm64" { "--arm64" } else { "--x86-64" };
    let mut command = Command::new(toolbox.program("cargo-lambda"));
    command
        .args(["lambda", "build", "--profile", "quick", flag, "--output-format", "zip"])
        .args(["--package", "fetch", "--locked"])
        .current_dir(&root)
        .stdin(Stdio::null());
    // zig, which links, is a program of the same environment.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut paths = vec![toolbox.state().join("venv/bin")];
    paths.extend(std::env::split_paths(&path));
    if let Ok(path) = std::env::join_paths(paths) {
        command.env("PATH", path);
    }
    // What cargo tells the program that it runs would make build scripts run again in the build inside it.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let of_the_outer_build =
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO_BIN_NAME";
        if of_the_outer_build {
            command.env_remove(name);
        }
    }
    let status = command.status().map_err(Problem::while_("cannot start cargo-lambda"))?;
    if !status.success() {
        return Err(Problem::new("the fetch function did not compile; see above"));
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let function = unpack(toolbox, target.join("lambda/fetch/bootstrap.zip"))?;
    progress.done("fetch function built");
    Ok(function)
}

/// Takes `bootstrap` out of the zip, so that what runs without the emulator is what is deployed to it.
fn unpack(toolbox: &Toolbox, zip: PathBuf) -> Result<Function, Problem> {
    let folder = toolbox.state().join("fetch");
    let binary = folder.join("bootstrap");
    let newer = |a: &Path, b: &Path| {
        let time = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
        time(a).is_some_and(|a| time(b).is_some_and(|b| a > b))
    };
    if !newer(&binary, &zip) {
        // A function that still runs keeps the file that it was started from.
        let fresh = toolbox.state().join(format!("fetch.{}", std::process::id()));
        let mut python = Command::new(toolbox.program("python3"));
        python.args(["-m", "zipfile", "-e"]).arg(&zip).arg(&fresh);
        run(
            &mut python,
            "the zip that cargo-lambda built cannot be read; delete target/lambda and try again",
        )?;
        let unpacked = fresh.join("bootstrap");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&unpacked, mode)
            .and_then(|()| fs::create_dir_all(&folder))
            .and_then(|()| fs::rename(&unpacked, &binary))
            .and_then(|()| fs::remove_dir_all(&fresh))
            .map_err(Problem::while_(format!("cannot write {}", binary.display())))?;
        // The zip's own time was given to the file.
        let _ = fs::File::open(&binary).and_then(|file| file.set_modified(std::time::SystemTime::now()));
    }
    Ok(Function { zip, binary })
}
