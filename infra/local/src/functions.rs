//! The functions as Lambda zips, built by cargo-lambda in the quick profile.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::Digest as _;

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
    /// SHA-256 of the binary, in hexadecimal: the zip also carries the time of its making.
    pub digest: String,
}

/// The functions, each ready to be deployed.
#[derive(Debug, Clone)]
pub struct Functions {
    /// The function that polls mailboxes.
    pub fetch: Function,
    /// The function behind the HTTP API.
    pub api: Function,
    /// The function that sends messages.
    pub send: Function,
    /// The function that audits mailboxes.
    pub audit: Function,
}

/// The packages of the functions.
const FUNCTIONS: [&str; 4] = ["fetch", "api", "send", "audit"];

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

/// Builds the functions; takes a second when nothing has changed.
///
/// # Errors
/// When it does not compile: cargo has said why.
pub fn build(toolbox: &Toolbox) -> Result<Functions, Problem> {
    let progress = step("building the functions (some minutes the first time)");
    let [fetch, api, send, audit] = compile(toolbox, FUNCTIONS)?;
    progress.done("functions built");
    Ok(Functions { fetch, api, send, audit })
}

/// Builds the flow of `infra/examples/rust`, as one would that is deployed.
///
/// # Errors
/// When it does not compile: cargo has said why.
pub fn build_flow(toolbox: &Toolbox) -> Result<Function, Problem> {
    let [fetch, api, send, audit] = FUNCTIONS;
    // With the functions: alone, it would have what they share built once more, with fewer features.
    let [.., flow] = compile(toolbox, [fetch, api, send, audit, "example-flow"])?;
    Ok(flow)
}

/// Builds packages, each with a program of its name.
fn compile<const N: usize>(toolbox: &Toolbox, names: [&str; N]) -> Result<[Function; N], Problem> {
    // cargo lets one build at a time into its folder, but not one zip.
    let _lock = toolbox.lock("build")?;
    let root = Toolbox::root();
    let flag = if architecture()? == "arm64" { "--arm64" } else { "--x86-64" };
    let mut command = Command::new(toolbox.program("cargo-lambda"));
    command
        .args(["lambda", "build", "--profile", "quick", flag, "--output-format", "zip"])
        .arg("--locked")
        .args(names.iter().flat_map(|name| ["--package", name]))
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
        return Err(Problem::new("the functions did not compile; see above"));
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let unpacked =
        names.map(|name| unpack(toolbox, name, &target.join("lambda").join(name).join("bootstrap.zip")));
    let functions = unpacked.into_iter().collect::<Result<Vec<_>, _>>()?;
    functions.try_into().map_err(|_| Problem::new("a function is missing after the build"))
}

/// Takes `bootstrap` out of the zip, so that what runs without the emulator is what is deployed to it. Both are moved
/// into place, because what another process is reading must stay whole.
fn unpack(toolbox: &Toolbox, name: &str, built: &Path) -> Result<Function, Problem> {
    let folder = toolbox.state().join(name);
    let fresh = toolbox.state().join(format!("{name}.{}", std::process::id()));
    let doing = format!("cannot write {}", folder.display());
    fs::create_dir_all(&folder).and_then(|()| fs::create_dir_all(&fresh)).map_err(Problem::while_(&doing))?;
    let zip = fresh.join("bootstrap.zip");
    fs::copy(built, &zip).map_err(Problem::while_(format!("cannot copy {}", built.display())))?;
    let mut python = Command::new(toolbox.program("python3"));
    python.args(["-m", "zipfile", "-e"]).arg(&zip).arg(&fresh);
    run(&mut python, "the zip that cargo-lambda built cannot be read; delete target/lambda and try again")?;

    let binary = fresh.join("bootstrap");
    let bytes = fs::read(&binary).map_err(Problem::while_(format!("cannot read {}", binary.display())))?;
    let function = Function {
        zip: folder.join("bootstrap.zip"),
        binary: folder.join("bootstrap"),
        digest: hex::encode(sha2::Sha256::digest(bytes)),
    };
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755))
        .and_then(|()| fs::rename(&zip, &function.zip))
        .and_then(|()| fs::rename(&binary, &function.binary))
        .and_then(|()| fs::remove_dir_all(&fresh))
        .map_err(Problem::while_(doing))?;
    Ok(function)
}
