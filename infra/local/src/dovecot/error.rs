//! Why there is no mail server.

use std::io;

/// Why there is no mail server.
#[derive(Debug, thiserror::Error)]
pub enum DovecotError {
    /// It is not installed, and cannot be installed from here; says how to install it.
    #[error("Dovecot is missing. {0}")]
    Missing(String),
    /// It could not be installed.
    #[error("Dovecot could not be installed ({command}):\n{output}")]
    Install {
        /// The command that failed.
        command: String,
        /// What it printed last.
        output: String,
    },
    /// It did not come up.
    #[error("Dovecot did not start:\n{log}")]
    Start {
        /// The end of its log.
        log: String,
    },
    /// A file or a port is unavailable.
    #[error("{doing}")]
    System {
        /// What was being done.
        doing: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl DovecotError {
    pub(super) fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::System { doing, source }
    }
}
