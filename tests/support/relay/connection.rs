//! One connection to the faulty relay: reads commands and bodies, and does at each point what it was told.

use super::{Act, Body, Point, Seen, Shared, lock};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{borrow::Cow, io};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The connection is over.
struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Gone,
}

struct Connection<'a> {
    stream: Stream,
    number: usize,
    shared: &'a Shared,
    tls: Option<TlsAcceptor>,
    /// What came and was not looked at yet.
    input: Vec<u8>,
    /// Replies that are to leave in one write.
    output: Vec<u8>,
    mails: usize,
    mail_accepted: bool,
    recipient: String,
    recipient_accepted: bool,
    before: usize,
}

pub(super) async fn serve(stream: TcpStream, number: usize, shared: &Shared, tls: Option<TlsAcceptor>) {
    // Without it replies wait for acknowledgements.
    stream.set_nodelay(true).expect("a TCP socket");
    let mut connection = Connection {
        stream: Stream::Plain(stream),
        number,
        shared,
        tls,
        input: Vec::with_capacity(32 * 1024),
        output: Vec::with_capacity(1024),
        mails: 0,
        mail_accepted: false,
        recipient: String::new(),
        recipient_accepted: false,
        before: 0,
    };
    // Whatever ended it, the client sees a closed connection.
    let _ = connection.run().await;
}

impl Connection<'_> {
    async fn run(&mut self) -> Result<(), Over> {
        if self.shared.offer.implicit_tls {
            self.encrypt().await?;
        }
        self.answer(Point::Greeting, "220 faulty.example.org ESMTP").await?;
        loop {
            let line = self.line().await?;
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            if self.shared.offer.keep && verb != "AUTH" {
                lock(&self.shared.lines).push(line.clone());
            }
            match verb.as_str() {
                "EHLO" | "HELO" => self.answer(Point::Hello, &self.greeting()).await?,
                "STARTTLS" => self.start_tls().await?,
                "AUTH" => self.log_in(&line).await?,
                "RSET" => self.answer(Point::Reset, "250 2.0.0 forgotten").await?,
                "MAIL" => self.begin_mail().await?,
                "RCPT" => self.rcpt(&line).await?,
                "DATA" => self.data().await?,
                "NOOP" => self.answer(Point::Reset, "250 2.0.0 fine").await?,
                "QUIT" => {
                    self.answer(Point::Quit, "221 2.0.0 goodbye").await?;
                    self.flush().await?;
                    return Ok(());
                }
                _ => self.answer(Point::Reset, "500 5.5.1 what?").await?,
            }
        }
    }

    fn greeting(&self) -> String {
        let offer = &self.shared.offer;
        let encrypted = matches!(self.stream, Stream::Tls(_));
        let login = format!("AUTH {}", offer.mechanisms);
        let mut words = vec!["faulty.example.org", "8BITMIME", "ENHANCEDSTATUSCODES"];
        for (offered, word) in [
            (offer.pipelining, "PIPELINING"),
            (offer.smtputf8, "SMTPUTF8"),
            (offer.starttls && !encrypted, "STARTTLS"),
            (offer.login.is_some(), login.as_str()),
        ] {
            if offered {
                words.push(word);
            }
        }
        let last = words.len() - 1;
        let lines: Vec<String> =
            words.iter().enumerate().map(|(i, word)| format!("250{}{word}", if i == last { ' ' } else { '-' })).collect();
        lines.join("\r\n")
    }

    async fn start_tls(&mut self) -> Result<(), Over> {
        let sent = self.output.len();
        self.answer(Point::StartTls, "220 2.0.0 go on").await?;
        let goes_on = self.output.get(sent) == Some(&b'2');
        self.flush().await?;
        if goes_on { self.encrypt().await } else { Ok(()) }
    }

    async fn encrypt(&mut self) -> Result<(), Over> {
        let (Stream::Plain(stream), Some(tls)) = (std::mem::replace(&mut self.stream, Stream::Gone), self.tls.clone()) else {
            return Err(Over);
        };
        self.stream = Stream::Tls(Box::new(tls.accept(stream).await?));
        Ok(())
    }

    async fn log_in(&mut self, line: &str) -> Result<(), Over> {
        let given = if line.to_ascii_uppercase().starts_with("AUTH PLAIN ") {
            let text = decoded(&line[11..]);
            let mut parts = text.split('\0').skip(1).map(str::to_owned);
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
        } else {
            let mut asked = Vec::new();
            for question in ["Username:", "Password:"] {
                self.output.extend(format!("334 {}\r\n", STANDARD.encode(question)).bytes());
                asked.push(decoded(&self.line().await?));
            }
            (asked[0].clone(), asked[1].clone())
        };
        let right = self.shared.offer.login.is_some_and(|(user, password)| given == (user.to_owned(), password.to_owned()));
        let reply = if right { "235 2.7.0 welcome" } else { "535 5.7.8 wrong user or password" };
        self.answer(Point::Auth, reply).await
    }

    async fn begin_mail(&mut self) -> Result<(), Over> {
        self.mails += 1;
        self.recipient.clear();
        self.recipient_accepted = false;
        let sent = self.output.len();
        self.answer(Point::Mail, "250 2.1.0 fine").await?;
        self.mail_accepted = self.output.get(sent) == Some(&b'2');
        Ok(())
    }

    async fn rcpt(&mut self, line: &str) -> Result<(), Over> {
        let start = line.find('<').map_or(0, |at| at + 1);
        self.recipient = line[start..].split_once('>').map_or("", |(address, _)| address).to_owned();
        self.before = {
            let mut named = lock(&self.shared.named);
            let times = named.entry(self.recipient.clone()).or_default();
            times.push(Instant::now());
            times.len() - 1
        };
        let sent = self.output.len();
        let good = if self.mail_accepted { "250 2.1.5 fine" } else { "503 5.5.1 first MAIL" };
        self.answer(Point::Rcpt, good).await?;
        self.recipient_accepted = self.output.get(sent) == Some(&b'2');
        Ok(())
    }

    async fn data(&mut self) -> Result<(), Over> {
        let sent = self.output.len();
        let goes_on = self.recipient_accepted || (self.mail_accepted && self.shared.offer.data_to_nobody);
        self.answer(Point::Data, if goes_on { "354 go on" } else { "554 5.5.1 no valid recipients" }).await?;
        if self.output.get(sent) == Some(&b'3') {
            self.body().await?;
        }
        Ok(())
    }

    async fn body(&mut self) -> Result<(), Over> {
        while self.input.is_empty() {
            self.fill().await?;
        }
        let index = self.log_begun();
        self.answer(Point::MidBody, "").await?;
        let end = self.find_dot().await?;
        let body: Vec<u8> = self.input.drain(..end).collect();
        let empty = body == b".\r\n";
        let good = if self.recipient_accepted { "250 2.0.0 taken" } else { "554 5.5.1 nobody to send it to" };
        let id = message_id(&body);
        if let Some(index) = index {
            let mut bodies = lock(&self.shared.bodies);
            let log = &mut bodies[index];
            (log.message_id, log.ended) = (id, Some(Instant::now()));
            if self.shared.offer.keep {
                log.mail = undone(&body);
            }
        }
        let act = self.seen_act(Point::Dot);
        // A mail counts as accepted before the answer leaves: that the answer is lost is the client's trouble.
        let says_yes = match &act {
            Act::Go | Act::Wait(_) | Act::Trickle(_) | Act::TakeAndDrop | Act::TakeAndAbort => self.recipient_accepted && !empty,
            Act::Say(reply) | Act::SayAndDrop(reply) => reply.starts_with('2'),
            Act::SayBytes(reply) => reply.starts_with(b"2"),
            Act::Drop | Act::HalfClose | Act::Abort | Act::Silence => false,
        };
        if let Some(index) = index {
            lock(&self.shared.bodies)[index].accepted = says_yes;
        }
        self.perform(act, good).await
    }

    // An empty body to nobody is no mail.
    fn log_begun(&self) -> Option<usize> {
        if !self.recipient_accepted {
            return None;
        }
        let mut bodies = lock(&self.shared.bodies);
        bodies.push(Body {
            message_id: String::new(),
            recipient: self.recipient.clone(),
            connection: self.number,
            began: Instant::now(),
            ended: None,
            accepted: false,
            mail: Vec::new(),
        });
        Some(bodies.len() - 1)
    }

    // The place behind the dot that ends the body.
    async fn find_dot(&mut self) -> Result<usize, Over> {
        if self.input.starts_with(b".\r\n") {
            return Ok(3);
        }
        let mut looked = 0;
        loop {
            // Only what ends in a lone dot can be whole, as nothing is pipelined behind a body; else look for one inside.
            if self.input.ends_with(b"\r\n.\r\n") && self.input.len() >= 5 {
                return Ok(self.input.len());
            }
            if let Some(at) = self.input[looked..].windows(5).position(|w| w == b"\r\n.\r\n") {
                return Ok(looked + at + 5);
            }
            looked = self.input.len().saturating_sub(4);
            self.fill().await?;
        }
    }

    fn seen_act(&self, point: Point) -> Act {
        let recipient = &self.recipient;
        self.shared.act(&Seen { point, connection: self.number, mail: self.mails.saturating_sub(1), recipient, before: self.before })
    }

    async fn answer(&mut self, point: Point, good: &str) -> Result<(), Over> {
        let act = self.seen_act(point);
        self.perform(act, good).await
    }

    async fn perform(&mut self, act: Act, good: &str) -> Result<(), Over> {
        match act {
            Act::Go => self.say(good.as_bytes()),
            Act::Say(reply) => self.say(reply.as_bytes()),
            Act::SayBytes(reply) => self.say(reply),
            Act::SayAndDrop(reply) => {
                self.say(reply.as_bytes());
                self.flush().await?;
                return Err(Over);
            }
            Act::Drop | Act::TakeAndDrop => return Err(Over),
            Act::Abort | Act::TakeAndAbort => {
                if let Stream::Plain(stream) = &self.stream {
                    stream.set_zero_linger()?;
                }
                return Err(Over);
            }
            Act::Wait(time) => {
                self.flush().await?;
                sleep(time).await;
                self.say(good.as_bytes());
            }
            Act::Trickle(between) => {
                self.flush().await?;
                for byte in format!("{good}\r\n").bytes() {
                    self.output.push(byte);
                    self.flush().await?;
                    sleep(between).await;
                }
            }
            Act::Silence | Act::HalfClose => {
                self.flush().await?;
                if act == Act::HalfClose
                    && let Stream::Plain(stream) = &mut self.stream
                {
                    stream.shutdown().await?;
                }
                loop {
                    self.fill().await?;
                    self.input.clear();
                }
            }
        }
        Ok(())
    }

    fn say(&mut self, reply: &[u8]) {
        if !reply.is_empty() {
            self.output.extend_from_slice(reply);
            self.output.extend_from_slice(b"\r\n");
        }
    }

    async fn line(&mut self) -> Result<String, Over> {
        loop {
            if let Some(end) = self.input.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.input.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            self.fill().await?;
        }
    }

    // Replies leave when there is nothing left to read: all of a pipelined group at once.
    async fn fill(&mut self) -> Result<(), Over> {
        self.flush().await?;
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read_buf(&mut self.input).await?,
            Stream::Tls(stream) => stream.read_buf(&mut self.input).await?,
            Stream::Gone => return Err(Over),
        };
        if read == 0 { Err(Over) } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Over> {
        if self.output.is_empty() {
            return Ok(());
        }
        if !self.shared.offer.latency.is_zero() {
            sleep(self.shared.offer.latency).await;
        }
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(&self.output).await?,
            Stream::Tls(stream) => {
                stream.write_all(&self.output).await?;
                stream.flush().await?;
            }
            Stream::Gone => return Err(Over),
        }
        self.output.clear();
        Ok(())
    }
}

fn decoded(text: &str) -> String {
    STANDARD.decode(text).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn message_id(mail: &[u8]) -> String {
    let head = mail.windows(4).position(|w| w == b"\r\n\r\n").map_or(mail, |end| &mail[..end]);
    let head = String::from_utf8_lossy(head);
    let line = head.split("\r\n").find(|line| line.get(..11).is_some_and(|name| name.eq_ignore_ascii_case("message-id:")));
    line.map_or("", |line| line[11..].trim()).to_owned()
}

fn undone(body: &[u8]) -> Vec<u8> {
    let text = body.strip_suffix(b".\r\n").unwrap_or(body);
    let mut mail = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|b| *b == b'\n') {
        mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    mail
}

impl From<&'static str> for Act {
    fn from(reply: &'static str) -> Self {
        Self::Say(Cow::Borrowed(reply))
    }
}
