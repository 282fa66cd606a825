//! Opening a session: TCP, TLS or STARTTLS, greeting and EHLO, login; each within its deadline.

use super::super::{
    ConnectError, Fault, RelayError, Roots,
    starttls::{self, Clear},
    tls::Client,
    url::{Server, Tls},
    wire::Wire,
};
use super::{cause, read};
use crate::delivery::reply::{self, Outcome, Phase, Reply};
use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, Mechanism},
    client::AsyncSmtpConnection,
    extension::ClientId,
};
use secrecy::ExposeSecret;
use std::{fmt, time::Duration};
use tokio::{net::TcpStream, time::timeout};

/// How long each phase may take (RFC 5321, 4.5.3.2). What is before the body also ends with the mark's own limit.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// TCP, for all addresses of the host together.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// Greeting and EHLO, each.
    pub greeting: Duration,
    /// The login.
    pub auth: Duration,
    /// The reply to MAIL.
    pub mail: Duration,
    /// The reply to RCPT.
    pub rcpt: Duration,
    /// The reply to DATA.
    pub data: Duration,
    /// From the body's first byte to the reply to its dot.
    pub body: Duration,
    /// The reply to QUIT, which nobody needs.
    pub quit: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let (seconds, minutes) = (Duration::from_secs, |n: u64| Duration::from_secs(n * 60));
        Self {
            connect: seconds(30),
            tls: seconds(60),
            greeting: minutes(5),
            auth: minutes(2),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            body: minutes(10),
            quit: seconds(5),
        }
    }
}

/// A server and how to speak with it.
#[derive(Debug, Clone)]
pub(in crate::delivery::relay) struct Endpoint {
    server: Server,
    hello: String,
    tls: Option<Client>,
    deadlines: Deadlines,
}

/// An open connection.
pub struct SmtpSession {
    pub(super) connection: AsyncSmtpConnection,
    pub(super) offer: Offer,
    pub(super) deadlines: Deadlines,
    /// The two sides may be out of step; set while a mail is under way, so that a cancelled call leaves it set.
    pub(super) lost: bool,
    /// We know that the server has closed, or will.
    pub(super) hung_up: bool,
    /// A refused mail stands in the way: RSET goes before the next.
    pub(super) needs_reset: bool,
}

/// What the server's EHLO offers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Offer {
    pub(super) pipelining: bool,
    pub(super) smtputf8: bool,
    pub(super) eight_bit: bool,
    plain: bool,
    login: bool,
}

impl Endpoint {
    pub(in crate::delivery::relay) fn new(server: &Server, hello: &str, deadlines: Deadlines, roots: &Roots) -> Result<Self, RelayError> {
        let tls = Client::for_server(server, roots)?;
        Ok(Self { server: server.clone(), hello: hello_name(hello), tls, deadlines })
    }

    fn error(&self, fault: Fault) -> ConnectError {
        ConnectError { relay: self.server.to_string(), fault }
    }

    /// Runs a step within its deadline.
    async fn within<T>(&self, phase: Phase, limit: Duration, step: impl Future<Output = T>) -> Result<T, ConnectError> {
        timeout(limit, step).await.map_err(|_| self.error(Fault::TimedOut(phase, limit)))
    }

    fn broken(&self, phase: Phase, cause: impl ToString) -> ConnectError {
        self.error(Fault::Broken(phase, cause.to_string()))
    }

    fn refused(&self, phase: Phase, reply: &Reply) -> ConnectError {
        let kept = reply::recorded_without_recipient(reply);
        self.error(match reply::outcome(phase, reply) {
            Some(Outcome::AuthenticationRefused) => Fault::AuthenticationRefused(kept),
            _ => Fault::Refused(phase, kept),
        })
    }

    fn failed(&self, phase: Phase, error: Error) -> ConnectError {
        match read(Err(error)) {
            Ok(reply) => self.refused(phase, &reply),
            Err(e) => self.broken(phase, cause(&e)),
        }
    }
}

impl SmtpSession {
    pub(in crate::delivery::relay) async fn open(to: &Endpoint) -> Result<Self, ConnectError> {
        let wire = wire(to).await?;
        let encrypted = wire.is_encrypted();
        let hello = ClientId::Domain(to.hello.clone());
        let greeted = AsyncSmtpConnection::connect_with_transport(Box::new(wire), &hello);
        let mut connection = to.within(Phase::Connect, to.deadlines.greeting, greeted).await?.map_err(|e| to.failed(Phase::Connect, e))?;
        let offer = offer(to, &mut connection).await?;
        log_in(to, &mut connection, offer, encrypted).await?;
        Ok(Self { connection, offer, deadlines: to.deadlines, lost: false, hung_up: false, needs_reset: false })
    }
}

async fn wire(to: &Endpoint) -> Result<Wire, ConnectError> {
    let unreachable = |cause: std::io::Error| to.error(Fault::Unreachable(cause.to_string()));
    let connect = TcpStream::connect((to.server.host.as_str(), to.server.port));
    let stream = to.within(Phase::Connect, to.deadlines.connect, connect).await?.map_err(unreachable)?;
    // With Nagle's delay a mail that is written in parts waits 40 ms for an acknowledgement.
    stream.set_nodelay(true).map_err(unreachable)?;
    match (to.server.tls, &to.tls) {
        (Tls::Implicit, Some(tls)) => handshake(to, tls, stream).await,
        (Tls::None, _) | (_, None) => Ok(Wire::plain(stream)),
        (_, Some(tls)) => start_tls(to, tls, stream).await,
    }
}

async fn start_tls(to: &Endpoint, tls: &Client, stream: TcpStream) -> Result<Wire, ConnectError> {
    let asked = to.within(Phase::Hello, to.deadlines.greeting, starttls::ask(stream, &to.hello)).await?;
    match asked.map_err(|e| to.broken(Phase::Hello, e))? {
        Clear::Ready(stream) => Ok(handshake(to, tls, stream).await?.greeted()),
        Clear::NotOffered(stream) if to.server.tls == Tls::Opportunistic => Ok(Wire::plain(stream).greeted()),
        Clear::NotOffered(_) => Err(to.error(Fault::TlsNotOffered)),
        Clear::Refused(phase, reply) => Err(to.refused(phase, &reply)),
    }
}

async fn handshake(to: &Endpoint, tls: &Client, stream: TcpStream) -> Result<Wire, ConnectError> {
    let done = to.within(Phase::Hello, to.deadlines.tls, tls.handshake(stream)).await?;
    done.map(Wire::tls).map_err(|e| to.error(Fault::Tls(e.to_string())))
}

// Asked a second time, because lettre keeps of the first answer only what it knows, and PIPELINING is not among it.
async fn offer(to: &Endpoint, connection: &mut AsyncSmtpConnection) -> Result<Offer, ConnectError> {
    let again = connection.command(format!("EHLO {}\r\n", to.hello));
    let answer = to.within(Phase::Hello, to.deadlines.greeting, again).await?.map_err(|e| to.failed(Phase::Hello, e))?;
    let mut offer = Offer::default();
    for line in answer.message().skip(1) {
        let line = line.to_ascii_uppercase();
        let mut words = line.split([' ', '=']);
        match words.next() {
            Some("PIPELINING") => offer.pipelining = true,
            Some("SMTPUTF8") => offer.smtputf8 = true,
            Some("8BITMIME") => offer.eight_bit = true,
            Some("AUTH") => words.for_each(|mechanism| match mechanism {
                "PLAIN" => offer.plain = true,
                "LOGIN" => offer.login = true,
                _ => {}
            }),
            _ => {}
        }
    }
    Ok(offer)
}

async fn log_in(to: &Endpoint, connection: &mut AsyncSmtpConnection, offer: Offer, encrypted: bool) -> Result<(), ConnectError> {
    let Some(login) = &to.server.login else { return Ok(()) };
    if !encrypted && to.server.tls != Tls::None {
        return Err(to.error(Fault::TlsNotOffered));
    }
    let mechanism = match offer {
        Offer { plain: true, .. } => Mechanism::Plain,
        Offer { login: true, .. } => Mechanism::Login,
        _ => return Err(to.error(Fault::AuthenticationNotOffered)),
    };
    let credentials = Credentials::new(login.user.clone(), login.password.expose_secret().to_owned());
    let mechanisms = [mechanism];
    let asked = connection.auth(&mechanisms, &credentials);
    to.within(Phase::Auth, to.deadlines.auth, asked).await?.map_err(|e| to.failed(Phase::Auth, e))?;
    Ok(())
}

// RFC 5321, 4.1.3: an address stands in brackets; what could not stand in EHLO at all is left out.
fn hello_name(name: &str) -> String {
    let name: String = name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(*c)).collect();
    match name.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(ip)) => format!("[{ip}]"),
        Ok(std::net::IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
        Err(_) if name.is_empty() => "localhost".to_owned(),
        Err(_) => name,
    }
}

impl fmt::Debug for SmtpSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpSession {{ offer: {:?}, lost: {} }}", self.offer, self.lost)
    }
}
