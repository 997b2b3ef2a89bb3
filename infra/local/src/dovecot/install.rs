//! Finds Dovecot, or installs it from Debian where we are root.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::DovecotError;
use crate::packages::{self, Need};

/// Where the program is: on Linux, where Debian, Fedora and Arch agree, and where Homebrew puts it.
const PROGRAMS: [&str; 4] = [
    "/usr/sbin/dovecot",
    "/opt/homebrew/sbin/dovecot",
    "/usr/local/sbin/dovecot",
    "/home/linuxbrew/.linuxbrew/sbin/dovecot",
];

/// What has to be installed beside the program.
const PARTS: [&str; 3] = ["imap", "lmtp", "submission"];

/// Where those are, seen from the program's folder: Debian and Arch, and Fedora and Homebrew.
const PART_FOLDERS: [&str; 2] = ["../lib/dovecot", "../libexec/dovecot"];

/// Debian asks this script whether a package may start its services: we run an instance of our own.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Says where Dovecot is, after installing it if need be and allowed.
///
/// # Errors
/// When it is not there and cannot be installed; says which command would.
pub fn ensure_installed() -> Result<PathBuf, DovecotError> {
    if let Some(program) = installed() {
        return Ok(program);
    }
    let root = packages::is_root();
    if !root || !Path::new("/usr/bin/apt-get").exists() {
        return Err(DovecotError::Missing(packages::advice(Need::Dovecot)));
    }
    let lock = File::create(std::env::temp_dir().join("mailroom-install.lock"))
        .and_then(|file| file.lock().map(|()| file))
        .map_err(DovecotError::system("cannot take the lock of the installation"))?;
    // Another process may have done it while we waited.
    if installed().is_none() {
        let _no_services = Policy::forbid()?;
        if apt_get(&["install"]).is_err() {
            apt_get(&["update"])?;
            apt_get(&["install"])?;
        }
    }
    drop(lock);
    installed().ok_or_else(|| DovecotError::Missing(packages::advice(Need::Dovecot)))
}

/// The program, where all that is needed is installed.
fn installed() -> Option<PathBuf> {
    let complete = |program: &Path| {
        let Some(folder) = program.parent() else { return false };
        let has_parts = |parts: &str| PARTS.iter().all(|part| folder.join(parts).join(part).exists());
        program.exists() && PART_FOLDERS.into_iter().any(has_parts)
    };
    PROGRAMS.into_iter().map(PathBuf::from).find(|program| complete(program))
}

fn apt_get(verb: &[&str]) -> Result<(), DovecotError> {
    let mut command = Command::new("/usr/bin/apt-get");
    command.args(["-q", "-y", "-o", "DPkg::Lock::Timeout=300", "--no-install-recommends"]).args(verb);
    if verb == ["install"] {
        command.args(["dovecot-imapd", "dovecot-lmtpd", "dovecot-submissiond"]);
    }
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(std::process::Stdio::null());
    let output = command.output().map_err(DovecotError::system("cannot start apt-get"))?;
    if output.status.success() {
        return Ok(());
    }
    let text =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().collect();
    Err(DovecotError::Install {
        command: format!("apt-get {}", verb.join(" ")),
        output: lines.iter().skip(lines.len().saturating_sub(15)).copied().collect::<Vec<_>>().join("\n"),
    })
}

/// A policy that forbids starting services, in place of whatever was there, until it is dropped.
struct Policy {
    before: Option<(Vec<u8>, fs::Permissions)>,
}

impl Policy {
    fn forbid() -> Result<Self, DovecotError> {
        let before = match (fs::read(POLICY), fs::metadata(POLICY)) {
            (Ok(text), Ok(metadata)) => Some((text, metadata.permissions())),
            _ => None,
        };
        let policy = Self { before };
        fs::write(POLICY, "#!/bin/sh\nexit 101\n")
            .and_then(|()| fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)))
            .map_err(DovecotError::system(format!("cannot write {POLICY}")))?;
        Ok(policy)
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        // What cannot be restored was not ours to begin with; the installation counts.
        let _ = match &self.before {
            Some((text, permissions)) => {
                fs::write(POLICY, text).and_then(|()| fs::set_permissions(POLICY, permissions.clone()))
            }
            None => fs::remove_file(POLICY),
        };
    }
}
