//! How a missing program is installed on this system: named, not done, except by root on Debian and Ubuntu.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What this project needs of a system's packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Python 3 with virtual environments.
    Python,
    /// Dovecot with IMAP, LMTP and submission.
    Dovecot,
}

/// A system's package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    Apt,
    Dnf,
    Pacman,
    Brew,
}

impl Manager {
    /// The package manager of this system, by its program.
    fn find() -> Option<Self> {
        let programs: [(Self, &[&str]); 4] = [
            (Self::Apt, &["/usr/bin/apt-get"]),
            (Self::Dnf, &["/usr/bin/dnf"]),
            (Self::Pacman, &["/usr/bin/pacman"]),
            (
                Self::Brew,
                &["/opt/homebrew/bin/brew", "/usr/local/bin/brew", "/home/linuxbrew/.linuxbrew/bin/brew"],
            ),
        ];
        let here = |(_, paths): &(Self, &[&str])| paths.iter().any(|path| Path::new(path).exists());
        programs.into_iter().find(here).map(|(manager, _)| manager)
    }

    /// The command that installs what is needed.
    const fn command(self, need: Need) -> &'static str {
        match (self, need) {
            (Self::Apt, Need::Python) => "apt-get install -y python3-venv",
            (Self::Apt, Need::Dovecot) => {
                "apt-get install -y dovecot-imapd dovecot-lmtpd dovecot-submissiond"
            }
            (Self::Dnf, Need::Python) => "dnf install -y python3",
            // Fedora's package has all of it.
            (Self::Dnf, Need::Dovecot) => "dnf install -y dovecot",
            (Self::Pacman, Need::Python) => "pacman -S --needed python",
            (Self::Pacman, Need::Dovecot) => "pacman -S --needed dovecot",
            (Self::Brew, Need::Python) => "brew install python@3",
            (Self::Brew, Need::Dovecot) => "brew install dovecot",
        }
    }
}

/// A sentence with the command that installs what is needed on this system.
#[must_use]
pub fn advice(need: Need) -> String {
    advice_for(Manager::find(), is_root(), need)
}

fn advice_for(manager: Option<Manager>, root: bool, need: Need) -> String {
    match manager {
        // Homebrew refuses to run as root.
        Some(Manager::Brew) => format!("Type: {}", Manager::Brew.command(need)),
        Some(manager) if root => format!("Type: {}", manager.command(need)),
        Some(manager) => format!("Type: sudo {}", manager.command(need)),
        None => match need {
            Need::Python => "Install Python 3 with its modules venv and pip, such that python3 is on PATH".to_owned(),
            Need::Dovecot => {
                "Install Dovecot 2.3 with IMAP, LMTP and submission, such that dovecot is on PATH or in a usual place"
                    .to_owned()
            }
        },
    }
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    // macOS has no /proc; nobody needs root there.
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_has_its_own_command() {
        for (manager, root, advice) in [
            (Some(Manager::Apt), false, "Type: sudo apt-get install -y python3-venv"),
            (Some(Manager::Apt), true, "Type: apt-get install -y python3-venv"),
            (Some(Manager::Dnf), false, "Type: sudo dnf install -y python3"),
            (Some(Manager::Pacman), false, "Type: sudo pacman -S --needed python"),
            (Some(Manager::Brew), false, "Type: brew install python@3"),
            (None, false, "Install Python 3 with its modules venv and pip, such that python3 is on PATH"),
        ] {
            assert_eq!(advice_for(manager, root, Need::Python), advice);
        }
    }
}
