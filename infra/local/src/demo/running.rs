//! Which demo runs on this machine, so that other commands find it and a second one is refused.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::emulator;
use crate::problem::Problem;
use crate::stack::Stack;
use crate::toolbox::Toolbox;

/// The address of the demo's mailbox.
pub(super) const LOGIN: &str = "support@example.com";

/// Who writes to it, and is answered: another mailbox of the same server.
pub(super) const ANN: &str = "ann@example.org";

/// A running demo: `.local/demo.json`.
#[derive(Serialize, Deserialize)]
pub(super) struct Running {
    /// Where its mail server takes messages.
    pub(super) lmtp: SocketAddr,
    pub(super) login: String,
}

impl Running {
    pub(super) fn file() -> PathBuf {
        Toolbox::here().state().join("demo.json")
    }

    /// The demo that runs here, if one does.
    pub(super) fn find() -> Option<Self> {
        let running: Self = serde_json::from_str(&fs::read_to_string(Self::file()).ok()?).ok()?;
        TcpStream::connect_timeout(&running.lmtp, Duration::from_secs(1)).is_ok().then_some(running)
    }

    pub(super) fn save(&self) -> Result<(), Problem> {
        let file = Self::file();
        let text = serde_json::to_string(self).map_err(Problem::while_("cannot describe the demo"))?;
        fs::write(&file, text).map_err(Problem::while_(format!("cannot write {}", file.display())))
    }
}

/// `cargo local up` starts no emulator beside the one of a demo.
///
/// # Errors
/// When a stack is up that `up` has not started.
pub(crate) fn refuse_a_second(toolbox: &Toolbox) -> Result<(), Problem> {
    match Stack::load(&toolbox.stack_file()) {
        Ok(stack) if emulator::at(&stack.endpoint).is_ok() => Err(Problem::new(format!(
            "a stack is up at {}; end the demo that runs there, or type: cargo local down",
            stack.endpoint
        ))),
        Ok(_) | Err(_) => Ok(()),
    }
}
