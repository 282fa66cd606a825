//! F5 to F7: Postgres killed, cut off, frozen, and its disk filled, while a worker sends.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::time::Instant;

use super::Outcome;
use super::scene::{CONNECTIONS, Scene, end_in_order, far_away};
use crate::support::server::Server;
use crate::support::until;

/// Sending has to go on by itself within this time.
const BACK_WITHIN: Duration = Duration::from_secs(30);
/// Large enough for the cluster, its log and the deliveries, and soon filled.
const SMALL_DISK: u32 = 224;

/// How the database is taken away for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cut {
    /// Its port refuses, and open connections end.
    Refused,
    /// The network swallows every packet.
    Swallowed,
    /// The server's processes stand still.
    Frozen,
}

/// F5: killed and started again, so often.
pub(crate) async fn killed(times: usize, recipients: usize) -> Outcome {
    let mut server = Server::start().await;
    let scene = Scene::begin_on(&server, far_away(8), recipients).await;
    let mut worker = scene.story.worker(&[]);
    let mut slowest = Duration::ZERO;
    for outage in 1..=times {
        scene.until_more(recipients * 3 / 4 / times).await;
        server.kill().await;
        until("it says that it waits", || worker.said().matches("does not answer").count() >= outage).await;
        server.start_again().await;
        let back = Instant::now();
        until("it says that it goes on", || worker.said().matches("goes on").count() >= outage).await;
        goes_on(&scene).await;
        slowest = slowest.max(back.elapsed());
    }
    let left = recipients - scene.relay.sums().0;
    scene.finish().await;
    let mut outcome = scene.outcome("F5", "Postgres: kill -9 and started again".to_owned(), times, times * CONNECTIONS).await;
    end_in_order(&mut worker).await;
    let said = worker.said();
    let alarms: Vec<&str> = said.lines().filter(|line| line.contains("ERROR")).collect();
    outcome.claim(alarms.len() == times, format!("{} alarms for {times} outages: {alarms:#?}", alarms.len()));
    outcome.claim(left > 0, "it was over before the last");
    outcome.claim(slowest < BACK_WITHIN, format!("it went on after {slowest:?}"));
    outcome.remark = format!("went on within {:.1} s", slowest.as_secs_f64());
    server.stop().await;
    outcome
}

/// F6: out of reach for `time`, and back.
pub(crate) async fn cut_off(cut: Cut, time: Duration, recipients: usize) -> Outcome {
    let mut server = Server::start().await;
    let scene = Scene::begin_on(&server, far_away(8), recipients).await;
    let mut worker = scene.story.worker(&[]);
    scene.until_more(recipients / 4).await;
    let inside = server.inside();
    match cut {
        Cut::Refused => server.door.shut().await,
        Cut::Swallowed => server.door.jam(),
        Cut::Frozen => server.freeze(),
    }
    let cut_at = Instant::now();
    // The fault lasts so long.
    tokio::time::sleep(time).await;
    let after: Vec<Duration> = scene.relay.bodies().iter().filter_map(|body| body.began.checked_duration_since(cut_at)).collect();
    match cut {
        Cut::Refused => server.door.open(inside).await,
        Cut::Swallowed => server.door.free(),
        Cut::Frozen => server.thaw(),
    }
    let back = goes_on(&scene).await;
    scene.finish().await;
    let what = format!("Postgres {} for {} s", format!("{cut:?}").to_lowercase(), time.as_secs());
    let mut outcome = scene.outcome("F6", what, 1, CONNECTIONS).await;
    end_in_order(&mut worker).await;
    let last = after.iter().max().copied().unwrap_or_default();
    // Each connection may begin the one mail for which it has its mark.
    outcome.claim(after.len() <= CONNECTIONS, format!("{} bodies began after the cut, the last {last:?} later", after.len()));
    outcome.claim(back < BACK_WITHIN, format!("it went on after {back:?}"));
    outcome.remark =
        format!("{} bodies after the cut, the last {} ms later; went on after {:.1} s", after.len(), last.as_millis(), back.as_secs_f64());
    server.stop().await;
    outcome
}

/// F7: no byte left on its disk for `time`, then room again. Where nobody may make a small disk, the reason stands in the outcome.
pub(crate) async fn disk_full(time: Duration, recipients: usize) -> Outcome {
    let what = format!("the disk of Postgres full for {} s, then freed", time.as_secs());
    let mut server = match Server::start_small(SMALL_DISK).await {
        Ok(server) => server,
        Err(remark) => return Outcome { fault: "F7".to_owned(), what, remark, skipped_run: true, ..Outcome::default() },
    };
    let scene = Scene::begin_on(&server, far_away(8), recipients).await;
    let mut worker = scene.story.worker(&[]);
    scene.until_more(recipients / 4).await;
    server.fill();
    use_up_the_log(server.url()).await;
    until("it says that it waits", || worker.said().contains("does not answer")).await;
    let stopped = scene.relay.begun();
    // The fault lasts so long.
    tokio::time::sleep(time).await;
    let more = scene.relay.begun() - stopped;
    server.make_room();
    let died = !server.lives();
    if died {
        server.start_again().await;
    }
    let back = goes_on(&scene).await;
    let left = recipients - scene.relay.sums().0;
    scene.finish().await;
    let mut outcome = scene.outcome("F7", what, 1, CONNECTIONS).await;
    end_in_order(&mut worker).await;
    outcome.claim(more == 0, format!("{more} bodies began while nothing could be written"));
    outcome.claim(left > 0, "it was over before");
    outcome.claim(back < BACK_WITHIN, format!("it went on after {back:?}"));
    let server_said = if died { "Postgres ended and was started again" } else { "Postgres stayed up" };
    outcome.remark = format!("{server_said}; went on after {:.1} s", back.as_secs_f64());
    server.stop().await;
    outcome
}

// What is left of the write-ahead log's present files would last for thousands of mails.
async fn use_up_the_log(url: &str) {
    let Ok(mut conn) = PgConnection::connect(url).await else { return };
    let megabyte = "SELECT pg_logical_emit_message(false, 'ballast', repeat('x', 1000000))::text";
    for _ in 0..SMALL_DISK {
        // Err: it is used up, and the server has said so in its own way.
        if sqlx::query(megabyte).execute(&mut conn).await.is_err() {
            return;
        }
    }
}

/// How long it takes until mails leave again.
async fn goes_on(scene: &Scene) -> Duration {
    let back = Instant::now();
    scene.until_more(1).await;
    back.elapsed()
}
