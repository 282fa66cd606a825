//! The mail catcher: takes every mail over SMTP and shows it in a web inbox, both on loopback.
//!
//! Owns a folder of `.eml` files with an index, so that the next run shows them again. Nothing leaves the machine.
//! Called by the demo, and by tests that want a real SMTP server.

mod inbox;
mod mailbox;
mod reading;
mod smtp;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::base::clock::Clock;

pub use mailbox::{Entry, Mailbox, Query};

/// A running catcher; it ends when it is dropped.
#[derive(Debug)]
pub struct Catcher {
    /// Where SMTP is spoken.
    pub smtp: SocketAddr,
    /// Where the inbox is shown.
    pub inbox: SocketAddr,
    /// What was caught.
    pub mailbox: Arc<Mailbox>,
    // Aborted when dropped.
    _servers: JoinSet<()>,
}

/// The ports to listen on; 0 stands for any that is free.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ports {
    /// Of the SMTP server.
    pub smtp: u16,
    /// Of the inbox.
    pub inbox: u16,
}

impl Catcher {
    /// Opens the folder with what earlier runs caught, and listens on loopback.
    pub async fn start(folder: &Path, ports: Ports, clock: Arc<dyn Clock>) -> io::Result<Catcher> {
        let mailbox = Mailbox::open(folder, clock)?;
        let smtp = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.smtp)).await?;
        let inbox = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.inbox)).await?;
        let (smtp_at, inbox_at) = (smtp.local_addr()?, inbox.local_addr()?);
        let mut servers = JoinSet::new();
        servers.spawn(smtp::serve(smtp, Arc::clone(&mailbox)));
        let pages = inbox::router(Arc::clone(&mailbox), smtp_at);
        servers.spawn(async move {
            if let Err(error) = axum::serve(inbox, pages).await {
                tracing::error!(%error, "the inbox of the mail catcher ended");
            }
        });
        Ok(Catcher { smtp: smtp_at, inbox: inbox_at, mailbox, _servers: servers })
    }

    /// The relay to configure so that mails come here.
    pub fn relay_url(&self) -> String {
        format!("smtp://{}?tls=none", self.smtp)
    }

    /// The address of the inbox, for a browser.
    pub fn inbox_url(&self) -> String {
        format!("http://{}", self.inbox)
    }
}
