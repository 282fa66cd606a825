//! The same mails without the ledger: claimed beforehand, made and handed over by the worker's own code, never marked or recorded.
//!
//! A process of its own, as a worker is one: this bench run again with the order in its arguments.

use std::{
    collections::HashMap,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tidings::{
    base::{
        clock::{Clock, SystemClock},
        config::Config,
        database,
        keys::Keyring,
    },
    delivery::{
        ledger::{
            claim::{self, Claimed},
            lease,
        },
        pump::letter::Letters,
        relay::Envelope,
    },
    jobs::App,
};
use tokio::{task::JoinSet, time::Instant};

use crate::ground::Field;

const WORD: &str = "without-the-ledger";

/// What this process is to do.
pub(crate) struct Order {
    connections: usize,
}

/// What came out.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Mails a second.
    pub(crate) rate: f64,
    /// Of a mail, on average.
    pub(crate) bytes: f64,
}

impl Order {
    /// The order among the arguments of this process, if there is one.
    pub(crate) fn among(mut arguments: impl Iterator<Item = String>) -> Option<Order> {
        arguments.find(|argument| argument == WORD)?;
        Some(Order { connections: arguments.next()?.parse().ok()? })
    }
}

/// Has another process hand over everything that is planned in `field`.
pub(crate) async fn measure(field: &Field, relay: &str, connections: usize) -> anyhow::Result<Outcome> {
    let mut command = tokio::process::Command::new(std::env::current_exe()?);
    command.env_clear().envs(field.environment(&[("TIDINGS_RELAYS__MAIN__URL", relay)])).arg(WORD).arg(connections.to_string());
    let output = command.stdin(Stdio::null()).output().await?;
    anyhow::ensure!(output.status.success(), "the null ledger failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Carries out `order` on the database and the relay of the environment, and prints the outcome.
pub(crate) async fn run(order: &Order) -> anyhow::Result<()> {
    let environment: HashMap<String, String> = std::env::vars().collect();
    let config = Arc::new(Config::load(None, &environment)?);
    let db = database::connect(environment.get("DATABASE_URL").context("DATABASE_URL")?, 4).await?;
    let app = App::new(config, db, Keyring::of_secret([7; 32]), Arc::new(SystemClock), [7; 32])?;
    let claimed = Arc::new(claim_all(&app).await?);
    let letters = Arc::new(Letters::new(app.setup.clone()));
    // What all mails share is read before, as it would be by the first few of a long edition.
    let first = letters.make(&letters.ready(claimed.first().context("nothing is planned")?).await?)?;
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..order.connections {
        connections.spawn(hand_over(app.clone(), letters.clone(), claimed.clone(), next.clone()));
    }
    while let Some(ended) = connections.join_next().await {
        ended??;
    }
    let outcome = Outcome { rate: claimed.len() as f64 / began.elapsed().as_secs_f64(), bytes: first.bytes.len() as f64 };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

async fn claim_all(app: &App) -> anyhow::Result<Vec<Claimed>> {
    let conn = &mut *app.setup.db.pool.acquire().await?;
    sqlx::query("UPDATE editions SET state = 'running', accepted = 1000").execute(&mut *conn).await?;
    let edition: i64 = sqlx::query_scalar("SELECT max(id) FROM editions").fetch_one(&mut *conn).await?;
    let worker = lease::register(&mut *conn, "null").await?;
    let mut claimed = Vec::new();
    loop {
        let claim = claim::edition(conn, worker, (edition, claim::Place::START), SystemClock.now(), 2_000).await?;
        if claim.taken.is_empty() {
            return Ok(claimed);
        }
        claimed.extend(claim.taken);
    }
}

async fn hand_over(app: App, letters: Arc<Letters>, claimed: Arc<Vec<Claimed>>, next: Arc<AtomicUsize>) -> anyhow::Result<()> {
    let mut session = app.setup.outlets.first().context("a relay")?.relay.connect().await?;
    while let Some(claimed) = claimed.get(next.fetch_add(1, Ordering::Relaxed)) {
        let letter = letters.make(&letters.ready(claimed).await?)?;
        let envelope = Envelope { from: &app.setup.return_path, to: &letter.to, message_id: &letter.message_id };
        let done = session.hand_over(&envelope, letter.bytes, Instant::now() + Duration::from_secs(10)).await;
        anyhow::ensure!(done.session_usable, "the relay broke off: {done:?}");
    }
    session.quit().await;
    Ok(())
}
