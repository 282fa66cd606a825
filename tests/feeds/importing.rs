//! What becomes of a feed's articles: drafts, each by itself, and nothing twice.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tidings::base::fetch::{Bounds, address};
use tidings::content::feeds::{self, Brought, Feed, FeedError, Item, Means};

use super::rss;
use crate::support::TestApp;
use crate::support::https::{HttpsServer, answer, reach};

async fn bring_in(app: &TestApp, url: &str, series: Option<&str>) -> Result<Brought, FeedError> {
    let (bounds, reach) = (Bounds::of(&app.config), reach(&[]));
    let means = Means { pool: &app.db.pool, bounds: &bounds, reach: &reach };
    let feed = Feed { url: address(url).expect("an address"), series: series.map(str::to_owned), approve: false };
    feeds::bring_in(&means, &feed, app.now()).await
}

fn items(brought: Result<Brought, FeedError>) -> Vec<Item> {
    match brought {
        Ok(Brought::Items(items)) => items,
        other => panic!("no items: {other:?}"),
    }
}

async fn number(app: &TestApp, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(&app.db.pool).await.expect(statement)
}

async fn standing(app: &TestApp) -> feeds::Standing {
    let conn = &mut *app.db.pool.acquire().await.expect("a connection");
    feeds::list(conn).await.expect("feeds").pop().expect("a feed")
}

/// A server whose feed can be changed; each version has a mark of its own.
async fn publisher(first: Vec<u8>) -> (HttpsServer, Arc<Mutex<Vec<u8>>>) {
    let feed = Arc::new(Mutex::new(first));
    let served = feed.clone();
    let server = HttpsServer::start(move |_, head| {
        let body = served.lock().expect("no holder panics").clone();
        let mark = format!("\"{}\"", body.len());
        match head.contains(&mark) {
            true => answer("304 Not Modified", &[], b""),
            false => answer("200 OK", &[("ETag", &mark)], &body),
        }
    });
    (server.await, feed)
}

#[tokio::test]
async fn new_articles_become_drafts_and_what_is_there_stays_as_it_is() {
    let app = TestApp::new().await;
    let (server, feed) = publisher(rss(&[("House care", &["gutter", "boiler"])])).await;
    let url = server.url("/feed.xml");
    assert_eq!(items(bring_in(&app, &url, Some("care")).await).len(), 1);
    let drafts = "SELECT count(*) FROM tips t JOIN series s ON s.id = t.series_id WHERE t.state = 'draft' AND s.name = 'care'";
    assert_eq!(number(&app, drafts).await, 2);
    assert!(matches!(bring_in(&app, &url, Some("care")).await, Ok(Brought::Unchanged(refused)) if refused.is_empty()));
    *feed.lock().expect("no holder panics") = rss(&[("Garden care", &["hedge", "lawn", "pond"]), ("House care", &["gutter", "boiler"])]);
    let found = items(bring_in(&app, &url, Some("care")).await);
    assert!(found.iter().all(|item| item.taken.is_ok()), "{found:?}");
    assert_eq!(number(&app, drafts).await, 5);
    assert_eq!(number(&app, "SELECT count(*) FROM article_revisions").await, 2, "what has not changed is not stored again");
    assert_eq!(number(&app, "SELECT count(*) FROM deliveries").await, 0);
    let standing = standing(&app).await;
    assert_eq!((standing.items, standing.failures, standing.succeeded_at), (2, 0, Some(app.now())));
    // Into another series it is a feed of its own, and fetched whole.
    assert_eq!(items(bring_in(&app, &url, None).await).len(), 2);
    assert_eq!(number(&app, "SELECT count(*) FROM tips t JOIN series s ON s.id = t.series_id WHERE s.name = 'tips'").await, 5);
}

#[tokio::test]
async fn an_article_that_fails_is_named_and_the_others_go_in() {
    let app = TestApp::new().await;
    let (server, feed) = publisher(rss(&[("House care", &["gutter"]), ("Nothing", &[]), ("Garden care", &["hedge"])])).await;
    let url = server.url("/feed.xml");
    let found = items(bring_in(&app, &url, None).await);
    assert_eq!(found.iter().map(|item| item.taken.is_ok()).collect::<Vec<_>>(), [true, false, true], "{found:?}");
    assert_eq!(number(&app, "SELECT count(*) FROM articles").await, 2);
    // It will be no better the next time: the feed is not fetched again, and the article still named.
    let Ok(Brought::Unchanged(refused)) = bring_in(&app, &url, None).await else { panic!("unchanged") };
    assert!(refused.len() == 1 && refused[0].item.contains("Nothing") && !refused[0].why.is_empty(), "{refused:?}");
    assert_eq!(standing(&app).await.refused, refused);

    // One that could not be stored may be the next time: the feed is fetched whole.
    let clash: Vec<u8> = String::from_utf8(rss(&[("House care", &["attic", "cellar"])]))
        .expect("text")
        .replace("/house-care<", "/archive/house-care<")
        .into();
    *feed.lock().expect("no holder panics") = clash;
    for _ in 0..2 {
        let found = items(bring_in(&app, &url, None).await);
        assert!(matches!(found[0].taken, Err(feeds::NotTaken::Store(_))), "{found:?}");
    }
}

#[tokio::test]
async fn of_two_entries_with_one_address_the_second_is_named_and_overwrites_nothing() {
    let app = TestApp::new().await;
    let twice: Vec<u8> = String::from_utf8(rss(&[("House care", &["gutter"]), ("Garden care", &["hedge"])]))
        .expect("text")
        .replace("/garden-care<", "/house-care<")
        .into();
    let (server, _feed) = publisher(twice).await;
    let url = server.url("/feed.xml");
    let found = items(bring_in(&app, &url, None).await);
    assert_eq!(found.iter().map(|item| item.taken.is_ok()).collect::<Vec<_>>(), [true, false], "{found:?}");
    let why = found[1].refused().expect("a reason").to_string();
    assert!(why.contains("two entries have the address `https://news.example.org/house-care`"), "{why}");
    assert_eq!(number(&app, "SELECT count(*) FROM article_revisions").await, 1);
}

#[tokio::test]
async fn a_series_whose_name_is_nearly_that_of_another_one_is_refused_and_the_feed_is_told() {
    let app = TestApp::new().await;
    let (server, _feed) = publisher(rss(&[("House care", &["gutter"])])).await;
    let url = server.url("/feed.xml");
    assert!(items(bring_in(&app, &url, Some("Back pain")).await)[0].taken.is_ok());
    let found = items(bring_in(&app, &url, Some("Back-pain")).await);
    let why = found[0].refused().expect("a reason").to_string();
    assert!(why.contains("`Back-pain` is too like that of the series `Back pain`"), "{why}");
    assert_eq!(number(&app, "SELECT count(*) FROM series").await, 1);
    let conn = &mut *app.db.pool.acquire().await.expect("a connection");
    let told = feeds::list(conn).await.expect("feeds");
    assert!(told.iter().any(|standing| standing.refused.iter().any(|refused| refused.why == why)), "{told:?}");
}

#[tokio::test]
async fn what_is_no_feed_is_told_written_down_and_counted() {
    let app = TestApp::new().await;
    let times = Arc::new(AtomicU32::new(0));
    let server = HttpsServer::start(move |_, _| match times.fetch_add(1, Ordering::Relaxed) {
        0 => answer("503 Service Unavailable", &[], b""),
        1 => answer("200 OK", &[], b"<!doctype html><html><body>Log in</body></html>"),
        _ => answer("200 OK", &[], &rss(&[("House care", &["gutter"])])),
    })
    .await;
    let url = server.url("/feed.xml?key=secret");
    let error = |brought: Result<Brought, FeedError>| brought.expect_err("an error").to_string();
    assert!(error(bring_in(&app, &url, None).await).contains("answered 503"));
    assert_eq!(
        error(bring_in(&app, &url, None).await),
        format!("`{}` is no feed: RSS, Atom or an export of WordPress was expected, and it is a page", server.url("/feed.xml"))
    );
    let failed = standing(&app).await;
    assert_eq!((failed.failures, failed.succeeded_at, failed.tried_at), (2, None, Some(app.now())));
    assert!(failed.error.is_some_and(|error| error.contains("it is a page") && !error.contains("secret")));
    assert_eq!(items(bring_in(&app, &url, None).await).len(), 1);
    assert_eq!((standing(&app).await.failures, standing(&app).await.error), (0, None));
}

#[tokio::test]
async fn two_who_bring_in_one_feed_at_once_make_one_set_of_tips() {
    let app = TestApp::new().await;
    let (server, _) = publisher(rss(&[("House care", &["gutter", "boiler"]), ("Garden care", &["hedge"])])).await;
    let url = server.url("/feed.xml");
    let (one, other) = tokio::join!(bring_in(&app, &url, None), bring_in(&app, &url, None));
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(number(&app, "SELECT count(*) FROM tips").await, 3);
    assert_eq!(number(&app, "SELECT count(*) FROM feeds").await, 1);
}
