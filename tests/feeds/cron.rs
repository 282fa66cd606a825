//! Feeds on a cron line: looked at when it fires, by one worker, once; again sooner or later when that failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};
use tidings::base::fetch::Bounds;
use tidings::content::feeds::{self, Means, schedule};
use tidings::jobs::{self, App};
use tokio::sync::watch;

use super::rss;
use crate::support::TestApp;
use crate::support::https::{HttpsServer, Reply, answer, reach};
use crate::support::until;

const MONDAY: &str = "2026-01-12T06:00:00Z";

async fn app(url: &str) -> TestApp {
    let settings =
        [("TIDINGS_FEEDS__BLOG__URL", url), ("TIDINGS_FEEDS__BLOG__CRON", "30 7 * * *"), ("TIDINGS_FEEDS__BLOG__ZONE", "Europe/Berlin")];
    let relay = [("TIDINGS_DELIVERY__PRETEND", "true"), ("TIDINGS_RELAYS__MAIN__URL", "memory:")];
    TestApp::with(MONDAY, &[&settings[..], &relay].concat()).await
}

fn worker(app: &TestApp) -> App {
    let clock = Arc::new(app.clock.clone());
    let worker = App::with_outlets(app.config.clone().into(), app.db.clone(), app.keyring.clone(), clock, [7; 32], Vec::new());
    let mut worker = worker.expect("settings that suffice");
    worker.reach = reach(&[]);
    worker
}

/// Looks at what is due, as a job does; how many feeds were brought in or failed.
async fn look(app: &TestApp) -> usize {
    let (bounds, reach) = (Bounds::of(&app.config), reach(&[]));
    let means = Means { pool: &app.db.pool, bounds: &bounds, reach: &reach };
    let planned = schedule::planned(&app.config.feeds);
    let due = schedule::due(&mut app.db.pool.acquire().await.expect("a connection"), &planned, app.now()).await.expect("what is due");
    let mut done = 0;
    for planned in due {
        done += usize::from(schedule::run(&means, planned, app.now()).await.expect("a database").is_some());
    }
    done
}

async fn next(app: &TestApp) -> String {
    let feeds = feeds::list(&mut app.db.pool.acquire().await.expect("a connection")).await.expect("feeds");
    feeds[0].next_run_at.map(|at| at.to_string()).unwrap_or_default()
}

fn set(app: &TestApp, at: &str) {
    app.clock.set(at.parse::<Timestamp>().expect("an instant"));
}

#[tokio::test]
async fn a_worker_brings_a_feed_in_when_its_line_fires_and_not_before() {
    let server = HttpsServer::start(|_, _| answer("200 OK", &[], &rss(&[("House care", &["gutter", "boiler"])]))).await;
    let app = app(&server.url("/feed.xml")).await;
    let worker = Arc::new(worker(&app));
    let work = async || {
        let (_stop, told) = watch::channel(false);
        jobs::run_until_idle(worker.clone(), told).await.expect("work that ends well");
    };
    work().await;
    assert_eq!((server.heads().len(), next(&app).await.as_str()), (0, "2026-01-12T06:30:00Z"));
    set(&app, "2026-01-12T06:30:00Z");
    work().await;
    assert_eq!((server.heads().len(), next(&app).await.as_str()), (1, "2026-01-13T06:30:00Z"));
    let drafts: i64 = sqlx::query_scalar("SELECT count(*) FROM tips WHERE state = 'draft'").fetch_one(&app.db.pool).await.expect("a count");
    assert_eq!(drafts, 2);
    // Three days of downtime are one look.
    set(&app, "2026-01-16T12:00:00Z");
    work().await;
    assert_eq!((server.heads().len(), next(&app).await.as_str()), (2, "2026-01-17T06:30:00Z"));
}

#[tokio::test]
async fn many_workers_look_at_a_feed_once() {
    let server = HttpsServer::start(|_, _| answer("200 OK", &[], &rss(&[("House care", &["gutter"])]))).await;
    let app = app(&server.url("/feed.xml")).await;
    assert_eq!(look(&app).await, 0);
    set(&app, "2026-01-12T06:31:00Z");
    let (a, b, c, d) = tokio::join!(look(&app), look(&app), look(&app), look(&app));
    assert_eq!((a + b + c + d, server.heads().len()), (1, 1));
}

#[tokio::test]
async fn a_worker_that_dies_over_a_feed_keeps_it_from_others_only_for_a_while() {
    let silent = Arc::new(AtomicBool::new(true));
    let says = silent.clone();
    let server = HttpsServer::start(move |_, _| match says.load(Ordering::Relaxed) {
        true => Reply::SayAndWait(Vec::new()),
        false => answer("200 OK", &[], &rss(&[("House care", &["gutter"])])),
    })
    .await;
    let app = app(&server.url("/feed.xml")).await;
    look(&app).await;
    set(&app, "2026-01-12T06:30:00Z");
    {
        let dying = look(&app);
        tokio::select! {
            _ = dying => panic!("the server says nothing"),
            () = until("it is asked", || server.heads().len() == 1) => {}
        }
    }
    silent.store(false, Ordering::Relaxed);
    assert_eq!(look(&app).await, 0, "the claim holds");
    let statement = "UPDATE feeds SET claimed_until = now() - interval '1 second' WHERE claimed_until > now() + interval '10 minutes'";
    assert_eq!(sqlx::query(statement).execute(&app.db.pool).await.expect("a claim").rows_affected(), 1);
    assert_eq!((look(&app).await, next(&app).await.as_str()), (1, "2026-01-13T06:30:00Z"));
}

#[tokio::test]
async fn a_feed_that_fails_is_tried_again_at_growing_intervals_until_it_is_well() {
    let well = Arc::new(AtomicBool::new(false));
    let says = well.clone();
    let server = HttpsServer::start(move |_, _| match says.load(Ordering::Relaxed) {
        false => answer("500 Internal Server Error", &[], b""),
        true => answer("200 OK", &[], &rss(&[("House care", &["gutter"])])),
    })
    .await;
    let app = app(&server.url("/feed.xml")).await;
    look(&app).await;
    set(&app, "2026-01-12T06:30:00Z");
    for again in ["06:35", "06:45", "07:05", "07:45"] {
        assert_eq!(look(&app).await, 1);
        assert_eq!(next(&app).await, format!("2026-01-12T{again}:00Z"));
        app.wait(SignedDuration::from_secs(60));
        assert_eq!(look(&app).await, 0);
        set(&app, &next(&app).await);
    }
    well.store(true, Ordering::Relaxed);
    assert_eq!((look(&app).await, next(&app).await.as_str()), (1, "2026-01-13T06:30:00Z"));
    let feeds = feeds::list(&mut app.db.pool.acquire().await.expect("a connection")).await.expect("feeds");
    assert_eq!((feeds[0].failures, feeds[0].error.as_deref(), feeds[0].items), (0, None, 1));
}

#[tokio::test]
async fn a_cron_line_that_was_changed_holds_from_then_on() {
    let server = HttpsServer::start(|_, _| answer("200 OK", &[], &rss(&[]))).await;
    let mut app = app(&server.url("/feed.xml")).await;
    look(&app).await;
    app.config.feeds.get_mut("blog").expect("the feed").cron = "0 12 * * *".to_owned();
    assert_eq!((look(&app).await, next(&app).await.as_str()), (0, "2026-01-12T11:00:00Z"));
    app.config.feeds.clear();
    set(&app, "2026-01-14T11:00:00Z");
    assert_eq!((look(&app).await, server.heads().len()), (0, 0), "one that was taken out is looked at no more");
}
