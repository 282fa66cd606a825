//! A small server that speaks https on loopback and says what a test wants, with every request kept.
//!
//! It ends with this value. Called by the stories of feeds.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use tidings::base::{fetch::reach::Reach, network::Networks, trust::Roots};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::certificate;

/// What the server does with a request.
pub(crate) enum Reply {
    /// Sends these bytes, then ends the connection.
    Say(Vec<u8>),
    /// Sends these bytes, then keeps the connection open without another word.
    SayAndWait(Vec<u8>),
}

/// The server.
pub(crate) struct HttpsServer {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl HttpsServer {
    /// Starts one; `answer` is given the path and the whole head of each request.
    pub(crate) async fn start(answer: impl Fn(&str, &str) -> Reply + Send + Sync + 'static) -> HttpsServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let (heads, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let seen = heads.clone();
        let serving = tokio::spawn(async move {
            let mut guests = tokio::task::JoinSet::new();
            while let Ok((guest, _)) = listener.accept().await {
                let (seen, answer) = (seen.clone(), answer.clone());
                guests.spawn(async move {
                    // A guest that turns away at our certificate is seen by the test at its other end.
                    let Ok(mut stream) = certificate::acceptor().accept(guest).await else { return };
                    let Some(head) = head(&mut stream).await else { return };
                    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    let reply = answer(&path, &head);
                    seen.lock().expect("no holder panics").push(head);
                    let (bytes, wait) = match reply {
                        Reply::Say(bytes) => (bytes, false),
                        Reply::SayAndWait(bytes) => (bytes, true),
                    };
                    // Whoever has heard enough may be gone already.
                    let _ = stream.write_all(&bytes).await;
                    let _ = stream.flush().await;
                    if wait {
                        std::future::pending::<()>().await;
                    }
                    let _ = stream.shutdown().await;
                });
            }
        });
        HttpsServer { port, heads, serving }
    }

    /// An address on it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// The heads of all requests so far, in their order.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no holder panics").clone()
    }
}

impl Drop for HttpsServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What a test may reach: loopback, under the name of the certificate, beside these other names.
pub(crate) fn reach(names: &[(&str, &[&str])]) -> Reach {
    let address = |address: &&str| address.parse::<IpAddr>().expect("an address");
    let mut known: HashMap<String, Vec<IpAddr>> =
        names.iter().map(|(name, addresses)| ((*name).to_owned(), addresses.iter().map(address).collect())).collect();
    known.insert("localhost".to_owned(), vec![Ipv4Addr::LOCALHOST.into()]);
    let loopback = Networks::parse(&["127.0.0.1".to_owned()]).expect("a network");
    Reach::for_tests(known, loopback, Roots::These(vec![certificate::der()]))
}

/// A whole answer.
pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    Reply::Say([head.as_bytes(), body].concat())
}

async fn head(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}
