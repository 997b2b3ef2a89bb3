//! Servers that end with the process that started them, however that one ends.

use std::ffi::OsStr;
use std::io;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to stop when asked, before it is killed.
const STOP_TIME: Duration = Duration::from_secs(5);

/// A child process that is told to stop (SIGTERM) when this value is dropped, and also when this process dies without
/// dropping anything, be it by SIGKILL: its life hangs on a pipe whose other end only this process holds.
#[derive(Debug)]
pub struct ChildProcess(Child);

/// Waits for the pipe to close, then stops what this shell has become.
const KEEPER: &str = r#"exec 3<&0; (read -r _ <&3; kill -TERM $$) 2>/dev/null & exec "$@" 3<&- </dev/null"#;

impl ChildProcess {
    /// Starts `program`. `prepare` sets its environment and where its output goes; standard input is taken.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn<A: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = A>,
        prepare: impl FnOnce(&mut Command),
    ) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(KEEPER).arg("sh").arg(program).args(args);
        prepare(&mut command);
        command.stdin(Stdio::piped()).spawn().map(Self)
    }

    /// The process id of the program itself.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended by itself.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        self.0.try_wait().map(|status| status.is_some())
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let begun = Instant::now();
        while begun.elapsed() < STOP_TIME {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        // If these fail, nothing is left to do here.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
