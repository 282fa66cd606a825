//! Two workers of the usual designs, to compare with: one checkpoints when it fetches, one sends again what was being sent.
//!
//! Both are written as well as their designs allow, run as processes of their own, and are killed by the same dice at the same
//! relay and the same Postgres.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgPool, PgPoolOptions};
use tidings::base::address::EmailAddress;
use tidings::delivery::relay::{Envelope, Relay, RelayUrl, Session};
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

use super::Outcome;
use super::kills::kill_at_random;
use super::scene::{CONNECTIONS, Scene, far_away};
use crate::support::Worker;

/// Set in the process that is a reference worker: its design, the relay's URL.
const DESIGN: &str = "TIDINGS_LAB_DESIGN";
const RELAY: &str = "TIDINGS_LAB_RELAY";
/// What a batch of the first design takes.
const BATCH: i64 = 100;

/// How a reference worker remembers what it has done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Design {
    /// It moves its cursor on when it fetches a batch.
    CheckpointAtFetch,
    /// It marks a mail before it sends it, and queues what is so marked again when it starts.
    ResendWhatWasSending,
}

/// Kills a worker of this design so often, as F1 does with ours, then lets it come to its end.
pub(crate) async fn killed(design: Design, kills: usize, recipients: usize) -> Outcome {
    let scene = Scene::empty(far_away(4)).await;
    scene.story.tamper("CREATE TABLE reference_mails (id bigint PRIMARY KEY, address text NOT NULL, state text NOT NULL)").await;
    scene.story.tamper("CREATE INDEX ON reference_mails (id) WHERE state = 'queued'").await;
    scene.story.tamper("CREATE TABLE reference_cursor AS SELECT 0::bigint AS at").await;
    let people = format!("SELECT n, 'person-' || n || '@example.org', 'queued' FROM generate_series(1, {recipients}) AS n");
    scene.story.tamper(&format!("INSERT INTO reference_mails {people}")).await;
    let began = Instant::now();
    kill_at_random(&scene, kills, recipients, || start(&scene, design)).await;
    let mut last = start(&scene, design);
    assert!(last.ends_within(Duration::from_secs(120)).await.success(), "{}", last.said());
    let log = scene.relay.accepted();
    let mailed: BTreeSet<&str> = log.iter().map(|(_, to)| to.as_str()).collect();
    Outcome {
        fault: "F1".to_owned(),
        what: format!("reference: {}", if design == Design::CheckpointAtFetch { "checkpoint at fetch" } else { "resend what was sending" }),
        injected: kills,
        planned: recipients,
        sent: mailed.len(),
        lost: recipients - mailed.len(),
        twice: log.len() - mailed.len(),
        seconds: began.elapsed().as_secs_f64(),
        reference: true,
        ..Outcome::default()
    }
}

fn start(scene: &Scene, design: Design) -> Worker {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", "lab::reference::a_reference_worker_is_a_process_of_its_own", "--nocapture"]);
    command.env("DATABASE_URL", scene.story.app.database_url()).env(DESIGN, format!("{design:?}")).env(RELAY, scene.relay.url());
    Worker::start(command, scene.story.file("reference.log"))
}

/// Does a reference worker's work, if this process was started as one.
pub(crate) async fn work_if_this_is_one() -> bool {
    let Ok(design) = std::env::var(DESIGN) else { return false };
    let pool = PgPoolOptions::new().max_connections(10).connect(&std::env::var("DATABASE_URL").expect("a database")).await;
    let pool = pool.expect("the database");
    let url = RelayUrl::parse(&std::env::var(RELAY).expect("a relay")).expect("a URL");
    let relay = Arc::new(Relay::new(&url, "reference.example.org").expect("a relay"));
    match design == format!("{:?}", Design::CheckpointAtFetch) {
        true => checkpoint_at_fetch(&pool, &relay).await.expect("work"),
        false => resend_what_was_sending(&pool, &relay).await.expect("work"),
    }
    true
}

#[tokio::test]
async fn a_reference_worker_is_a_process_of_its_own() {
    // Without the variables this is an ordinary run of the tests, and nobody's worker.
    work_if_this_is_one().await;
}

async fn checkpoint_at_fetch(pool: &PgPool, relay: &Arc<Relay>) -> sqlx::Result<()> {
    let (stock, taking) = mpsc::channel::<(i64, String)>(BATCH as usize);
    let taking = Arc::new(Mutex::new(taking));
    let mut connections = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (relay, taking) = (relay.clone(), taking.clone());
        connections.spawn(async move {
            let mut session = relay.connect().await.expect("a session");
            loop {
                let next = taking.lock().await.recv().await;
                let Some((id, address)) = next else { return };
                send(&mut session, id, &address).await;
            }
        });
    }
    loop {
        let mut fetch = pool.begin().await?;
        let batch: Vec<(i64, String)> =
            sqlx::query_as("SELECT m.id, m.address FROM reference_mails m, reference_cursor c WHERE m.id > c.at ORDER BY m.id LIMIT $1")
                .bind(BATCH)
                .fetch_all(&mut *fetch)
                .await?;
        let Some((last, _)) = batch.last() else { break };
        sqlx::query("UPDATE reference_cursor SET at = $1").bind(last).execute(&mut *fetch).await?;
        fetch.commit().await?;
        for mail in batch {
            stock.send(mail).await.expect("connections that live");
        }
    }
    drop(stock);
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn resend_what_was_sending(pool: &PgPool, relay: &Arc<Relay>) -> sqlx::Result<()> {
    sqlx::query("UPDATE reference_mails SET state = 'queued' WHERE state = 'sending'").execute(pool).await?;
    let mut connections = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (relay, pool) = (relay.clone(), pool.clone());
        connections.spawn(async move {
            let mut session = relay.connect().await.expect("a session");
            while let Some((id, address)) = take_one(&pool).await? {
                send(&mut session, id, &address).await;
                sqlx::query("UPDATE reference_mails SET state = 'sent' WHERE id = $1").bind(id).execute(&pool).await?;
            }
            Ok::<(), sqlx::Error>(())
        });
    }
    while let Some(ended) = connections.join_next().await {
        ended.expect("no panic")?;
    }
    Ok(())
}

async fn take_one(pool: &PgPool) -> sqlx::Result<Option<(i64, String)>> {
    sqlx::query_as(
        "UPDATE reference_mails SET state = 'sending' WHERE id = (
            SELECT id FROM reference_mails WHERE state = 'queued' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING id, address",
    )
    .fetch_optional(pool)
    .await
}

async fn send(session: &mut Session, id: i64, address: &str) {
    let (from, to) = (EmailAddress::parse("tips@example.org"), EmailAddress::parse(address));
    let (from, to) = (from.expect("an address"), to.expect("an address"));
    let message_id = format!("<reference-{id}@example.org>");
    let mail =
        format!("From: {}\r\nTo: {}\r\nMessage-ID: {message_id}\r\nSubject: A tip\r\n\r\nKeep it dry.\r\n", from.as_given(), to.as_given());
    let envelope = Envelope { from: &from, to: &to, message_id: &message_id };
    session.hand_over(&envelope, mail.into_bytes(), Instant::now() + Duration::from_secs(60)).await;
}
