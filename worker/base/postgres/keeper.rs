//! The processes: `initdb`, and the server under a shell that ends it when we end.
//!
//! Owns the trick that works for SIGKILL too: the shell reads from a pipe whose other end only we hold.
//! Called by `base::postgres`, with the log's lock in hand.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::binaries::Binaries;
use super::error::on;
use super::place::{Held, Place, Running};
use super::{GLANCE, Options, PostgresError, ROLE};

/// `$1` the signal that ends the server, `$2` a folder to remove afterwards or nothing, then the server's command line.
/// The reader stands beside the server and not before it, so that the shell ends when the server ends by itself.
const SHELL: &str = r#"signal=$1 folder=$2; shift 2
exec 3<&0 </dev/null
"$@" 3<&- & server=$!
{ read -r _ <&3; kill -s "$signal" $server; } 2>/dev/null & reader=$!
exec 3<&-
wait $server; ended=$?
kill $reader 2>/dev/null
if [ -n "$folder" ]; then cd /; rm -rf "$folder"; fi
exit $ended"#;

/// Between choosing a free port and listening on it somebody else may take it.
const PORTS_TRIED: usize = 5;

/// The shell that keeps a server. Dropped, it ends the server without waiting for its end.
#[derive(Debug)]
pub(super) struct Keeper {
    shell: Child,
}

impl Keeper {
    /// Closes the pipe and waits until the server has ended.
    pub(super) fn end(mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }

    fn ended(&mut self) -> bool {
        !matches!(self.shell.try_wait(), Ok(None))
    }
}

/// Makes the data folder, aside first, so that one that was broken off is never taken for a whole one.
pub(super) async fn initdb(binaries: &Binaries, place: &Place, options: &Options) -> Result<(), PostgresError> {
    let aside = place.file("data.new");
    let mut said = String::new();
    // Systems without C.UTF-8 have C, which sorts the same way.
    for locale in ["C.UTF-8", "C"] {
        let mut command = initdb_command(binaries, place, &aside, locale, options);
        let output = tokio::process::Command::from(command_in(&mut command, place)).kill_on_drop(true).output().await;
        let output = output.map_err(on("run", &binaries.program("initdb")))?;
        if output.status.success() {
            let data = place.data();
            return fs::rename(&aside, &data).map_err(on("made", &data));
        }
        said = last_words(&String::from_utf8_lossy(&output.stderr));
        if !said.contains("locale") {
            break;
        }
    }
    Err(PostgresError::Initdb { folder: place.folder.clone(), said })
}

/// Starts the server on a free loopback port and waits until it is ready.
pub(super) async fn start(binaries: &Binaries, place: &Place, held: Held, options: &Options) -> Result<(Keeper, Running), PostgresError> {
    let mut said = String::new();
    for _ in 0..PORTS_TRIED {
        let log_before = place.file("server.log").metadata().map_or(0, |m| m.len());
        let mut keeper = spawn(binaries, place, &held, free_port(place)?, options)?;
        match ready(&mut keeper, place).await? {
            Some(running) => return Ok((keeper, running)),
            None => said = log_since(place, log_before),
        }
        if !said.contains("ddress already in use") {
            break;
        }
    }
    Err(PostgresError::DidNotStart { folder: place.folder.clone(), said: last_words(&said) })
}

fn initdb_command(binaries: &Binaries, place: &Place, aside: &Path, locale: &str, options: &Options) -> Command {
    let mut command = place.account.command(&binaries.program("initdb"));
    command.arg("-D").arg(aside).args(["-U", ROLE, "-A", "scram-sha-256", "-E", "UTF8", "--no-instructions"]);
    command.arg(format!("--locale={locale}")).arg("--pwfile").arg(place.file("password"));
    if options.disposable {
        command.arg("--no-sync");
    }
    command
}

fn command_in(command: &mut Command, place: &Place) -> Command {
    let mut command = std::mem::replace(command, Command::new(""));
    command.current_dir(&place.folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn spawn(binaries: &Binaries, place: &Place, held: &Held, port: u16, options: &Options) -> Result<Keeper, PostgresError> {
    let log = place.file("server.log");
    let output = || held.0.try_clone().map_err(on("opened", &log));
    let shell = Path::new("/bin/sh");
    let mut command = place.account.command(shell);
    command.args(["-c", SHELL, "sh"]).arg(if options.disposable { "QUIT" } else { "INT" });
    command.arg(if options.disposable { place.folder.as_path() } else { Path::new("") });
    command.arg(binaries.program("postgres")).arg("-D").arg(place.data()).arg("-p").arg(port.to_string());
    for setting in settings(options) {
        command.arg("-c").arg(setting);
    }
    // A process group of its own: Ctrl-C reaches only us, and we end the server in our own order.
    command.current_dir(&place.folder).process_group(0).stdin(Stdio::piped()).stdout(output()?).stderr(output()?);
    Ok(Keeper { shell: command.spawn().map_err(on("run", shell))? })
}

fn settings(options: &Options) -> Vec<String> {
    // Loopback with a password only; no socket, whose path may be at most 107 bytes long.
    let mut settings: Vec<String> =
        ["listen_addresses=127.0.0.1", "unix_socket_directories=", "timezone=UTC", "log_timezone=UTC", "logging_collector=off"]
            .map(String::from)
            .into();
    settings.extend(options.max_connections.map(|n| format!("max_connections={n}")));
    if options.disposable {
        let fast = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0"];
        settings.extend(fast.map(String::from));
    }
    settings
}

async fn ready(keeper: &mut Keeper, place: &Place) -> Result<Option<Running>, PostgresError> {
    loop {
        if keeper.ended() {
            return Ok(None);
        }
        if let Some(running) = place.running()? {
            return Ok(Some(running));
        }
        // Between two looks at the server's own file: it tells nobody when it is written. The start as a whole has a limit.
        tokio::time::sleep(GLANCE).await;
    }
}

fn free_port(place: &Place) -> Result<u16, PostgresError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(on("given a port on 127.0.0.1", &place.folder))
}

fn log_since(place: &Place, position: u64) -> String {
    let bytes = fs::read(place.file("server.log")).unwrap_or_default();
    let start = usize::try_from(position).unwrap_or(0).min(bytes.len());
    String::from_utf8_lossy(&bytes[start..]).into_owned()
}

/// The line that names the cause: the last that is an error, else the last at all.
fn last_words(said: &str) -> String {
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty()).rev();
    let last = lines.clone().next().unwrap_or("nothing");
    let cause = lines.find(|line| ["FATAL:", "PANIC:", "ERROR:", "error:"].iter().any(|mark| line.contains(mark)));
    cause.unwrap_or(last).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_the_cause_and_not_the_hint_after_it() {
        let said = "LOG:  starting\nFATAL:  could not create lock file\nHINT:  Is another one running?\n";
        assert_eq!(last_words(said), "FATAL:  could not create lock file");
        assert_eq!(last_words("one\ntwo\n\n"), "two");
        assert_eq!(last_words(""), "nothing");
    }
}
