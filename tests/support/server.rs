//! A Postgres of a test's own that is broken on purpose: killed, frozen, cut off, its disk filled.
//!
//! It stands behind a [`Door`], so that its address stays the same. Called by the stories of crashes and by the fault lab.

use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use tidings::base::postgres::{EmbeddedPostgres, Options};

use super::door::Door;

const DATABASE: &str = "tidings";

/// The server; it ends with this value.
pub(crate) struct Server {
    postgres: Option<EmbeddedPostgres>,
    folder: PathBuf,
    /// Where it is reached: shut, jammed and opened by whoever has the server.
    pub(crate) door: Door,
    url: String,
    disk: Option<SmallDisk>,
    // Dropped last: the folder goes when all that stands in it has ended.
    _parent: tempfile::TempDir,
}

impl Server {
    /// A running server with an empty database.
    pub(crate) async fn start() -> Server {
        Server::on(folder(), None).await
    }

    /// The same on a disk of so many megabytes; the reason where this machine lets nobody make one.
    pub(crate) async fn start_small(megabytes: u32) -> Result<Server, String> {
        let parent = folder();
        let disk = SmallDisk::mount(&parent.path().join("disk"), megabytes)?;
        Ok(Server::on(parent, Some(disk)).await)
    }

    async fn on(parent: tempfile::TempDir, disk: Option<SmallDisk>) -> Server {
        let folder = disk.as_ref().map_or(parent.path(), |disk| disk.folder.as_path()).join("postgres");
        let postgres = EmbeddedPostgres::start(&folder, &Options::default()).await.expect("a server");
        postgres.ensure_database(DATABASE).await.expect("a database");
        let mut door = Door::new().await;
        let address = address(&postgres);
        door.open(address).await;
        let url = postgres.url(DATABASE).replace(&address.to_string(), &door.address().to_string());
        Server { postgres: Some(postgres), folder, door, url, disk, _parent: parent }
    }

    /// The address of its database through the door, the same for ever.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where the door leads now.
    pub(crate) fn inside(&self) -> SocketAddr {
        address(self.postgres.as_ref().expect("a running server"))
    }

    /// Whether its processes are there.
    pub(crate) fn lives(&self) -> bool {
        self.postmaster().is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists())
    }

    /// Ends it as a power cut would: nobody comes in meanwhile.
    pub(crate) async fn kill(&mut self) {
        self.door.shut().await;
        if let Some(pid) = self.postmaster() {
            // Gone already: as was wanted.
            let _ = kill(pid, Signal::SIGKILL);
        }
    }

    /// Ends it in order.
    pub(crate) async fn stop(&mut self) {
        self.door.shut().await;
        if let Some(postgres) = self.postgres.take() {
            postgres.stop().await;
        }
    }

    /// Starts it again after its end, and opens the door.
    pub(crate) async fn start_again(&mut self) {
        self.stop().await;
        let postgres = EmbeddedPostgres::start(&self.folder, &Options::default()).await.expect("the server again");
        self.door.open(address(&postgres)).await;
        self.postgres = Some(postgres);
    }

    /// Halts all its processes where they stand.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets them go on as if nothing had been.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Writes until its disk has no byte left.
    pub(crate) fn fill(&self) {
        self.disk.as_ref().expect("a small disk").fill();
    }

    /// Takes that away again.
    pub(crate) fn make_room(&self) {
        fs::remove_file(self.disk.as_ref().expect("a small disk").ballast()).expect("the ballast");
    }

    fn signal(&self, signal: Signal) {
        let postmaster = self.postmaster().expect("a running server");
        let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).expect("its children");
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw);
        for pid in std::iter::once(postmaster).chain(children) {
            // A child may have ended since it was listed.
            let _ = kill(pid, signal);
        }
    }

    fn postmaster(&self) -> Option<Pid> {
        let folder = self.postgres.as_ref()?.folder();
        let file = fs::read_to_string(folder.join("data/postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok().map(Pid::from_raw)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let (Some(pid), Some(_)) = (self.postmaster(), &self.disk) {
            // What is mounted can be taken away only when nobody works on it.
            let _ = kill(pid, Signal::SIGCONT);
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

/// A file system of a few megabytes, in memory; taken away with this value.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    fn mount(folder: &Path, megabytes: u32) -> Result<SmallDisk, String> {
        if !Uid::effective().is_root() {
            return Err("only root may mount the small disk that it needs".to_owned());
        }
        fs::create_dir(folder).expect("a folder");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=755"), "tmpfs"]).arg(folder))?;
        Ok(SmallDisk { folder: folder.to_owned() })
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }

    fn fill(&self) {
        let mut file = File::create(self.ballast()).expect("a file");
        let block = [0; 4096];
        while file.write_all(&block).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is ending may still have a file open.
        let _ = run(Command::new("umount").arg("-l").arg(&self.folder));
    }
}

/// A folder that root's server, which runs as another account, can pass through.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("mode 755");
    folder
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

fn address(server: &EmbeddedPostgres) -> SocketAddr {
    let url = server.url("postgres");
    let host = url.rsplit_once('@').and_then(|(_, rest)| rest.split_once('/')).expect("a host").0;
    host.parse().expect("an address")
}
