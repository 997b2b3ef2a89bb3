//! Programs that come from Debian.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

/// Installs packages whose programs are missing, where we are root.
///
/// # Panics
/// When the programs are missing all the same; says which command installs them.
pub fn ensure_installed(programs: &[&str], packages: &[&str]) {
    let is_there = || programs.iter().all(|program| Path::new(program).exists());
    if is_there() {
        return;
    }
    let lock = File::create(std::env::temp_dir().join("mailroom-install.lock")).expect("a lock");
    lock.lock().expect("a lock");
    let apt_get = |verb: &str, packages: &[&str]| {
        let mut command = Command::new("/usr/bin/apt-get");
        command
            .args(["-q", "-y", "-o", "DPkg::Lock::Timeout=300", "--no-install-recommends", verb])
            .args(packages);
        let output = command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).output();
        output.is_ok_and(|output| output.status.success())
    };
    // Another process may have done it while we waited.
    if !is_there() && !apt_get("install", packages) {
        let _ = apt_get("update", &[]) && apt_get("install", packages);
    }
    assert!(is_there(), "{programs:?} are missing. Type: sudo apt-get install {}", packages.join(" "));
}
