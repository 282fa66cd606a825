//! `tidings serve` as a process of its own, and questions to its pages over a real connection.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Worker, until};

/// The process, and where its pages are.
pub(crate) struct Served {
    /// The process: it plans and sends too.
    pub(crate) worker: Worker,
    at: SocketAddr,
}

impl Served {
    /// Starts `command`, its log in the file `log`, and waits until it listens.
    pub(crate) async fn start(command: Command, log: PathBuf) -> Served {
        let worker = Worker::start(command, log);
        until("it listens", || listens(&worker).is_some()).await;
        let at = listens(&worker).expect("an address");
        Served { worker, at }
    }

    /// Asks for a page: the status, and all that came.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let kind = "Content-Type: application/x-www-form-urlencoded";
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: tips.example.org\r\nConnection: close\r\n{kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.at).await.expect("the server");
        stream.write_all(request.as_bytes()).await.expect("a question that is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer in UTF-8");
        (answer.get(9..12).and_then(|status| status.parse().ok()).expect("a status"), answer)
    }
}

fn listens(worker: &Worker) -> Option<SocketAddr> {
    let said = worker.said();
    said.split_once("tidings serves http://")?.1.lines().next()?.trim().parse().ok()
}
