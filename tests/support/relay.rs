//! An SMTP server that misbehaves as it is told, and logs every body that was begun.
//!
//! For one mail to one recipient at a time, which is all that Tidings sends. A test says how it behaves with
//! [`FaultyRelay::behave`], at any moment; without a word it accepts everything. Fast enough to be no limit: some 10,000
//! mails a second, as replies to pipelined commands leave in one write and bodies are searched once.

mod connection;
pub(crate) mod manners;

use super::certificate;
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, task::AbortHandle, time::Instant};

/// A point of the conversation at which the relay may misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Point {
    Greeting,
    Hello,
    StartTls,
    Auth,
    Reset,
    Mail,
    Rcpt,
    Data,
    /// Some of the body has come, its dot has not.
    MidBody,
    /// The dot has come and is not answered yet.
    Dot,
    Quit,
}

/// What the relay does at a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// What a good server does.
    Go,
    /// This reply in place of the good one, e.g. `550 5.1.1 no such user`; with line breaks, a longer one.
    Say(Cow<'static, str>),
    /// These bytes, whatever they are, and a line break.
    SayBytes(&'static [u8]),
    /// This reply, and the connection is closed at once.
    SayAndDrop(Cow<'static, str>),
    /// Closes the connection.
    Drop,
    /// Says no more, and goes on listening.
    HalfClose,
    /// Resets the connection.
    Abort,
    /// The good reply, so much later.
    Wait(Duration),
    /// The good reply, a byte at a time with so much between them.
    Trickle(Duration),
    /// No answer, and the connection stays open.
    Silence,
    /// Does what was asked, and closes the connection without a word: at the dot, it has the mail.
    TakeAndDrop,
    /// Does what was asked, and resets the connection: at the dot, it has the mail.
    TakeAndAbort,
}

impl Point {
    /// The eight points at which a session can be dropped: greeting, EHLO, MAIL, RCPT, DATA, within the body, its dot, QUIT.
    pub(crate) const EIGHT: [Point; 8] =
        [Point::Greeting, Point::Hello, Point::Mail, Point::Rcpt, Point::Data, Point::MidBody, Point::Dot, Point::Quit];

    /// Whether the body has begun, so that what is cut off here is in doubt.
    pub(crate) fn is_in_the_body(self) -> bool {
        matches!(self, Point::MidBody | Point::Dot)
    }
}

/// What the relay sees when it decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) point: Point,
    /// Counts the connections, from 0.
    pub(crate) connection: usize,
    /// Counts the mails on this connection, from 0.
    pub(crate) mail: usize,
    /// Empty before RCPT.
    pub(crate) recipient: &'a str,
    /// How often this recipient was named in RCPT before, on any connection.
    pub(crate) before: usize,
}

/// A body that was begun.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    /// With its angle brackets; empty where the body broke off before it.
    pub(crate) message_id: String,
    pub(crate) recipient: String,
    pub(crate) connection: usize,
    /// When its first byte came.
    pub(crate) began: Instant,
    /// When its dot came.
    pub(crate) ended: Option<Instant>,
    /// Whether the relay said 250 and so has the mail.
    pub(crate) accepted: bool,
    /// The mail as it came, dots undone; empty unless [`Offer::keep`].
    pub(crate) mail: Vec<u8>,
}

/// What the relay can do.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) pipelining: bool,
    pub(crate) smtputf8: bool,
    /// Whether DATA gets 354 where no recipient was accepted (RFC 2920, 3.1), and the empty mail that follows 250.
    pub(crate) data_to_nobody: bool,
    /// STARTTLS with the certificate of [`certificate::der`].
    pub(crate) starttls: bool,
    /// TLS from the first byte.
    pub(crate) implicit_tls: bool,
    /// AUTH with this user and password; `None`: no AUTH.
    pub(crate) login: Option<(&'static str, &'static str)>,
    /// The mechanisms offered.
    pub(crate) mechanisms: &'static str,
    /// Before each write, as of a far host.
    pub(crate) latency: Duration,
    /// Whether bodies and command lines are kept.
    pub(crate) keep: bool,
}

impl Default for Offer {
    fn default() -> Self {
        Self {
            pipelining: true,
            smtputf8: true,
            data_to_nobody: false,
            starttls: false,
            implicit_tls: false,
            login: None,
            mechanisms: "PLAIN LOGIN",
            latency: Duration::ZERO,
            keep: false,
        }
    }
}

type Manners = Arc<dyn Fn(&Seen<'_>) -> Act + Send + Sync>;

/// The relay; it ends with this value.
pub(crate) struct FaultyRelay {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    listening: AbortHandle,
}

struct Shared {
    offer: Offer,
    manners: Mutex<Option<Manners>>,
    bodies: Mutex<Vec<Body>>,
    /// When each recipient was named.
    named: Mutex<HashMap<String, Vec<Instant>>>,
    /// The command lines, where they are kept.
    lines: Mutex<Vec<String>>,
    opened: AtomicUsize,
    open: AtomicUsize,
}

impl FaultyRelay {
    /// A relay that does everything well.
    pub(crate) async fn start() -> Self {
        Self::with(Offer::default()).await
    }

    /// A relay that can do what `offer` says.
    pub(crate) async fn with(offer: Offer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            offer,
            manners: Mutex::default(),
            bodies: Mutex::default(),
            named: Mutex::default(),
            lines: Mutex::default(),
            opened: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        });
        let listening = tokio::spawn(listen(listener, shared.clone())).abort_handle();
        Self { address, shared, listening }
    }

    /// The URL for `[relays]`, without encryption.
    pub(crate) fn url(&self) -> String {
        format!("smtp://{}?tls=none", self.address)
    }

    /// From now on the relay does what `manners` says.
    pub(crate) fn behave(&self, manners: impl Fn(&Seen<'_>) -> Act + Send + Sync + 'static) {
        *lock(&self.shared.manners) = Some(Arc::new(manners));
    }

    /// From now on it does everything well.
    pub(crate) fn behave_well(&self) {
        *lock(&self.shared.manners) = None;
    }

    /// All bodies that were begun, in the order in which they began.
    pub(crate) fn bodies(&self) -> Vec<Body> {
        lock(&self.shared.bodies).clone()
    }

    /// The mails that the relay has: their Message-IDs and recipients, in order; one accepted twice is there twice.
    pub(crate) fn accepted(&self) -> Vec<(String, String)> {
        let bodies = lock(&self.shared.bodies);
        bodies.iter().filter(|b| b.accepted).map(|b| (b.message_id.clone(), b.recipient.clone())).collect()
    }

    /// How many bodies were begun.
    pub(crate) fn begun(&self) -> usize {
        lock(&self.shared.bodies).len()
    }

    /// When each recipient was named in RCPT, refused or not, in order.
    pub(crate) fn tries(&self) -> HashMap<String, Vec<Instant>> {
        lock(&self.shared.named).clone()
    }

    /// How many mails the relay has, counted once by Message-ID, and how many it has more than once.
    pub(crate) fn sums(&self) -> (usize, usize) {
        let accepted = self.accepted();
        let distinct = accepted.iter().map(|(id, _)| id).collect::<HashSet<_>>().len();
        (distinct, accepted.len() - distinct)
    }

    /// The command lines that came, without AUTH; none unless [`Offer::keep`].
    pub(crate) fn lines(&self) -> Vec<String> {
        lock(&self.shared.lines).clone()
    }

    /// How many connections were ever opened.
    pub(crate) fn opened(&self) -> usize {
        self.shared.opened.load(Ordering::Relaxed)
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }
}

impl Drop for FaultyRelay {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    // Connections end with the listener, so that a dropped relay is gone at once.
    let mut connections = tokio::task::JoinSet::new();
    let tls = (shared.offer.starttls || shared.offer.implicit_tls).then(certificate::acceptor);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let number = shared.opened.fetch_add(1, Ordering::Relaxed);
        shared.open.fetch_add(1, Ordering::Relaxed);
        let (shared, tls) = (shared.clone(), tls.clone());
        connections.spawn(async move {
            connection::serve(stream, number, &shared, tls).await;
            shared.open.fetch_sub(1, Ordering::Relaxed);
        });
        while connections.try_join_next().is_some() {}
    }
}

impl Shared {
    fn act(&self, seen: &Seen<'_>) -> Act {
        let manners = lock(&self.manners).clone();
        manners.map_or(Act::Go, |manners| manners(seen))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
