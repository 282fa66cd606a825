//! The proof of a person's consent: for each topic what was asked, in which words, from where, and how it was confirmed or withdrawn;
//! and for each waitlist what happened to her entry.
//!
//! Read only; the rows behind it are append-only. Called by `tidings subscriber proof`.

mod store;

use super::person::waits::{self, EntryEvent, Waiting};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::PgConnection;
use std::fmt::Write;

/// The acts of one person, by topic.
#[derive(Debug, Serialize)]
pub struct Proof {
    /// Her id, which the rows bear.
    pub subscriber_id: i64,
    /// The topics that she ever had to do with, by name; last what concerned everything.
    pub topics: Vec<ProvedTopic>,
    /// Her entries on waitlists, the oldest first.
    pub waitlists: Vec<Waiting>,
}

/// The acts that concern one topic.
#[derive(Debug, Serialize)]
pub struct ProvedTopic {
    /// Its name; none: everything.
    pub topic: Option<String>,
    /// How she stands with it now; none where it is everything.
    pub standing: Option<String>,
    /// The acts, the oldest first.
    pub acts: Vec<ProvedAct>,
}

/// One act.
#[derive(Debug, Clone, Serialize)]
pub struct ProvedAct {
    /// When.
    pub at: Timestamp,
    /// asked, confirmed, withdrawn or restored; refused or expired for a sign-up that was never confirmed.
    pub act: String,
    /// operator, import, page, one_click, api, relay.
    pub source: String,
    /// The keyed hash of the network address that it came from, in hexadecimal digits.
    pub origin: Option<String>,
    /// The exact words agreed to, or the evidence that was given.
    pub wording: Option<String>,
}

/// Gathers the acts of a subscriber.
pub async fn find(conn: &mut PgConnection, subscriber_id: i64) -> sqlx::Result<Proof> {
    let mut topics: Vec<ProvedTopic> = Vec::new();
    for (topic, standing, act) in store::acts(conn, subscriber_id).await? {
        match topics.last_mut() {
            Some(last) if last.topic == topic => last.acts.push(act),
            _ => topics.push(ProvedTopic { topic, standing, acts: vec![act] }),
        }
    }
    Ok(Proof { subscriber_id, topics, waitlists: waits::of(conn, subscriber_id).await? })
}

impl Proof {
    /// The proof as a text for people.
    pub fn text(&self, email: &str, publisher: &str, now: Timestamp) -> String {
        let mut text = format!("Consent of {email} to letters from {publisher}\n");
        let _ = writeln!(text, "As recorded on {}; all times are UTC. Subscriber {}.", time(now), self.subscriber_id);
        if self.topics.is_empty() && self.waitlists.is_empty() {
            text.push_str("\nNo act is recorded: nobody ever asked for anything under this address.\n");
        }
        for topic in &self.topics {
            heading(&mut text, topic);
            topic.acts.iter().for_each(|act| write_act(&mut text, act));
        }
        for waiting in &self.waitlists {
            let _ = writeln!(text, "\nWaitlist of {}, entry {}: {}", waiting.program, waiting.entry, waiting.state);
            waiting.events.iter().for_each(|event| write_event(&mut text, event));
        }
        text
    }
}

fn heading(text: &mut String, topic: &ProvedTopic) {
    let _ = match (&topic.topic, &topic.standing) {
        (Some(name), Some(standing)) => writeln!(text, "\n{name}: {standing}"),
        (Some(name), None) => writeln!(text, "\n{name}: never confirmed"),
        (None, _) => writeln!(text, "\nEverything"),
    };
}

fn write_act(text: &mut String, act: &ProvedAct) {
    let _ = writeln!(text, "  {}  {} {}", time(act.at), act.act, from(&act.source));
    if let Some(origin) = &act.origin {
        let _ = writeln!(text, "      network address of the request, as a keyed hash: {origin}");
    }
    if let Some(wording) = &act.wording {
        let evidence = matches!(act.source.as_str(), "operator" | "import");
        let _ = writeln!(text, "      {}:", if evidence { "evidence given" } else { "in these words" });
        for line in wording.lines() {
            let _ = writeln!(text, "        {line}");
        }
    }
}

fn write_event(text: &mut String, event: &EntryEvent) {
    let by = match event.by.as_str() {
        "person" => "by herself",
        "operator" => "by an operator",
        _ => "by the rules of the waitlist",
    };
    let offer = event.offer.map(|id| format!(", offer {id}")).unwrap_or_default();
    let reason = event.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let _ = writeln!(text, "  {}  {} {by}{offer}{reason}", time(event.at), event.what.replace('_', " "));
}

fn from(source: &str) -> &str {
    match source {
        "operator" => "by an operator's act",
        "import" => "by an imported file",
        "page" => "on a page of ours",
        "one_click" => "with the button of a mail program (RFC 8058)",
        "api" => "through the API",
        "relay" => "by a relay's refusal",
        "mailto" => "by a mail to the unsubscribe address",
        other => other,
    }
}

fn time(at: Timestamp) -> String {
    at.strftime("%F %T").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_for_each_topic_what_was_asked_in_which_words_and_what_became_of_it() {
        let act = |at: &str, act: &str, source: &str, origin: Option<&str>, wording: Option<&str>| ProvedAct {
            at: at.parse().unwrap(),
            act: act.to_owned(),
            source: source.to_owned(),
            origin: origin.map(str::to_owned),
            wording: wording.map(str::to_owned),
        };
        let words = Some("Send me one tip a week about back care.\nI can leave at any time.");
        let topics = vec![
            ProvedTopic {
                topic: Some("Back care".to_owned()),
                standing: Some("unsubscribed".to_owned()),
                acts: vec![
                    act("2026-01-12T06:00:00Z", "asked", "page", Some("09af"), words),
                    act("2026-01-12T06:05:30Z", "confirmed", "page", Some("09af"), words),
                    act("2026-02-01T00:00:00Z", "withdrawn", "one_click", None, None),
                ],
            },
            ProvedTopic {
                topic: None,
                standing: None,
                acts: vec![act("2026-02-02T00:00:00Z", "withdrawn", "operator", None, Some("by letter"))],
            },
        ];
        let proof = Proof { subscriber_id: 41, topics, waitlists: Vec::new() };
        insta::assert_snapshot!(proof.text("ana@example.org", "Example Press", "2026-03-01T12:00:00Z".parse().unwrap()), @r"
        Consent of ana@example.org to letters from Example Press
        As recorded on 2026-03-01 12:00:00; all times are UTC. Subscriber 41.

        Back care: unsubscribed
          2026-01-12 06:00:00  asked on a page of ours
              network address of the request, as a keyed hash: 09af
              in these words:
                Send me one tip a week about back care.
                I can leave at any time.
          2026-01-12 06:05:30  confirmed on a page of ours
              network address of the request, as a keyed hash: 09af
              in these words:
                Send me one tip a week about back care.
                I can leave at any time.
          2026-02-01 00:00:00  withdrawn with the button of a mail program (RFC 8058)

        Everything
          2026-02-02 00:00:00  withdrawn by an operator's act
              evidence given:
                by letter
        ");
    }

    #[test]
    fn the_text_says_for_each_waitlist_what_happened_to_her_entry() {
        let event = |at: &str, what: &str, by: &str, offer, reason: Option<&str>| EntryEvent {
            at: at.parse().unwrap(),
            what: what.to_owned(),
            by: by.to_owned(),
            reason: reason.map(str::to_owned),
            offer,
            priority: None,
        };
        let asked_at = "2026-01-12T06:00:00Z".parse().unwrap();
        let waiting = Waiting {
            entry: 43,
            program: "Autumn course".to_owned(),
            state: "withdrawn".to_owned(),
            asked_at,
            joined_at: asked_at,
            confirmed_at: None,
            closed_at: None,
            priority: 0,
            misses: 0,
            barred: None,
            barred_at: None,
            offers: Vec::new(),
            events: vec![
                event("2026-01-12T06:00:00Z", "joined", "person", None, None),
                event("2026-01-13T06:00:00Z", "offered", "operator", Some(7), Some("she was promised a seat")),
                event("2026-01-15T06:00:00Z", "given_back", "person", Some(7), None),
            ],
        };
        let proof = Proof { subscriber_id: 41, topics: Vec::new(), waitlists: vec![waiting] };
        insta::assert_snapshot!(proof.text("ana@example.org", "Example Press", "2026-03-01T12:00:00Z".parse().unwrap()), @r"
        Consent of ana@example.org to letters from Example Press
        As recorded on 2026-03-01 12:00:00; all times are UTC. Subscriber 41.

        Waitlist of Autumn course, entry 43: withdrawn
          2026-01-12 06:00:00  joined by herself
          2026-01-13 06:00:00  offered by an operator, offer 7: she was promised a seat
          2026-01-15 06:00:00  given back by herself, offer 7
        ");
    }
}
