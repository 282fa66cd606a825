//! Two hundred people leave at random moments of planning and sending, over a real relay.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use rand_chacha::rand_core::Rng;
use sqlx::query_scalar;
use tidings::campaigns::campaign::{self, NewWeekly};
use tidings::campaigns::states::FirstTip;
use tidings::campaigns::{edition, states::Late};
use tidings::jobs::{self, App};
use tidings::people::stop::{self, Scope, Source};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::TestApp;
use crate::support::relay::{Act, Body, FaultyRelay, Point};

/// More than a slice of the planning.
const PEOPLE: i64 = 5_400;
const LEAVERS: usize = 200;
/// Of them, those who leave while the relay keeps their mail waiting between its mark and its body.
const CAUGHT: i64 = 8;
/// A third of this is what a mark may be old when its body begins: 3 s, and the relay waits longer.
const LEASE: &str = "9s";
const KEPT_WAITING: Duration = Duration::from_millis(4_500);

/// How a leaving was answered, and what her delivery was at that moment.
struct Answer {
    person: i64,
    at: Instant,
    state: Option<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_of_two_hundred_who_left_is_mailed_later_than_the_promise_allows() {
    let relay = FaultyRelay::start().await;
    let settings =
        [("TIDINGS_RELAYS__MAIN__URL", &*relay.url()), ("TIDINGS_RELAYS__MAIN__CONNECTIONS", "20"), ("TIDINGS_DELIVERY__LEASE", LEASE)];
    let app = Arc::new(TestApp::with("2026-01-13T09:00:00Z", &settings).await);
    lay_out(&app).await;
    let (bodies, kept_waiting) = (watch::Sender::new(0), mpsc::unbounded_channel());
    let leaving = tokio::spawn(leave_at_random_moments(app.clone(), bodies.subscribe(), kept_waiting.1));
    misbehave(&relay, bodies, kept_waiting.0);

    let worker = App::new(app.config.clone().into(), app.db.clone(), app.keyring.clone(), Arc::new(app.clock.clone()), [7; 32])
        .expect("an application");
    let (_told, stop) = watch::channel(false);
    jobs::run_until_idle(Arc::new(worker), stop).await.expect("a worker");
    relay.behave_well();
    let answers = leaving.await.expect("answers");

    let begun = relay.bodies();
    assert_eq!(answers.len(), LEAVERS);
    answers.iter().for_each(|answer| keeps_the_promise(answer, &begun));
    let in_time = answers.iter().filter(|a| a.state.as_deref().is_none_or(|s| s == "skipped" || s == "queued")).count();
    assert!((20..LEAVERS - CAUGHT as usize).contains(&in_time), "{in_time} left before their mail did: the moments were not random");
    adds_up(&app, &begun).await;
}

fn keeps_the_promise(answer: &Answer, begun: &[Body]) {
    let hers = begun.iter().filter(|body| body.recipient == address(answer.person)).collect::<Vec<_>>();
    assert!(hers.len() <= 1, "{} mails to {}", hers.len(), answer.person);
    let late = hers.iter().map(|body| body.began.saturating_duration_since(answer.at)).max().unwrap_or_default();
    assert!(late < Duration::from_secs(10), "a body began {late:?} after the answer to {}", answer.person);
    assert_ne!(answer.state.as_deref(), Some("claimed"), "{} could still be marked after the answer", answer.person);
    if !matches!(answer.state.as_deref(), Some("handing_over" | "sent")) || answer.person <= CAUGHT {
        assert!(hers.is_empty(), "{} was {:?} at the answer and was mailed", answer.person, answer.state);
    }
}

// What the relay has is what the ledger says, and everyone who was planned is in one of two states.
async fn adds_up(app: &TestApp, begun: &[Body]) {
    let accepted: HashSet<&str> = begun.iter().filter(|b| b.accepted).map(|b| b.recipient.as_str()).collect();
    assert_eq!(accepted.len(), begun.len(), "each mail once");
    let sums: (i64, i64, i64, i64) = sqlx::query_as(
        "SELECT e.planned, count(*), count(*) FILTER (WHERE d.state = 'sent'),
            count(*) FILTER (WHERE d.state = 'skipped' AND d.reason IN ('unsubscribed', 'suppressed: unsubscribe_all'))
         FROM editions e JOIN deliveries d ON d.edition_id = e.id WHERE e.state = 'finished' GROUP BY e.id",
    )
    .fetch_one(&app.db.pool)
    .await
    .expect("an edition that is finished");
    let (planned, rows, sent, skipped) = sums;
    assert_eq!((planned, planned, sent as usize), (rows, sent + skipped, accepted.len()));
    assert!(planned <= PEOPLE && skipped > 0);
    let given: i64 = query_scalar("SELECT count(*) FROM segments_given").fetch_one(&app.db.pool).await.expect("a count");
    assert_eq!(given, sent);
}

// Each leaves when a number of bodies has begun, many of them at once with the planning; the caught when the relay says so.
async fn leave_at_random_moments(
    app: Arc<TestApp>,
    bodies: watch::Receiver<usize>,
    mut kept_waiting: mpsc::UnboundedReceiver<i64>,
) -> Vec<Answer> {
    let mut dice = app.dice("two hundred leave");
    let mut moments: HashMap<i64, usize> = HashMap::new();
    while moments.len() < LEAVERS - CAUGHT as usize {
        let person = CAUGHT + 1 + (dice.next_u64() % (PEOPLE - CAUGHT) as u64) as i64;
        moments.insert(person, (dice.next_u32() as usize % 6_000).saturating_sub(1_000));
    }
    let mut leaving = JoinSet::new();
    for (person, moment) in moments {
        let (app, mut bodies, pause) = (app.clone(), bodies.clone(), u64::from(dice.next_u32() % 300));
        leaving.spawn(async move {
            // The sender is gone when all is over: whoever still waits leaves then.
            let _ = bodies.wait_for(|begun| *begun >= moment).await;
            if moment == 0 {
                // No body begins before the planning is over: these leave at a moment of the dice while it goes on.
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            leave(&app, person).await
        });
    }
    while let Some(person) = kept_waiting.recv().await {
        let app = app.clone();
        leaving.spawn(async move { leave(&app, person).await });
    }
    leaving.join_all().await
}

async fn leave(app: &TestApp, person: i64) -> Answer {
    let scope = if person % 3 == 0 { Scope::Everything } else { Scope::Topic(1) };
    stop::unsubscribe(&app.db.pool, &app.keyring, person, scope, Source::OneClick, app.now()).await.expect("an answer");
    let at = Instant::now();
    let state = query_scalar("SELECT state FROM deliveries WHERE subscriber_id = $1")
        .bind(person)
        .fetch_optional(&app.db.pool)
        .await
        .expect("a state");
    Answer { person, at, state }
}

fn misbehave(relay: &FaultyRelay, bodies: watch::Sender<usize>, kept_waiting: mpsc::UnboundedSender<i64>) {
    let begun = AtomicUsize::new(0);
    relay.behave(move |seen| {
        let caught = (1..=CAUGHT).find(|person| seen.recipient == address(*person)).filter(|_| seen.before == 0);
        match (seen.point, caught) {
            (Point::Rcpt, Some(person)) => {
                let _ = kept_waiting.send(person);
                Act::Wait(KEPT_WAITING)
            }
            (Point::Dot, _) => {
                bodies.send_replace(begun.fetch_add(1, Ordering::Relaxed) + 1);
                Act::Go
            }
            _ => Act::Go,
        }
    });
}

fn address(person: i64) -> String {
    format!("p{person}@example.org")
}

/// A series with a tip, its people, and an edition that an operator runs now.
async fn lay_out(app: &TestApp) {
    sqlx::raw_sql(
        "INSERT INTO topics (slug, name) VALUES ('back-care', 'Back care');
         INSERT INTO series (name, topic_id, created_at) VALUES ('Back care', 1, now());
         INSERT INTO articles (series_id, slug, created_at) VALUES (1, 'backs', now());
         INSERT INTO article_revisions (article_id, number, title, format, source, fingerprint, imported_at) VALUES (1, 1, 'Backs', 'text', '', 'f', now());
         INSERT INTO segments (article_id, position, heading_path, fingerprint, article_revision_id, created_at) VALUES (1, 1, '{}', 'f', 1, now());
         INSERT INTO tips (series_id, segment_id, position, state, created_at) VALUES (1, 1, 1, 'approved', now());
         INSERT INTO tip_revisions (tip_id, number, subject, preheader, markdown, article_revision_id, because, created_at)
            VALUES (1, 1, 'Sit less', 'Stand up now and then.', 'Stand up *now* and then.', 1, 'import', now());
         UPDATE tips SET revision_id = 1;
         INSERT INTO subscribers (address, address_key, created_at)
            SELECT format('p%s@example.org', n), format('p%s@example.org', n), now() FROM generate_series(1, 5400) n ORDER BY n;
         INSERT INTO subscriptions SELECT id, 1, 'confirmed', now() FROM subscribers;
         ANALYZE;",
    )
    .execute(&app.db.pool)
    .await
    .expect("a series and its people");
    let mut conn = app.db.pool.acquire().await.expect("a connection");
    let new = NewWeekly {
        name: "tips",
        series: "Back care",
        at: Some("Tue 09:00"),
        cron: None,
        zone: "UTC",
        subscriber_zone: false,
        late: Late::Ask,
        tolerance: SignedDuration::from_hours(6),
        deadline: SignedDuration::from_hours(48),
        first_tip: FirstTip::Next,
    };
    campaign::create(&mut conn, new, app.now()).await.expect("a campaign");
    edition::run(&mut conn, "tips", true, app.now()).await.expect("an edition");
}
