//! Sessions with relays that misbehave: every way of going wrong has one outcome, and the next mail goes to the right person.

use crate::support::{
    certificate,
    relay::{Act, FaultyRelay, Offer, Point},
};
use std::{borrow::Cow, time::Duration};
use tidings::{
    base::address::EmailAddress,
    delivery::{
        relay::{ConnectError, Deadlines, Envelope, Fault, HandOver, Relay, RelayUrl, Roots, Session},
        reply::{Outcome, Phase},
    },
};
use tokio::time::Instant;

const MAIL_TIME: Duration = Duration::from_secs(10);
const REFUSED: Outcome = Outcome::Failed { refused_address: false };
const NO_SUCH_ADDRESS: Outcome = Outcome::Failed { refused_address: true };

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).expect("an address")
}

fn short() -> Deadlines {
    let short = Duration::from_millis(400);
    Deadlines { connect: short, tls: short, greeting: short, auth: short, mail: short, rcpt: short, data: short, body: short, quit: short }
}

fn relay(url: &str, deadlines: Deadlines) -> Relay {
    let roots = Roots::These(vec![certificate::der()]);
    Relay::with(&RelayUrl::parse(url).expect("a URL"), "worker.example.org", deadlines, &roots).expect("a relay")
}

async fn session(to: &FaultyRelay) -> Session {
    relay(&to.url(), short()).connect().await.expect("a session")
}

fn message(number: usize, to: &str) -> String {
    format!(
        "From: <tips@example.org>\r\nTo: <{to}>\r\nMessage-ID: <{number}@example.org>\r\n\r\n.a line that begins with a dot\r\nthe end\r\n"
    )
}

async fn hand_over(session: &mut Session, number: usize, to: &str) -> HandOver {
    hand_over_before(session, number, to, Instant::now() + MAIL_TIME).await
}

async fn hand_over_before(session: &mut Session, number: usize, to: &str, before: Instant) -> HandOver {
    let (from, recipient, message_id) = (address("bounces@example.org"), address(to), format!("<{number}@example.org>"));
    let envelope = Envelope { from: &from, to: &recipient, message_id: &message_id };
    session.hand_over(&envelope, message(number, to).into_bytes(), before).await
}

/// All kinds of servers: with and without pipelining, and one that takes DATA though there is nobody to send it to.
fn offers() -> [Offer; 3] {
    [(true, false), (true, true), (false, false)].map(|(pipelining, data_to_nobody)| Offer {
        pipelining,
        data_to_nobody,
        keep: true,
        ..Offer::default()
    })
}

#[tokio::test]
async fn a_mail_arrives_as_it_was_made() {
    for offer in offers() {
        let server = FaultyRelay::with(offer).await;
        let mut session = session(&server).await;
        let done = hand_over(&mut session, 1, "ana@example.org").await;
        assert_eq!((done.outcome, done.body_begun, done.session_usable), (Outcome::Accepted, true, true), "{done:?}");
        assert_eq!(done.reply.expect("a reply").to_string(), "250 2.0.0 taken");
        let bodies = server.bodies();
        assert_eq!(String::from_utf8_lossy(&bodies[0].mail), message(1, "ana@example.org"));
        assert_eq!(server.accepted(), [("<1@example.org>".to_owned(), "ana@example.org".to_owned())]);
        session.quit().await;
        assert_eq!(server.lines().last().map(String::as_str), Some("QUIT"));
        assert!(server.lines().contains(&"MAIL FROM:<bounces@example.org>".to_owned()), "{:?}", server.lines());
    }
}

#[tokio::test]
async fn each_point_where_the_connection_ends_has_its_outcome() {
    let mut cases = Vec::new();
    for offer in offers() {
        for ending in [Act::Drop, Act::HalfClose, Act::Abort, Act::Silence] {
            for (point, outcome) in [
                (Point::Mail, Outcome::Reconnect),
                (Point::Rcpt, Outcome::Reconnect),
                (Point::Data, Outcome::Reconnect),
                (Point::MidBody, Outcome::NoAnswer),
                (Point::Dot, Outcome::NoAnswer),
            ] {
                cases.push(the_connection_ends(offer.clone(), ending.clone(), point, outcome));
            }
        }
    }
    futures_util::future::join_all(cases).await;
}

async fn the_connection_ends(offer: Offer, ending: Act, point: Point, outcome: Outcome) {
    let case = format!("{ending:?} at {point:?}, {offer:?}");
    let server = FaultyRelay::with(offer).await;
    server.behave(move |seen| if seen.point == point && seen.mail == 1 { ending.clone() } else { Act::Go });
    let mut session = session(&server).await;
    assert_eq!(hand_over(&mut session, 1, "ana@example.org").await.outcome, Outcome::Accepted, "{case}");
    let done = hand_over(&mut session, 2, "ben@example.org").await;
    let begun = outcome == Outcome::NoAnswer;
    assert_eq!((done.outcome, done.body_begun, done.session_usable), (outcome, begun, false), "{case}: {done:?}");
    assert!(done.trouble.is_some() && !done.reason().contains("ben"), "{case}: {done:?}");
    // A lost session says so, and touches nothing.
    let after = hand_over(&mut session, 3, "eva@example.org").await;
    assert_eq!((after.outcome, after.body_begun), (Outcome::Reconnect, false), "{case}");
    assert_eq!(server.accepted().len(), 1, "{case}");
}

#[tokio::test]
async fn a_refusal_concerns_one_mail_and_the_next_goes_to_the_right_person() {
    for offer in offers() {
        for (point, reply, outcome) in [
            (Point::Mail, "451 4.3.0 later", Outcome::Deferred),
            (Point::Mail, "550 5.7.1 no", REFUSED),
            (Point::Rcpt, "450 4.2.0 greylisted, come back", Outcome::Deferred),
            (Point::Rcpt, "550 5.1.1 <ben@example.org>: no such user", NO_SUCH_ADDRESS),
            (Point::Rcpt, "550-5.1.1 first line\r\n550 5.1.1 second line", NO_SUCH_ADDRESS),
            (Point::Rcpt, "550 5.7.26 not authenticated", Outcome::AuthenticationRefused),
            (Point::Data, "451 4.3.0 later", Outcome::Deferred),
            (Point::Data, "554 5.5.1 no", REFUSED),
            (Point::Dot, "452 4.3.1 full", Outcome::Deferred),
            (Point::Dot, "554 5.7.1 spam", REFUSED),
            (Point::Dot, "550 5.7.515 not authenticated", Outcome::AuthenticationRefused),
        ] {
            let server = FaultyRelay::with(offer.clone()).await;
            server.behave(move |seen| if seen.point == point && seen.mail == 1 { Act::from(reply) } else { Act::Go });
            let mut session = session(&server).await;
            let mut outcomes = Vec::new();
            for (number, to) in ["ana", "ben", "eva", "ida"].iter().enumerate() {
                let done = hand_over(&mut session, number, &format!("{to}@example.org")).await;
                assert!(done.session_usable, "{reply} at {point:?}: {done:?}");
                assert!(!done.reason().contains("@example.org"), "{}", done.reason());
                assert_eq!(done.body_begun, number != 1 || point == Point::Dot);
                outcomes.push(done.outcome);
            }
            let case = format!("{reply} at {point:?}, pipelining {}", offer.pipelining);
            assert_eq!(outcomes, [Outcome::Accepted, outcome, Outcome::Accepted, Outcome::Accepted], "{case}");
            let expected = [(0, "ana"), (2, "eva"), (3, "ida")].map(|(n, to)| (format!("<{n}@example.org>"), format!("{to}@example.org")));
            assert_eq!(server.accepted(), expected, "{case}");
            assert_eq!(server.opened(), 1, "{case}");
        }
    }
}

#[tokio::test]
async fn four_two_one_reconnects_at_every_point() {
    for offer in offers() {
        for point in [Point::Mail, Point::Rcpt, Point::Data, Point::Dot] {
            let server = FaultyRelay::with(offer.clone()).await;
            server.behave(
                move |seen| {
                    if seen.point == point { Act::SayAndDrop(Cow::Borrowed("421 4.3.2 shutting down")) } else { Act::Go }
                },
            );
            let mut session = session(&server).await;
            let done = hand_over(&mut session, 1, "ana@example.org").await;
            assert_eq!((done.outcome, done.session_usable), (Outcome::Reconnect, false), "{point:?}: {done:?}");
            assert_eq!(done.body_begun, point == Point::Dot);
            assert_eq!(done.reply.expect("the 421").code, 421);
            assert!(server.accepted().is_empty());
        }
    }
}

#[tokio::test]
async fn an_accepted_mail_whose_connection_drops_is_accepted_if_the_answer_was_read() {
    let server = FaultyRelay::start().await;
    server.behave(|seen| if seen.point == Point::Dot { Act::SayAndDrop(Cow::Borrowed("250 2.0.0 taken")) } else { Act::Go });
    let mut session = session(&server).await;
    assert_eq!(hand_over(&mut session, 1, "ana@example.org").await.outcome, Outcome::Accepted);
    // The relay has gone; the next mail finds out before its body.
    let done = hand_over(&mut session, 2, "ben@example.org").await;
    assert_eq!((done.outcome, done.body_begun, done.session_usable), (Outcome::Reconnect, false, false), "{done:?}");
    session.quit().await;
}

#[tokio::test]
async fn a_slow_relay_does_not_get_a_body_whose_mark_is_old() {
    for offer in offers() {
        for point in [Point::Mail, Point::Rcpt, Point::Data] {
            let server = FaultyRelay::with(offer.clone()).await;
            server.behave(move |seen| if seen.point == point { Act::Wait(Duration::from_millis(150)) } else { Act::Go });
            let mut session = session(&server).await;
            let before = Instant::now() + Duration::from_millis(60);
            let done = hand_over_before(&mut session, 1, "ana@example.org", before).await;
            assert_eq!((done.outcome, done.body_begun, done.session_usable), (Outcome::GivenUp, false, false), "{point:?}: {done:?}");
            drop(session);
            crate::support::until("the connection is closed", || server.open() == 0).await;
            assert!(server.bodies().is_empty(), "a body began after its mark was given up");
        }
    }
}

#[tokio::test]
async fn a_tarpit_holds_a_session_no_longer_than_its_deadline() {
    let server = FaultyRelay::start().await;
    server.behave(|seen| if seen.point == Point::Dot { Act::Trickle(Duration::from_millis(100)) } else { Act::Go });
    let mut session = session(&server).await;
    let start = Instant::now();
    let done = hand_over(&mut session, 1, "ana@example.org").await;
    assert_eq!((done.outcome, done.body_begun), (Outcome::NoAnswer, true));
    assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_cancelled_hand_over_costs_the_session_and_no_other_mail() {
    let server = FaultyRelay::start().await;
    server.behave(|seen| if seen.point == Point::Rcpt && seen.mail == 0 { Act::Wait(Duration::from_millis(100)) } else { Act::Go });
    let mut session = session(&server).await;
    let cancelled = tokio::time::timeout(Duration::from_millis(20), hand_over(&mut session, 1, "ana@example.org")).await;
    assert!(cancelled.is_err());
    assert_eq!(hand_over(&mut session, 2, "ben@example.org").await.outcome, Outcome::Reconnect);
}

#[tokio::test]
async fn a_refused_reset_and_answers_out_of_step_end_the_session_before_any_body() {
    for offer in offers() {
        for (point, reply) in [(Point::Reset, "502 5.5.1 no RSET here"), (Point::Data, "250 2.0.0 not 354"), (Point::Mail, "354 what?")] {
            let server = FaultyRelay::with(offer.clone()).await;
            server.behave(move |seen| match seen.point {
                Point::Rcpt if seen.mail == 0 => Act::from("550 5.1.1 no such user"),
                at if at == point && (seen.mail > 0 || at == Point::Reset) => Act::from(reply),
                _ => Act::Go,
            });
            let mut session = session(&server).await;
            assert_eq!(hand_over(&mut session, 1, "ana@example.org").await.outcome, NO_SUCH_ADDRESS);
            let done = hand_over(&mut session, 2, "ben@example.org").await;
            let case = format!("{reply}, pipelining {}: {done:?}", offer.pipelining);
            assert_eq!((done.outcome, done.body_begun, done.session_usable), (Outcome::Reconnect, false, false), "{case}");
            assert!(server.bodies().is_empty(), "{case}");
        }
    }
}

#[tokio::test]
async fn an_empty_mail_to_nobody_is_never_taken_for_ours() {
    let server = FaultyRelay::with(Offer { data_to_nobody: true, keep: true, ..Offer::default() }).await;
    server.behave(|seen| match (seen.point, seen.mail) {
        (Point::Rcpt, 0) => Act::from("550 5.1.1 no such user"),
        // The server says yes to the empty mail.
        (Point::Dot, 0) => Act::from("250 2.0.0 taken"),
        _ => Act::Go,
    });
    let mut session = session(&server).await;
    let done = hand_over(&mut session, 1, "ana@example.org").await;
    assert_eq!((done.outcome, done.body_begun, done.session_usable), (NO_SUCH_ADDRESS, false, true), "{done:?}");
    assert_eq!(hand_over(&mut session, 2, "ben@example.org").await.outcome, Outcome::Accepted);
    assert_eq!(server.accepted(), [("<2@example.org>".to_owned(), "ben@example.org".to_owned())]);
    assert_eq!(server.opened(), 1);
}

#[tokio::test]
async fn letters_beyond_ascii_need_a_relay_that_takes_them() {
    for smtputf8 in [true, false] {
        let server = FaultyRelay::with(Offer { smtputf8, keep: true, ..Offer::default() }).await;
        let mut session = session(&server).await;
        let done = hand_over(&mut session, 1, "jörg@bücher.example").await;
        match smtputf8 {
            true => {
                assert_eq!(done.outcome, Outcome::Accepted, "{done:?}");
                assert!(server.lines().contains(&"MAIL FROM:<bounces@example.org> BODY=8BITMIME SMTPUTF8".to_owned()));
                assert_eq!(server.accepted()[0].1, "jörg@xn--bcher-kva.example");
            }
            false => {
                assert_eq!((done.outcome, done.body_begun, done.session_usable), (REFUSED, false, true));
                assert!(done.reason().contains("SMTPUTF8") && !done.reason().contains("jörg"), "{}", done.reason());
            }
        }
        assert_eq!(hand_over(&mut session, 2, "ana@bücher.example").await.outcome, Outcome::Accepted);
    }
}

#[tokio::test]
async fn replies_out_of_the_ordinary_are_read_all_the_same() {
    for (reply, outcome, reason) in [
        (&b"550 5.7.1 Empf\xe4nger"[..], REFUSED, "550 5.7.1 Empf?nger"),
        (b"250", Outcome::Accepted, "250 "),
        (b"250-one\n250", Outcome::Accepted, "250 one"),
    ] {
        let server = FaultyRelay::start().await;
        server.behave(move |seen| if seen.point == Point::Dot { Act::SayBytes(reply) } else { Act::Go });
        let mut session = session(&server).await;
        let done = hand_over(&mut session, 1, "ana@example.org").await;
        assert_eq!((done.outcome, done.reason().as_str()), (outcome, reason), "{done:?}");
    }
}

async fn refused_connection(relay: &Relay) -> ConnectError {
    relay.connect().await.expect_err("no session")
}

#[tokio::test]
async fn a_relay_that_is_not_there_or_says_no_is_named_with_the_reason() {
    let nowhere = {
        let gone = FaultyRelay::start().await;
        gone.url()
    };
    let error = refused_connection(&relay(&nowhere, short())).await;
    assert!(matches!(error.fault, Fault::Unreachable(_)) && error.to_string().contains("127.0.0.1:"), "{error}");
    for (point, act, expected) in [
        (Point::Greeting, Act::from("554 5.7.1 not you"), "refused the connection at the greeting: 554 5.7.1 not you"),
        (Point::Greeting, Act::from("421 4.3.2 too many connections"), "421 4.3.2 too many connections"),
        (Point::Greeting, Act::Drop, "broke off at the greeting: the relay closed it"),
        (Point::Greeting, Act::Silence, "did not answer the greeting within 0 s"),
        (Point::Hello, Act::from("550 5.7.1 no EHLO"), "550 5.7.1 no EHLO"),
        (Point::Hello, Act::Drop, "the relay closed it"),
    ] {
        let server = FaultyRelay::start().await;
        server.behave(move |seen| if seen.point == point { act.clone() } else { Act::Go });
        let error = refused_connection(&relay(&server.url(), short())).await;
        assert!(error.to_string().contains(expected) && !error.is_authentication(), "{error}");
    }
}

#[tokio::test]
async fn a_login_is_accepted_or_refused_and_never_sent_in_the_clear_unasked() {
    for mechanisms in ["PLAIN LOGIN", "LOGIN"] {
        let server = FaultyRelay::with(Offer { login: Some(("tips", "p@ss")), mechanisms, ..Offer::default() }).await;
        let url = |password: &str, tls: &str| format!("smtp://tips:{password}@{}?tls={tls}", server.address);
        let mut session = relay(&url("p%40ss", "none"), short()).connect().await.expect("a session");
        assert_eq!(hand_over(&mut session, 1, "ana@example.org").await.outcome, Outcome::Accepted);
        let error = refused_connection(&relay(&url("wrong", "none"), short())).await;
        assert!(error.is_authentication() && !format!("{error}{error:?}").contains("wrong@"), "{error}");
        for tls in ["required", "opportunistic"] {
            let error = refused_connection(&relay(&url("p%40ss", tls), short())).await;
            assert!(matches!(error.fault, Fault::TlsNotOffered), "{error}");
        }
    }
    let server = FaultyRelay::start().await;
    let error = refused_connection(&relay(&format!("smtp://tips:p@{}?tls=none", server.address), short())).await;
    assert!(matches!(error.fault, Fault::AuthenticationNotOffered) && error.is_authentication());
}

#[tokio::test]
async fn mail_goes_over_tls_when_the_url_says_so() {
    for (scheme, parameter, starttls) in [("smtp", "?tls=required", true), ("smtp", "?tls=opportunistic", true), ("smtps", "", false)] {
        let offer = Offer { starttls, implicit_tls: !starttls, login: Some(("tips", "pass")), keep: true, ..Offer::default() };
        let server = FaultyRelay::with(offer).await;
        let url = format!("{scheme}://tips:pass@{}{parameter}", server.address);
        let slow_machine = Deadlines::default();
        let mut session = relay(&url, slow_machine).connect().await.expect("a session over TLS");
        assert_eq!(hand_over(&mut session, 1, "ana@example.org").await.outcome, Outcome::Accepted, "{url}");
        assert_eq!(hand_over(&mut session, 2, "ben@example.org").await.outcome, Outcome::Accepted, "{url}");
        assert_eq!(server.lines().contains(&"STARTTLS".to_owned()), starttls);
        // Nobody vouches for this certificate.
        let url = RelayUrl::parse(&url).expect("a URL");
        let stranger = Relay::with(&url, "worker.example.org", slow_machine, &Roots::These(Vec::new())).expect("a relay");
        assert!(matches!(refused_connection(&stranger).await.fault, Fault::Tls(_)));
    }
}

#[tokio::test]
async fn opportunistic_tls_takes_any_certificate_and_none() {
    for starttls in [true, false] {
        let server = FaultyRelay::with(Offer { starttls, keep: true, ..Offer::default() }).await;
        let url = RelayUrl::parse(&format!("smtp://{}", server.address)).expect("a URL");
        let relay = Relay::with(&url, "worker.example.org", Deadlines::default(), &Roots::These(Vec::new())).expect("a relay");
        let mut session = relay.connect().await.expect("a session");
        assert_eq!(hand_over(&mut session, 1, "ana@example.org").await.outcome, Outcome::Accepted);
        assert_eq!(server.lines().contains(&"STARTTLS".to_owned()), starttls);
    }
    let plain = FaultyRelay::start().await;
    let error = refused_connection(&relay(&format!("smtp://{}?tls=required", plain.address), short())).await;
    assert!(matches!(error.fault, Fault::TlsNotOffered), "{error}");
}

#[tokio::test]
async fn a_host_far_away_costs_two_round_trips_a_mail() {
    let latency = Duration::from_millis(50);
    let server = FaultyRelay::with(Offer { latency, ..Offer::default() }).await;
    let mut session = session(&server).await;
    let start = Instant::now();
    for number in 0..5 {
        assert_eq!(hand_over(&mut session, number, "ana@example.org").await.outcome, Outcome::Accepted);
    }
    assert!(start.elapsed() < latency * 10 + Duration::from_millis(400), "{:?}", start.elapsed());
    assert_eq!(hand_over(&mut session, 9, "ana@example.org").await.phase, Phase::Body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_connections_hand_over_thousands_of_mails_a_second() {
    const CONNECTIONS: usize = 10;
    const EACH: usize = 500;
    let server = FaultyRelay::start().await;
    server.behave(|seen| {
        if seen.point == Point::Rcpt && seen.recipient.starts_with("no-") { Act::from("550 5.1.1 no such user") } else { Act::Go }
    });
    let relay = relay(&server.url(), Deadlines::default());
    let start = Instant::now();
    let mut sessions = tokio::task::JoinSet::new();
    for connection in 0..CONNECTIONS {
        let relay = relay.clone();
        sessions.spawn(async move {
            let mut session = relay.connect().await.expect("a session");
            for number in connection * EACH..(connection + 1) * EACH {
                let refused = number % 20 == 0;
                let to = format!("{}{number}@example.org", if refused { "no-" } else { "r" });
                let done = hand_over(&mut session, number, &to).await;
                assert_eq!(done.outcome, if refused { NO_SUCH_ADDRESS } else { Outcome::Accepted }, "{done:?}");
            }
            session.quit().await;
        });
    }
    while let Some(ended) = sessions.join_next().await {
        ended.expect("a session without a fault");
    }
    let rate = (CONNECTIONS * EACH) as f64 / start.elapsed().as_secs_f64();
    let accepted = server.accepted();
    assert!(accepted.iter().all(|(id, to)| id[1..].split('@').next() == Some(&to[1..to.len() - 12])), "a mail went to somebody else");
    assert_eq!(server.sums(), (CONNECTIONS * EACH * 19 / 20, 0));
    assert_eq!(server.opened(), CONNECTIONS);
    // Far below what it does (20,000 on two cores): a busy machine must not fail the test, waits of 40 ms must (225 a second).
    println!("{rate:.0} mails a second");
    assert!(rate > 1000.0, "{rate:.0} mails a second");
}
