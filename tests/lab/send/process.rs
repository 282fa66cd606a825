//! A process under the stopwatch: its processor time along the clock and the most memory that it had.
//!
//! Read from `/proc` twenty times a second, so a figure of some seconds is true to about a hundredth.

use std::{
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Context;
use jiff::Timestamp;
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use tidings::base::clock::{Clock, SystemClock};

/// Ticks of processor time in a second, on every Linux that Rust builds for.
const TICKS: f64 = 100.0;
const LOOK: Duration = Duration::from_millis(50);

/// The process while it runs. Killed when this value is dropped.
pub(crate) struct Watched {
    child: Arc<Mutex<Child>>,
    watching: Option<JoinHandle<Seen>>,
}

/// What was seen of a process that ended.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    looks: Vec<(Timestamp, f64)>,
    /// The most memory that it had at once, in MB.
    pub(crate) peak: f64,
    /// Whether it ended well.
    pub(crate) well: bool,
}

impl Watched {
    /// Starts `command`, its standard error into the file `log`.
    pub(crate) fn start(mut command: Command, log: &std::path::Path) -> anyhow::Result<Watched> {
        let log = std::fs::File::create(log)?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().with_context(|| format!("{command:?}"))?;
        let pid = child.id();
        let child = Arc::new(Mutex::new(child));
        let watching = std::thread::spawn({
            let child = child.clone();
            move || watch(&child, pid)
        });
        Ok(Watched { child, watching: Some(watching) })
    }

    /// Asks it to end, as a deploy does.
    pub(crate) fn terminate(&self) {
        let pid = self.child.lock().unwrap_or_else(PoisonError::into_inner).id();
        // An error: it has ended already.
        let _ = signal::kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> anyhow::Result<Seen> {
        let watching = self.watching.take().context("a process is waited for once")?;
        let seen = tokio::task::spawn_blocking(move || watching.join()).await?;
        seen.map_err(|_| anyhow::anyhow!("the watch of a process failed"))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }
}

impl Seen {
    /// Processor seconds between two instants.
    pub(crate) fn seconds_between(&self, from: Timestamp, to: Timestamp) -> f64 {
        self.at(to) - self.at(from)
    }

    fn at(&self, instant: Timestamp) -> f64 {
        let after = self.looks.partition_point(|(at, _)| *at <= instant);
        match (after.checked_sub(1).map(|i| self.looks[i]), self.looks.get(after)) {
            (Some((before, spent)), Some(&(next, more))) => {
                let share =
                    (instant - before).get_milliseconds() as f64 / (next - before).total(jiff::Unit::Millisecond).unwrap_or(1.0).max(1.0);
                spent + (more - spent) * share.clamp(0.0, 1.0)
            }
            (Some((_, spent)), None) => spent,
            (None, _) => 0.0,
        }
    }
}

fn watch(child: &Mutex<Child>, pid: u32) -> Seen {
    let mut seen = Seen::default();
    loop {
        // Before the look: of a process that is waited for, /proc knows nothing more.
        let ended = child.lock().unwrap_or_else(PoisonError::into_inner).try_wait();
        if let Ok(Some(status)) = ended {
            return Seen { well: status.success(), ..seen };
        }
        if let Some(spent) = processor_time(pid) {
            seen.looks.push((SystemClock.now(), spent));
        }
        seen.peak = peak(pid).unwrap_or(0.0).max(seen.peak);
        // Between two looks: /proc tells nobody of what a process spends.
        std::thread::sleep(LOOK);
    }
}

fn processor_time(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold blanks; the fields are counted from behind it: utime and stime are the 14th and 15th of all (proc(5)).
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    Some(ticks / TICKS)
}

fn peak(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}
