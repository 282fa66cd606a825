//! The same from the terminal: exit codes, sentences and the shape of the JSON, with the real binary.

use std::fs;

use serde_json::Value;

use super::rss;
use crate::support::TestApp;

#[tokio::test]
async fn an_operator_imports_a_feed_from_a_file() {
    let app = TestApp::new().await;
    let file = app.folder().join("feed.xml");
    fs::write(&file, rss(&[("House care", &["gutter", "boiler"]), ("Nothing", &[])])).expect("a feed");
    let path = file.display().to_string();
    let run = |arguments: &[&str], code: i32| -> (String, String) {
        let done = app.binary().args(["import", "feed"]).args(arguments).assert().code(code);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        (text(&done.get_output().stdout), text(&done.get_output().stderr))
    };
    let json = |out: &str| serde_json::from_str::<Value>(out).expect("JSON");

    let (out, err) = run(&[&path, "--dry-run", "--json"], 1);
    let looked = json(&out);
    assert_eq!([&looked["items"][0]["outcome"], &looked["items"][1]["outcome"]], ["new", "refused"], "{out}");
    assert_eq!(looked["items"][0]["article"]["tips"].as_array().map(Vec::len), Some(2));
    assert!(err.contains("Nothing") && err.contains("1 of 2 articles could not be read"), "{err}");
    let tips = "SELECT count(*) || ' ' || count(*) FILTER (WHERE state = 'approved') FROM tips";
    let count = async || sqlx::query_scalar::<_, String>(tips).fetch_one(&app.db.pool).await.expect("a count");
    assert_eq!(count().await, "0 0");

    let (out, _) = run(&[&path, "--series", "care"], 1);
    assert!(
        out.contains("2 tips added to the series `care` as drafts") && out.ends_with("2 articles in the feed: 1 new, 1 refused.\n"),
        "{out}"
    );
    assert_eq!(count().await, "2 0");
    let (out, _) = run(&[&path, "--series", "care", "--json"], 1);
    assert_eq!(json(&out)["items"][0]["outcome"], "unchanged");
    assert!(json(&out)["items"][0].get("article").is_none());
    fs::write(&file, rss(&[("Garden care", &["hedge"])])).expect("a feed");
    run(&[&path, "--series", "care", "--approve"], 0);
    assert_eq!(count().await, "3 1");

    fs::write(&file, "<!doctype html><html><body><p>Log in</p></body></html>").expect("a page");
    assert!(run(&[&path], 1).1.contains("is no feed: RSS, Atom or an export of WordPress was expected, and it is a page"));
    assert!(run(&["https://127.0.0.1/feed.xml"], 1).1.contains("127.0.0.1, which is no public address"));
    assert!(run(&["https://localhost/feed.xml", "--dry-run"], 1).1.contains("which is no public address"));
    assert!(run(&["http://example.org/feed.xml"], 1).1.contains("is not https"));
    assert!(run(&[&path, "--series", " "], 1).1.contains("the series has no name"));
}

#[tokio::test]
async fn a_list_shows_how_each_feed_fares() {
    let app = TestApp::new().await;
    let list = |arguments: &[&str], settings: &[(&str, &str)]| -> String {
        let done = app.binary().args(["feed", "list"]).args(arguments).envs(settings.iter().copied()).assert().success();
        String::from_utf8(done.get_output().stdout.clone()).expect("text")
    };
    assert!(list(&[], &[]).starts_with("No feeds yet: `tidings import feed URL`"));
    app.binary().args(["import", "feed", "https://10.1.2.3/feed.xml?key=secret"]).assert().code(1);
    let settings = [("TIDINGS_FEEDS__BLOG__URL", "https://blog.example.org/feed"), ("TIDINGS_FEEDS__BLOG__CRON", "30 6 * * 1-5")];
    let shown: Value = serde_json::from_str(&list(&["--json"], &settings)).expect("JSON");
    assert_eq!([&shown[0]["name"], &shown[0]["cron"], &shown[0]["zone"]], ["blog", "30 6 * * 1-5", "UTC"], "{shown}");
    assert_eq!((&shown[0]["tried_at"], &shown[1]["name"], &shown[1]["failures"]), (&Value::Null, &Value::Null, &Value::from(1)), "{shown}");
    let table = list(&[], &settings);
    assert!(table.contains("not looked at yet") && table.contains("by hand") && table.contains("failed once"), "{table}");
}

#[tokio::test]
async fn a_feed_that_left_the_settings_is_said_to_and_can_be_forgotten() {
    let app = TestApp::new().await;
    let feed = |arguments: &[&str], settings: &[(&str, &str)], code: i32| -> (String, String) {
        let done = app.binary().arg("feed").args(arguments).envs(settings.iter().copied()).assert().code(code);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        (text(&done.get_output().stdout), text(&done.get_output().stderr))
    };
    let rows = "INSERT INTO feeds (url, series, schedule, next_run_at, tried_at, succeeded_at, items) VALUES
        ('https://blog.example.org/feed', 'care', '30 6 * * * UTC', now(), now(), now(), 3),
        ('https://blog.example.org/feed', '', NULL, NULL, now(), now(), 2)";
    sqlx::query(rows).execute(&app.db.pool).await.expect("two feeds");
    let json = |settings: &[(&str, &str)]| -> Value { serde_json::from_str(&feed(&["list", "--json"], settings, 0).0).expect("JSON") };
    let shown = json(&[]);
    assert_eq!([&shown[0]["kept"], &shown[0]["series"]], [&Value::from("by_hand"), &Value::Null], "{shown}");
    assert_eq!(
        [&shown[1]["kept"], &shown[1]["series"], &shown[1]["next_run_at"]],
        [&"not_in_the_settings".into(), &"care".into(), &Value::Null]
    );
    assert!(feed(&["list"], &[], 0).0.contains("not in the settings"));

    let url = "https://blog.example.org/feed";
    let settings =
        [("TIDINGS_FEEDS__BLOG__URL", url), ("TIDINGS_FEEDS__BLOG__SERIES", "care"), ("TIDINGS_FEEDS__BLOG__CRON", "30 6 * * *")];
    let (_, err) = feed(&["forget", url, "--series", "care"], &settings, 1);
    assert!(err.contains("is in the settings: take [feeds.blog] out of them first"), "{err}");
    assert!(feed(&["forget", "https://other.example.org/feed"], &[], 1).1.contains("`tidings feed list` shows the addresses"));
    assert!(feed(&["forget", url, "--series", "care"], &[], 0).0.contains("is forgotten; its articles and tips stay."));
    assert_eq!(json(&[]).as_array().map(Vec::len), Some(1));
    feed(&["forget", url], &[], 0);
    assert!(feed(&["list"], &[], 0).0.starts_with("No feeds yet"));
}
