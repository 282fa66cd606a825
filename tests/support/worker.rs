//! A `tidings worker` as a process of its own: killed, halted and asked to end by real signals, with its log kept.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

/// The process. It is killed when this value is dropped.
pub(crate) struct Worker {
    child: Child,
    log: PathBuf,
}

impl Worker {
    /// Starts `command`, its log in the file `log`.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Worker {
        let file = File::create(&log).expect("a log");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().expect("a worker");
        Worker { child, log }
    }

    /// Ends it as a power cut would; what it had logged until then.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("its end");
        self.said()
    }

    /// Asks it to end, as a deploy does.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Halts it where it stands.
    pub(crate) fn halt(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on as if nothing had been.
    pub(crate) fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_some()
    }

    /// Its end, waited for.
    pub(crate) async fn ends_within(&mut self, patience: Duration) -> ExitStatus {
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().expect("its state") {
                    return status;
                }
                // Between two looks at a process of the standard library, which cannot be awaited; the caller sets the limit.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let ended = tokio::time::timeout(patience, ended).await;
        ended.unwrap_or_else(|_| panic!("the worker did not end within {patience:?}; it said:\n{}", self.said()))
    }

    /// What it has logged.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).expect("its log")
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a number"));
        signal::kill(pid, signal).expect("a signal");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // One that ended or was killed takes no harm.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
