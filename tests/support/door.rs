//! A port that stays the same while what stands behind it comes and goes: a relay that starts late, a Postgres that restarts.
//!
//! Shut, it refuses connections, as a machine does on which nothing listens.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The port. It is shut at first, and for good when this value is dropped.
pub(crate) struct Door {
    address: SocketAddr,
    open: Option<JoinHandle<()>>,
}

impl Door {
    /// A free loopback port.
    pub(crate) async fn new() -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Door { address: listener.local_addr().expect("its address"), open: None }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets connections through to `inside`.
    pub(crate) async fn open(&mut self, inside: SocketAddr) {
        self.shut().await;
        let listener = TcpListener::bind(self.address).await.expect("the port is still ours");
        self.open = Some(tokio::spawn(async move {
            // In the listener's task, so that they end with it.
            let mut guests = tokio::task::JoinSet::new();
            while let Ok((guest, _)) = listener.accept().await {
                guests.spawn(lead(guest, inside));
                while guests.try_join_next().is_some() {}
            }
        }));
    }

    /// Refuses connections from now on and ends those there are.
    pub(crate) async fn shut(&mut self) {
        if let Some(open) = self.open.take() {
            open.abort();
            // Cancelled, as was asked.
            let _ = open.await;
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(open) = &self.open {
            open.abort();
        }
    }
}

async fn lead(mut guest: TcpStream, inside: SocketAddr) {
    let Ok(mut host) = TcpStream::connect(inside).await else { return };
    // Without it small writes wait for acknowledgements. Either side may be gone already.
    let _ = (guest.set_nodelay(true), host.set_nodelay(true));
    let _ = tokio::io::copy_bidirectional(&mut guest, &mut host).await;
}
