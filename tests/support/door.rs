//! A port that stays the same while what stands behind it comes and goes: a relay that starts late, a Postgres that restarts,
//! a line that is cut and healed.
//!
//! Shut, it refuses connections, as a machine does on which nothing listens. Jammed, it takes them and passes nothing on, as a
//! network does that swallows packets; what waited goes on when it is freed.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The port. It is shut at first, and for good when this value is dropped.
pub(crate) struct Door {
    address: SocketAddr,
    open: Option<JoinHandle<()>>,
    jam: watch::Sender<bool>,
}

impl Door {
    /// A free loopback port.
    pub(crate) async fn new() -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Door { address: listener.local_addr().expect("its address"), open: None, jam: watch::Sender::new(false) }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets connections through to `inside`.
    pub(crate) async fn open(&mut self, inside: SocketAddr) {
        self.shut().await;
        let listener = TcpListener::bind(self.address).await.expect("the port is still ours");
        let jammed = self.jam.subscribe();
        self.open = Some(tokio::spawn(async move {
            // In the listener's task, so that they end with it.
            let mut guests = tokio::task::JoinSet::new();
            while let Ok((guest, _)) = listener.accept().await {
                guests.spawn(lead(guest, inside, jammed.clone()));
                while guests.try_join_next().is_some() {}
            }
        }));
    }

    /// From now on nothing passes, in either direction; connections stay, and new ones are taken and not answered.
    pub(crate) fn jam(&self) {
        self.jam.send_replace(true);
    }

    /// Lets what waited pass, and all that comes.
    pub(crate) fn free(&self) {
        self.jam.send_replace(false);
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

async fn lead(guest: TcpStream, inside: SocketAddr, mut jammed: watch::Receiver<bool>) {
    // Err: the door is gone, and so is this task.
    let _ = jammed.wait_for(|jammed| !jammed).await;
    let Ok(host) = TcpStream::connect(inside).await else { return };
    // Without it small writes wait for acknowledgements. Either side may be gone already.
    let _ = (guest.set_nodelay(true), host.set_nodelay(true));
    let ((guest_in, guest_out), (host_in, host_out)) = (guest.into_split(), host.into_split());
    tokio::join!(pass(guest_in, host_out, jammed.clone()), pass(host_in, guest_out, jammed));
}

async fn pass(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, mut jammed: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        // Looked at between reading and writing, so that no byte that came after the jam gets through.
        let _ = jammed.wait_for(|jammed| !jammed).await;
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            // Whoever waits on the other side is told; it may be gone.
            let _ = to.shutdown().await;
            return;
        }
    }
}
