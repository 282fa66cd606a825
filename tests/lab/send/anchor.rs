//! The anchors: Postfix's smtp-source and smtp-sink, in C, without a database and without templates. Tools of Debian's package `postfix`.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::time::Instant;

/// A running smtp-sink; it takes every mail and forgets it.
pub(crate) struct Sink {
    child: Child,
    /// Its address.
    pub(crate) address: String,
}

impl Sink {
    /// Starts one on a free port of the loopback.
    pub(crate) async fn start() -> anyhow::Result<Sink> {
        // Free a moment ago; nobody else here asks for one.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let mut command = Command::new(tool("smtp-sink")?);
        // As root it wants an account to become; it writes no file.
        if nix::unistd::geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        let child = command.args([&address, "256"]).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let sink = Sink { child, address };
        for _ in 0..100 {
            if tokio::net::TcpStream::connect(&sink.address).await.is_ok() {
                return Ok(sink);
            }
            // Between two tries: it says nothing when it listens.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("smtp-sink does not answer at {}", sink.address)
    }

    /// Its URL as a relay.
    pub(crate) fn url(&self) -> String {
        format!("smtp://{}?tls=none", self.address)
    }

    /// Mails a second that smtp-source hands over to it, of `bytes` bytes each.
    pub(crate) async fn source(&self, mails: usize, connections: usize, bytes: usize) -> anyhow::Result<f64> {
        let mut command = tokio::process::Command::new(tool("smtp-source")?);
        command.args(["-d", "-f", "a@example.org", "-t", "b@example.org"]);
        command.arg("-s").arg(connections.to_string()).arg("-m").arg(mails.to_string()).arg("-l").arg(bytes.to_string()).arg(&self.address);
        let began = Instant::now();
        let status = command.stdin(Stdio::null()).status().await?;
        let took = began.elapsed().as_secs_f64();
        anyhow::ensure!(status.success(), "smtp-source ended with {status}");
        Ok(mails as f64 / took)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tool(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = folders.map(|folder| folder.join(name)).find(|file| Path::is_file(file));
    found.with_context(|| format!("`{name}` is missing: it comes with Debian's package `postfix`, whose service need not run"))
}
