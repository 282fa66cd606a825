//! A session with an SMTP server: one connection, one mail at a time, over lettre's connection (RFC 5321, 2920, 4954).
//!
//! `connect` opens it; here is the conversation of one mail. What lettre leaves to its caller is done here: pipelining, a
//! deadline for each phase, body and final dot in one write, RSET after a refusal. Every await may leave the two sides out of
//! step, so a session that met a time-out, an error or a cancelled call is lost and says so.

mod connect;
mod stuffing;

pub(super) use connect::Endpoint;
pub use connect::{Deadlines, SmtpSession};

use super::{Envelope, HandOver};
use crate::delivery::{
    message,
    reply::{self, Outcome, Phase, Reply},
};
use lettre::transport::smtp::{Error, response::Response};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How the part before the body ended.
enum Ended {
    /// 354: the body may begin.
    GoOn,
    /// A reply said no.
    Refused(Phase, Reply),
    /// There was no reply to go by.
    Lost(Phase, Loss),
}

/// Why there was no reply.
enum Loss {
    TimedOut,
    Connection(String),
    /// A reply that fits no question of ours.
    OutOfStep(String),
}

impl SmtpSession {
    pub(super) async fn hand_over(&mut self, envelope: &Envelope<'_>, message: Vec<u8>, begin_body_before: Instant) -> HandOver {
        if std::mem::replace(&mut self.lost, true) {
            return HandOver::without_reply(Outcome::Reconnect, Phase::Mail, "the connection was lost before");
        }
        let result = self.converse(envelope, message, begin_body_before).await;
        self.lost = !result.session_usable;
        result
    }

    async fn converse(&mut self, envelope: &Envelope<'_>, message: Vec<u8>, before: Instant) -> HandOver {
        let parameters = match self.parameters(envelope, &message) {
            Ok(parameters) => parameters,
            Err(trouble) => return self.not_for_this_relay(trouble),
        };
        let Some(body) = stuffing::stuffed(message) else {
            return self.not_for_this_relay("the mail is not UTF-8");
        };
        let mail = format!("MAIL FROM:<{}>{parameters}\r\n", envelope.from.envelope());
        let rcpt = format!("RCPT TO:<{}>\r\n", envelope.to.envelope());
        let ended = match self.offer.pipelining {
            true => self.ask_at_once(&mail, &rcpt, before).await,
            false => self.ask_in_turn(&mail, &rcpt, before).await,
        };
        match ended {
            Ended::GoOn if Instant::now() >= before => HandOver::given_up(Phase::Data),
            Ended::GoOn => self.send_body(envelope, body).await,
            Ended::Refused(phase, reply) => self.refused(envelope, phase, &reply),
            Ended::Lost(phase, Loss::TimedOut) if Instant::now() >= before => HandOver::given_up(phase),
            Ended::Lost(phase, loss) => HandOver::without_reply(Outcome::Reconnect, phase, loss.in_words(phase)),
        }
    }

    // All in one write; then the replies one by one (RFC 2920).
    async fn ask_at_once(&mut self, mail: &str, rcpt: &str, before: Instant) -> Ended {
        let reset = if self.needs_reset { "RSET\r\n" } else { "" };
        let mut next = Some(format!("{reset}{mail}{rcpt}DATA\r\n"));
        if self.needs_reset
            && let Some(ended) = self.reset(&mut next, before).await
        {
            return ended;
        }
        let mut refusal = None;
        let mut rcpt_accepted = false;
        for phase in [Phase::Mail, Phase::Rcpt, Phase::Data] {
            match self.step(next.take(), phase, before).await {
                Err(loss) => return refusal.map_or(Ended::Lost(phase, loss), |(phase, reply)| self.hang_up(phase, reply)),
                Ok(reply) if phase == Phase::Data && reply.code == 354 => {
                    let Some((phase, refused)) = refusal else { return Ended::GoOn };
                    return self.finish_empty(phase, refused, rcpt_accepted).await;
                }
                Ok(reply) if reply.code == 421 => return self.hang_up(phase, reply),
                Ok(reply) if reply.code >= 400 => {
                    refusal.get_or_insert((phase, reply));
                }
                Ok(reply) if phase == Phase::Data || reply.code / 100 != 2 => {
                    let loss = Loss::OutOfStep(reply.code.to_string());
                    return refusal.map_or(Ended::Lost(phase, loss), |(phase, reply)| self.hang_up(phase, reply));
                }
                Ok(_) => rcpt_accepted = phase == Phase::Rcpt,
            }
        }
        let (phase, reply) = refusal.expect("DATA was answered neither by 354 nor by anything else but a refusal");
        self.needs_reset = true;
        Ended::Refused(phase, reply)
    }

    async fn ask_in_turn(&mut self, mail: &str, rcpt: &str, before: Instant) -> Ended {
        if self.needs_reset
            && let Some(ended) = self.reset(&mut Some("RSET\r\n".to_owned()), before).await
        {
            return ended;
        }
        for (phase, command) in [(Phase::Mail, mail), (Phase::Rcpt, rcpt), (Phase::Data, "DATA\r\n")] {
            match self.step(Some(command.to_owned()), phase, before).await {
                Err(loss) => return Ended::Lost(phase, loss),
                Ok(reply) if phase == Phase::Data && reply.code == 354 => return Ended::GoOn,
                Ok(reply) if reply.code >= 400 => {
                    self.needs_reset = true;
                    return Ended::Refused(phase, reply);
                }
                Ok(reply) if phase == Phase::Data || reply.code / 100 != 2 => {
                    return Ended::Lost(phase, Loss::OutOfStep(reply.code.to_string()));
                }
                Ok(_) => {}
            }
        }
        unreachable!("the reply to DATA ends the loop")
    }

    async fn reset(&mut self, next: &mut Option<String>, before: Instant) -> Option<Ended> {
        match self.step(next.take(), Phase::Mail, before).await {
            Ok(reply) if reply.code / 100 == 2 => {
                self.needs_reset = false;
                None
            }
            Ok(reply) => Some(Ended::Lost(Phase::Mail, Loss::OutOfStep(format!("{} to RSET", reply.code)))),
            Err(loss) => Some(Ended::Lost(Phase::Mail, loss)),
        }
    }

    // DATA was taken although the recipient was not: an empty body to nobody ends it (RFC 2920, 3.1). What is answered says
    // nothing about our mail. Were the recipient accepted, the empty mail would reach somebody: hang up instead.
    async fn finish_empty(&mut self, phase: Phase, refused: Reply, rcpt_accepted: bool) -> Ended {
        let far = Instant::now() + self.deadlines.body;
        if rcpt_accepted || self.step(Some(".\r\n".to_owned()), Phase::Body, far).await.is_err() {
            return self.hang_up(phase, refused);
        }
        self.needs_reset = true;
        Ended::Refused(phase, refused)
    }

    fn hang_up(&mut self, phase: Phase, reply: Reply) -> Ended {
        self.hung_up = true;
        Ended::Refused(phase, reply)
    }

    async fn send_body(&mut self, envelope: &Envelope<'_>, body: String) -> HandOver {
        let far = Instant::now() + self.deadlines.body;
        match self.step(Some(body), Phase::Body, far).await {
            Err(loss) => HandOver::without_reply(Outcome::NoAnswer, Phase::Body, loss.in_words(Phase::Body)),
            Ok(reply) => {
                self.needs_reset = reply.code >= 400;
                let outcome = reply::outcome(Phase::Body, &reply).unwrap_or(Outcome::NoAnswer);
                HandOver {
                    outcome,
                    phase: Phase::Body,
                    body_begun: true,
                    session_usable: !matches!(outcome, Outcome::Reconnect | Outcome::NoAnswer),
                    trouble: None,
                    reply: Some(reply::recorded(&reply, envelope.to)),
                }
            }
        }
    }

    fn refused(&mut self, envelope: &Envelope<'_>, phase: Phase, reply: &Reply) -> HandOver {
        let outcome = reply::outcome(phase, reply).unwrap_or(Outcome::Reconnect);
        HandOver {
            outcome,
            phase,
            body_begun: false,
            session_usable: !self.hung_up && outcome != Outcome::Reconnect,
            trouble: None,
            reply: Some(reply::recorded(reply, envelope.to)),
        }
    }

    fn not_for_this_relay(&self, trouble: &str) -> HandOver {
        let outcome = Outcome::Failed { refused_address: false };
        HandOver { session_usable: true, ..HandOver::without_reply(outcome, Phase::Mail, trouble) }
    }

    // RFC 6531: a recipient that is not ASCII needs SMTPUTF8, and that needs 8BITMIME.
    fn parameters(&self, envelope: &Envelope<'_>, message: &[u8]) -> Result<&'static str, &'static str> {
        let foreign = message::needs_smtputf8(envelope.to) || message::needs_smtputf8(envelope.from);
        match (foreign, message.is_ascii()) {
            (false, true) => Ok(""),
            (false, false) if self.offer.eight_bit => Ok(" BODY=8BITMIME"),
            (false, false) => Err("the mail is not ASCII, and the relay does not offer 8BITMIME"),
            (true, _) if self.offer.smtputf8 => Ok(" BODY=8BITMIME SMTPUTF8"),
            (true, _) => Err("the address has letters beyond ASCII before the @, and the relay does not offer SMTPUTF8"),
        }
    }

    /// Writes `send`, if there is something, and reads one reply; within the phase's deadline and not beyond `before`.
    async fn step(&mut self, send: Option<String>, phase: Phase, before: Instant) -> Result<Reply, Loss> {
        let until = before.min(Instant::now() + self.deadline(phase));
        let answer = async {
            match send {
                Some(text) => self.connection.command(text).await,
                None => self.connection.read_response().await,
            }
        };
        match timeout_at(until, answer).await {
            Ok(result) => read(result).map_err(|e| Loss::Connection(cause(&e))),
            Err(_) => Err(Loss::TimedOut),
        }
    }

    fn deadline(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Connect | Phase::Hello => self.deadlines.greeting,
            Phase::Auth => self.deadlines.auth,
            Phase::Mail => self.deadlines.mail,
            Phase::Rcpt => self.deadlines.rcpt,
            Phase::Data => self.deadlines.data,
            Phase::Body => self.deadlines.body,
        }
    }

    pub(super) async fn quit(mut self) {
        if !self.lost {
            let until = Instant::now() + self.deadlines.quit;
            // The mails before were answered; nothing depends on this.
            let _ = timeout_at(until, self.connection.command("QUIT\r\n")).await;
        }
    }
}

impl Loss {
    fn in_words(&self, phase: Phase) -> String {
        match self {
            Self::TimedOut => format!("the relay did not answer {phase} in time"),
            Self::Connection(cause) => format!("the connection was lost at {phase}: {cause}"),
            Self::OutOfStep(code) => format!("the relay answered {phase} out of step: {code}"),
        }
    }
}

/// lettre gives refusals as errors; here they are replies.
fn read(result: Result<Response, Error>) -> Result<Reply, Error> {
    match result {
        Ok(response) => Ok(Reply { code: response.code().into(), text: response.message().collect::<Vec<_>>().join(" ") }),
        Err(e) => match e.status() {
            Some(code) => Ok(Reply { code: code.into(), text: std::error::Error::source(&e).map(ToString::to_string).unwrap_or_default() }),
            None => Err(e),
        },
    }
}

// What the system said, without lettre's own words around it.
fn cause(e: &Error) -> String {
    match std::error::Error::source(e) {
        Some(source) if source.to_string() == "incomplete response" => "the relay closed it".to_owned(),
        Some(source) => source.to_string(),
        None => e.to_string(),
    }
}
