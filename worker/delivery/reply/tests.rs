use super::*;
use Outcome::{Accepted, AuthenticationRefused, Deferred, NoAnswer, Reconnect};
use Phase::{Auth, Body, Connect, Data, Hello, Mail, Rcpt};
use proptest::prelude::*;

fn reply(line: &str) -> Reply {
    let (code, text) = line.split_once(' ').unwrap_or((line, ""));
    Reply { code: code.parse().unwrap(), text: text.to_owned() }
}

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

const FAILED: Outcome = Outcome::Failed { refused_address: false };
const NO_SUCH_ADDRESS: Outcome = Outcome::Failed { refused_address: true };

const TABLE: &[(Phase, &str, Option<Outcome>)] = &[
    (Connect, "220 relay.example.org ESMTP", None),
    (Connect, "421 4.3.2 too many connections", Some(Reconnect)),
    (Connect, "554 5.7.1 no mail from here", Some(Reconnect)),
    (Hello, "250 relay.example.org", None),
    (Hello, "502 5.5.1 not implemented", Some(Reconnect)),
    (Hello, "530 5.7.0 Must issue a STARTTLS command first", Some(AuthenticationRefused)),
    (Auth, "235 2.7.0 welcome", None),
    (Auth, "334 VXNlcm5hbWU6", None),
    (Auth, "535 5.7.8 bad credentials", Some(AuthenticationRefused)),
    (Auth, "534 5.7.9 mechanism too weak", Some(AuthenticationRefused)),
    (Auth, "504 5.5.4 unknown mechanism", Some(AuthenticationRefused)),
    (Auth, "454 4.7.0 temporary authentication failure", Some(Reconnect)),
    (Mail, "250 2.1.0 fine", None),
    (Mail, "530 5.7.0 authentication required", Some(AuthenticationRefused)),
    (Mail, "530 authentication required", Some(AuthenticationRefused)),
    (Mail, "550 5.7.60 may not send as this sender", Some(AuthenticationRefused)),
    (Mail, "553 5.1.8 sender's domain not found", Some(FAILED)),
    (Mail, "550 5.1.1 about the sender", Some(FAILED)),
    (Mail, "451 4.3.0 later", Some(Deferred)),
    (Mail, "421 4.7.0 later", Some(Reconnect)),
    (Rcpt, "250 2.1.5 fine", None),
    (Rcpt, "251 2.1.5 not here, will forward", None),
    (Rcpt, "450 4.2.0 greylisted", Some(Deferred)),
    (Rcpt, "452 4.2.2 mailbox full", Some(Deferred)),
    (Rcpt, "550 5.1.1 no such mailbox", Some(NO_SUCH_ADDRESS)),
    (Rcpt, "550 5.1.2 no such domain", Some(NO_SUCH_ADDRESS)),
    (Rcpt, "501 5.1.3 bad syntax", Some(NO_SUCH_ADDRESS)),
    (Rcpt, "556 5.1.10 null MX", Some(NO_SUCH_ADDRESS)),
    (Rcpt, "550 #5.1.1 no such mailbox", Some(NO_SUCH_ADDRESS)),
    (Rcpt, "550 5.1.0 address rejected", Some(FAILED)),
    (Rcpt, "550 5.1.11 something else", Some(FAILED)),
    (Rcpt, "550 4.1.1 class does not agree", Some(FAILED)),
    (Rcpt, "550 no such mailbox, without a code", Some(FAILED)),
    (Rcpt, "552 5.2.2 over quota", Some(FAILED)),
    (Rcpt, "550 5.7.1 refused by policy", Some(FAILED)),
    (Rcpt, "550 5.7.26 unauthenticated mail is prohibited", Some(AuthenticationRefused)),
    (Rcpt, "450 4.7.26 unauthenticated mail is slowed", Some(Deferred)),
    (Rcpt, "421 4.7.26 unauthenticated mail is slowed", Some(Reconnect)),
    (Rcpt, "421 4.3.2 shutting down", Some(Reconnect)),
    (Data, "354 go on", None),
    (Data, "451 4.3.0 later", Some(Deferred)),
    (Data, "554 5.5.1 no valid recipients", Some(FAILED)),
    (Data, "554 5.1.1 not to RCPT", Some(FAILED)),
    (Body, "250 2.0.0 queued", Some(Accepted)),
    (Body, "252 taken", Some(Accepted)),
    (Body, "354 what?", Some(NoAnswer)),
    (Body, "451 4.3.0 later", Some(Deferred)),
    (Body, "421 4.3.2 shutting down", Some(Reconnect)),
    (Body, "451 4.7.24 SPF check broke", Some(Deferred)),
    (Body, "550 5.7.515 sending domain does not meet the level", Some(AuthenticationRefused)),
    (Body, "550 5.7.509 does not pass DMARC", Some(AuthenticationRefused)),
    (Body, "550 5.7.20 no passing DKIM signature", Some(AuthenticationRefused)),
    (Body, "550 5.7.23 SPF", Some(AuthenticationRefused)),
    (Body, "550 5.7.28 mail flood", Some(FAILED)),
    (Body, "554 5.7.1 spam", Some(FAILED)),
    (Body, "550 5.1.1 not to RCPT", Some(FAILED)),
    (Body, "999 what?", Some(NoAnswer)),
    (Mail, "100 what?", Some(Reconnect)),
];

#[test]
fn every_reply_in_every_phase_has_one_meaning() {
    for (phase, line, expected) in TABLE {
        assert_eq!(outcome(*phase, &reply(line)), *expected, "{phase:?}: {line}");
    }
}

#[test]
fn an_enhanced_code_is_read_only_where_it_is_sound() {
    let read = |line: &str| reply(line).enhanced().map(|c| c.to_string());
    assert_eq!(read("550 5.1.1 <x>: unknown").as_deref(), Some("5.1.1"));
    assert_eq!(read("250 2.0.0").as_deref(), Some("2.0.0"));
    for line in
        ["550 5.1", "550 5.1.1.1 x", "550 5.1.x", "550 4.1.1 x", "550 5.1000.1 x", "550 text 5.1.1", "550 ", "354 3.0.0 x", "550 5..1"]
    {
        assert_eq!(read(line), None, "{line}");
    }
}

#[test]
fn a_temporary_refusal_is_the_relays_own_or_about_one_recipient() {
    for (phase, line, own) in [
        (Mail, "452 4.3.1 no space left", true),
        (Mail, "450 4.7.1 too many mails from you", true),
        (Rcpt, "450 4.2.0 greylisted", false),
        (Rcpt, "451 4.7.1 greylisted", false),
        (Rcpt, "452 4.2.2 mailbox full", false),
        (Rcpt, "451 4.3.0 later", false),
        (Rcpt, "451 later", false),
        (Rcpt, "452 4.3.1 no space left", true),
        (Rcpt, "451 4.3.2 takes nothing now", true),
        (Data, "451 later", true),
        (Body, "452 4.3.1 no space left", true),
        (Body, "451 4.7.1 greylisted", false),
        (Body, "452 4.2.2 mailbox full", false),
        (Body, "451 later", true),
    ] {
        assert_eq!(is_about_the_relay(phase, &recorded_without_recipient(&reply(line))), own, "{phase:?}: {line}");
    }
}

#[test]
fn the_recipient_is_blanked_in_every_spelling() {
    let blank = |to: &str, text: &str| recorded(&Reply { code: 550, text: text.to_owned() }, &address(to)).text;
    let to = "Jane.Doe+tips@Example.org";
    for (text, expected) in [
        ("5.1.1 <jane.doe+tips@example.org>: no such user", "5.1.1 <recipient>: no such user"),
        ("JANE.DOE+TIPS@EXAMPLE.ORG unknown", "<recipient> unknown"),
        ("see https://example.net/?to=jane.doe%2Btips%40example.org now", "see https://example.net/?to=<recipient> now"),
        ("bounce+jane.doe+tips=example.org@example.net", "bounce+<recipient>@example.net"),
        ("mailbox jane.doe@example.org is full", "mailbox <recipient> is full"),
        ("user jane.doe is unknown", "user <recipient> is unknown"),
        ("user 'Jane.Doe+tips' is unknown", "user '<recipient>' is unknown"),
        ("the domain example.org is known", "the domain example.org is known"),
        ("jane.doer stays", "jane.doer stays"),
    ] {
        assert_eq!(blank(to, text), expected);
    }
    assert_eq!(blank("no@example.org", "no such user no@example.org"), "no such user <recipient>");
    assert_eq!(blank("ana@bücher.example", "ana@bücher.example or ana@xn--bcher-kva.example"), "<recipient> or <recipient>");
    assert_eq!(blank("jörg@example.org", "J\u{d6}RG@example.org, j??rg@example.org"), "<recipient>, <recipient>");
}

#[test]
fn a_kept_reply_is_short_and_plain() {
    let long = Reply { code: 550, text: format!("5.1.1 {}\u{7}\r\n\t{}", "ana@example.org ".repeat(400), "x".repeat(3000)) };
    let kept = recorded(&long, &address("ana@example.org"));
    assert_eq!(kept.to_string().chars().count(), KEPT);
    assert!(!kept.text.contains("ana") && !kept.text.chars().any(char::is_control));
    assert_eq!(kept.enhanced.unwrap().to_string(), "5.1.1");
    assert_eq!(recorded_without_recipient(&reply("554 5.7.1 go\taway")).to_string(), "554 5.7.1 go away");
}

proptest! {
    #[test]
    fn no_reply_panics_and_none_keeps_the_recipient(code in 0u16..1000, before in "\\PC{0,40}", after in "\\PC{0,40}", upper: bool) {
        let recipient = address("ana.lind@example.org");
        let echoed = if upper { "ANA.LIND@EXAMPLE.ORG" } else { "ana.lind@example.org" };
        let reply = Reply { code, text: format!("{before}{echoed}{after}") };
        for phase in [Phase::Connect, Phase::Hello, Phase::Auth, Phase::Mail, Phase::Rcpt, Phase::Data, Phase::Body] {
            let positive = outcome(phase, &reply);
            prop_assert!(positive != Some(Outcome::Accepted) || (phase == Phase::Body && (200..300).contains(&code)));
        }
        let kept = recorded(&reply, &recipient);
        prop_assert!(!kept.text.to_lowercase().contains("ana.lind@example.org"));
        prop_assert!(kept.text.chars().count() <= KEPT);
    }
}
