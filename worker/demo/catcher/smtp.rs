//! The SMTP server of the catcher: takes every mail for everybody (RFC 5321, with pipelining, 8BITMIME and SMTPUTF8).
//!
//! Owns the conversation; answers 250 once the mail is on disk. Mail to `gone.…@…` is refused as to an address that does not
//! exist, so that refusals can be watched too. Called by `Catcher::start`.

use std::io;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use smtp_proto::request::receiver::{DataReceiver, RequestReceiver};
use smtp_proto::{Error, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::mailbox::{Envelope, Mailbox};

const GREETING: &str = "220 catcher ESMTP: every mail ends here\r\n";
const EXTENSIONS: &str =
    "250-catcher\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 26214400\r\n";
const LARGEST_MAIL: usize = 25 << 20;
/// Whoever's address begins so does not exist.
const GONE: &str = "gone.";
const MOST_RECIPIENTS: usize = 100;
const MOST_CONNECTIONS: usize = 500;
/// RFC 5321 4.5.3.2.7: a server waits five minutes for the next command.
const PATIENCE: Duration = Duration::from_secs(300);
const READ_AT_ONCE: usize = 64 << 10;

/// Takes connections until the task is aborted.
pub(super) async fn serve(listener: TcpListener, mailbox: Arc<Mailbox>) {
    let mut conversations = JoinSet::new();
    loop {
        while conversations.try_join_next().is_some() {}
        if conversations.len() >= MOST_CONNECTIONS {
            conversations.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                conversations.spawn(attend(stream, Arc::clone(&mailbox)));
            }
            // Out of file descriptors, mostly: they come back when conversations end.
            Err(error) => {
                tracing::warn!(%error, "the mail catcher cannot take a connection");
                // Out of file descriptors, say: it would be tried again at once, and for ever.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn attend(stream: TcpStream, mailbox: Arc<Mailbox>) {
    if let Err(error) = converse(stream, &mailbox).await {
        tracing::debug!(%error, "an SMTP conversation broke off");
    }
}

async fn converse(mut stream: TcpStream, mailbox: &Mailbox) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(GREETING.as_bytes()).await?;
    let mut session = Session::default();
    let mut input = vec![0; READ_AT_ONCE];
    loop {
        let count = tokio::time::timeout(PATIENCE, stream.read(&mut input)).await??;
        if count == 0 {
            return Ok(());
        }
        let (answers, goes_on) = answer(&mut session, &input[..count], mailbox).await;
        stream.write_all(answers.as_bytes()).await?;
        if !goes_on {
            return stream.shutdown().await;
        }
    }
}

/// All answers to what was read, in one write (RFC 2920 3.2), and whether the conversation goes on.
async fn answer(session: &mut Session, input: &[u8], mailbox: &Mailbox) -> (String, bool) {
    let mut answers = String::new();
    let mut bytes = input.iter();
    loop {
        match session.step(&mut bytes) {
            Step::Hungry => return (answers, true),
            Step::Say(line) => answers.push_str(line),
            Step::Bye => return (answers + "221 2.0.0 goodbye\r\n", false),
            Step::Keep(envelope, mail) => match mailbox.keep(envelope, mail).await {
                Ok(id) => answers.push_str(&format!("250 2.0.0 kept as {id}\r\n")),
                Err(error) => {
                    tracing::error!(%error, "the mail catcher cannot keep a mail");
                    answers.push_str("451 4.3.0 the mail could not be written\r\n");
                }
            },
        }
    }
}

/// What comes of the bytes at hand.
#[derive(Debug, PartialEq)]
enum Step {
    /// More bytes are needed.
    Hungry,
    Say(&'static str),
    Keep(Envelope, Vec<u8>),
    Bye,
}

#[derive(Default)]
struct Session {
    commands: RequestReceiver,
    greeted: bool,
    envelope: Option<Envelope>,
    body: Option<Body>,
}

struct Body {
    receiver: DataReceiver,
    mail: Vec<u8>,
    too_large: bool,
}

impl Session {
    fn step(&mut self, bytes: &mut slice::Iter<'_, u8>) -> Step {
        match self.body.take() {
            Some(body) => self.read_body(body, bytes),
            None => self.read_command(bytes),
        }
    }

    fn read_body(&mut self, mut body: Body, bytes: &mut slice::Iter<'_, u8>) -> Step {
        if !body.ingest(bytes) {
            self.body = Some(body);
            return Step::Hungry;
        }
        match self.envelope.take() {
            _ if body.too_large => Step::Say("552 5.3.4 the mail is larger than 25 MiB\r\n"),
            Some(envelope) => Step::Keep(envelope, body.mail),
            None => Step::Say("503 5.5.1 MAIL first\r\n"),
        }
    }

    fn read_command(&mut self, bytes: &mut slice::Iter<'_, u8>) -> Step {
        let request = match self.commands.ingest(bytes) {
            Ok(request) => request.into_owned(),
            Err(Error::NeedsMoreData { .. }) => return Step::Hungry,
            Err(Error::ResponseTooLong) => return Step::Say("500 5.5.2 the line is too long\r\n"),
            Err(Error::UnknownCommand) => return Step::Say("500 5.5.1 no such command\r\n"),
            Err(Error::InvalidSenderAddress) => return Step::Say("501 5.1.7 the sender is no address\r\n"),
            Err(Error::InvalidRecipientAddress) => return Step::Say("501 5.1.3 the recipient is no address\r\n"),
            Err(_) => return Step::Say("501 5.5.4 the command is not understood\r\n"),
        };
        self.obey(request)
    }

    fn obey(&mut self, request: Request<String>) -> Step {
        Step::Say(match request {
            Request::Ehlo { .. } => self.greet(EXTENSIONS),
            Request::Helo { .. } => self.greet("250 catcher\r\n"),
            Request::Mail { .. } if !self.greeted => "503 5.5.1 EHLO first\r\n",
            Request::Mail { .. } if self.envelope.is_some() => "503 5.5.1 MAIL was given already\r\n",
            Request::Mail { from } => {
                self.envelope = Some(Envelope { from: from.address, to: Vec::new() });
                "250 2.1.0 ok\r\n"
            }
            Request::Rcpt { to } => self.add_recipient(to.address),
            Request::Data => self.begin_body(),
            Request::Rset => {
                self.envelope = None;
                "250 2.0.0 ok\r\n"
            }
            Request::Noop { .. } => "250 2.0.0 ok\r\n",
            Request::Vrfy { .. } => "252 2.5.0 everybody is here\r\n",
            Request::Quit => return Step::Bye,
            _ => "502 5.5.1 not offered\r\n",
        })
    }

    fn greet(&mut self, answer: &'static str) -> &'static str {
        self.greeted = true;
        self.envelope = None;
        answer
    }

    fn add_recipient(&mut self, address: String) -> &'static str {
        match &mut self.envelope {
            None => "503 5.5.1 MAIL first\r\n",
            Some(_) if address.starts_with(GONE) => "550 5.1.1 nobody has this address\r\n",
            Some(envelope) if envelope.to.len() >= MOST_RECIPIENTS => "452 4.5.3 too many recipients\r\n",
            Some(envelope) => {
                envelope.to.push(address);
                "250 2.1.5 ok\r\n"
            }
        }
    }

    fn begin_body(&mut self) -> &'static str {
        match &self.envelope {
            None => "503 5.5.1 MAIL first\r\n",
            Some(envelope) if envelope.to.is_empty() => "554 5.5.1 no recipients\r\n",
            Some(_) => {
                self.body = Some(Body::new());
                "354 end with a line that holds a dot only\r\n"
            }
        }
    }
}

impl Body {
    fn new() -> Body {
        let (mut receiver, mut mail) = (DataReceiver::new(), Vec::with_capacity(32 << 10));
        // The line end of DATA counts as the one before the dot: else the end of an empty mail is not seen.
        receiver.ingest(&mut b"\r\n".iter(), &mut mail);
        mail.clear();
        Body { receiver, mail, too_large: false }
    }

    /// True once the final dot was read. A mail that is too large is read to its end and forgotten.
    fn ingest(&mut self, bytes: &mut slice::Iter<'_, u8>) -> bool {
        let ended = self.receiver.ingest(bytes, &mut self.mail);
        if self.mail.len() > LARGEST_MAIL {
            self.too_large = true;
        }
        if self.too_large {
            self.mail.clear();
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(parts: &[&str]) -> Vec<String> {
        let mut session = Session::default();
        let mut said = Vec::new();
        for part in parts {
            let mut bytes = part.as_bytes().iter();
            loop {
                match session.step(&mut bytes) {
                    Step::Hungry => break,
                    Step::Say(line) => said.push(line[..3].to_owned()),
                    Step::Keep(envelope, mail) => {
                        said.push(format!("{}>{}: {:?}", envelope.from, envelope.to.join("+"), String::from_utf8_lossy(&mail)))
                    }
                    Step::Bye => said.push("bye".to_owned()),
                }
            }
        }
        said
    }

    #[test]
    fn a_pipelined_mail_is_taken_whole_and_its_dots_are_unstuffed() {
        let said = talk(&[
            "EHLO a\r\n",
            "MAIL FROM:<a@example.org> BODY=8BITMIME\r\nRCPT TO:<b@example.com>\r\nDATA\r\n",
            "Subject: x\r\n\r\n..one\r\n",
            ".\r\nQUIT\r\n",
        ]);
        assert_eq!(said, ["250", "250", "250", "354", r#"a@example.org>b@example.com: "Subject: x\r\n\r\n.one\r\n""#, "bye"]);
    }

    #[test]
    fn commands_and_the_end_of_a_mail_may_be_cut_anywhere() {
        let text = "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nHi\r\n.\r\nRSET\r\n";
        let whole = talk(&[text]);
        let letters: Vec<String> = text.chars().map(String::from).collect();
        assert_eq!(talk(&letters.iter().map(String::as_str).collect::<Vec<_>>()), whole);
        assert_eq!(whole[4], r#">b@example.com: "Hi\r\n""#);
    }

    #[test]
    fn an_empty_mail_ends_with_its_dot() {
        let said = talk(&["HELO a\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n.\r\nNOOP\r\n"]);
        assert_eq!(said[4..], [r#"a@example.org>b@example.com: """#, "250"]);
    }

    #[test]
    fn a_line_feed_alone_before_a_dot_does_not_end_a_mail() {
        let said =
            talk(&["HELO a\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nx\n.\nMAIL FROM:<c@example.org>\r\n.\r\n"]);
        assert_eq!(said.len(), 5, "{said:?}");
    }

    #[test]
    fn an_address_that_is_gone_is_refused_and_the_session_goes_on() {
        let said =
            talk(&["EHLO a\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<gone.1@example.com>\r\nDATA\r\nRSET\r\nMAIL FROM:<a@example.org>\r\n"]);
        assert_eq!(said, ["250", "250", "550", "554", "250", "250"]);
    }

    #[test]
    fn what_comes_out_of_turn_is_refused() {
        assert_eq!(talk(&["MAIL FROM:<a@example.org>\r\n"]), ["503"]);
        assert_eq!(
            talk(&["EHLO a\r\nDATA\r\nRCPT TO:<b@example.com>\r\nMAIL FROM:<a@example.org>\r\nDATA\r\n"]),
            ["250", "503", "503", "250", "554"]
        );
        assert_eq!(talk(&["HELLO\r\nSTARTTLS\r\nMAIL TO:<x>\r\n"]), ["500", "502", "501"]);
    }
}
