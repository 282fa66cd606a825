//! The logs of a whole run at their loudest: no address, no name, no link of anybody.

use tidings::base::keys::record;
use tidings::base::token::{self, Purpose, UnsubscribeToken};

use crate::support::relay::{Act, FaultyRelay, Point};
use crate::support::story::{Story, WEEKLY};
use crate::support::{Served, until};

const PEOPLE: i64 = 4;
/// The number of the person who signs up on the page.
const NEW: i64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_run_at_trace_names_nobody() {
    let relay = FaultyRelay::start().await;
    relay.behave(|seen| match (seen.point, seen.recipient.starts_with("person-3@")) {
        (Point::Rcpt, true) => Act::Say(format!("550 5.1.1 <{}>: no such user", seen.recipient).into()),
        _ => Act::Go,
    });
    let mut story = Story::new().await;
    story.app.may_leave_work();
    story.set("RUST_LOG", "trace,hyper=trace,hyper_util=trace,lettre=trace,sqlx=trace,sqlx::query=trace,apalis=trace,tidings=trace");
    story.set("TIDINGS_RELAYS__MAIN__URL", &relay.url());
    story.tips(1).await;
    story.set("TIDINGS_SIGNUP__MINIMUM_FILL", "0s");
    let mut said = imported(&story).await;
    said +=
        &story.aside(&["campaign", "create", "weekly", WEEKLY, "--series", WEEKLY, "--at", "Tue 09:00", "--zone", "Europe/London"]).await;
    said += &story.aside(&["campaign", "run", WEEKLY, "--yes"]).await;
    let links = links(&story).await;

    let mut served = story.serve().await;
    until("the mails are there", || relay.accepted().len() as i64 == PEOPLE - 1).await;
    for (link, method, body) in
        [(0, "GET", ""), (0, "HEAD", ""), (0, "POST", "List-Unsubscribe=One-Click"), (1, "POST", "scope=everything")]
    {
        let (status, _) = served.ask(method, &format!("/u/{}", links[link]), body).await;
        assert!(status < 500, "{method} {status}");
    }
    served.ask("GET", &format!("/u/{}?q=person-1@example.org", links[2]), "").await;
    sign_up(&story, &served, &relay).await;
    said += &story.aside(&["suppress", "add", "person-4@example.org", "--reason", "Person 4 wrote"]).await;
    said += &story.aside(&["subscriber", "erase", "person-2@example.org", "--yes"]).await;
    served.worker.terminate();
    assert!(served.worker.ends_within(std::time::Duration::from_secs(60)).await.success());
    said += &served.worker.said();

    for word in ["WARN tidings::jobs: mails go unsigned", "INFO tidings::cli::app: ending", "DEBUG tidings"] {
        assert!(said.contains(word), "it was loud, and `{word}` is in it:\n{said}");
    }
    let names = [1, 2, 3, 4, NEW].into_iter().flat_map(|n| [format!("person-{n}@"), format!("person {n}"), format!("person%20{n}")]);
    let traces: Vec<String> = names.chain(links.iter().map(|link| link.to_lowercase())).collect();
    let leaks: Vec<&str> = said.lines().filter(|line| traces.iter().any(|trace| line.to_lowercase().contains(trace))).collect();
    assert!(leaks.is_empty(), "{} lines of {}: {leaks:#?}", leaks.len(), said.lines().count());
}

/// From the form to the welcome, her preferences and her data.
async fn sign_up(story: &Story, served: &Served, relay: &FaultyRelay) {
    let (_, page) = served.ask("GET", "/subscribe", "").await;
    let stamp = page.split_once("name=\"stamp\" value=\"").and_then(|(_, rest)| rest.split_once('"')).expect("a stamp").0;
    let form = format!("stamp={stamp}&email=person-{NEW}%40example.org&name=Person+{NEW}&zone=Europe%2FLondon");
    for body in [form.as_str(), "email=person-5%40example.org", "email=person-5%40"] {
        assert!(served.ask("POST", "/subscribe", body).await.0 < 500);
    }
    let sent = || relay.accepted().iter().filter(|(_, to)| to.starts_with("person-5@")).count();
    until("the confirmation is there", || sent() == 1).await;
    let links = links(story).await;
    let (confirm, preferences) = (links.last().expect("a link"), &links[PEOPLE as usize * 2]);
    let (_, page) = served.ask("GET", &format!("/confirm/{confirm}"), "").await;
    let seen = page.split_once("name=\"seen\" value=\"").and_then(|(_, rest)| rest.split_once('"')).expect("what it shows").0;
    let press = format!("act=confirm&seen={seen}");
    for (method, path, body) in [
        ("POST", format!("/confirm/{confirm}"), press.as_str()),
        ("GET", format!("/preferences/{preferences}"), ""),
        ("POST", format!("/preferences/{preferences}"), "wish=name&name=Person+5"),
        ("GET", format!("/preferences/{preferences}x"), ""),
        ("POST", "/api/v1/subscriptions".to_owned(), "{\"email\": \"person-5@example.org\"}"),
    ] {
        assert!(served.ask(method, &path, body).await.0 < 500, "{method} {path}");
    }
    until("the welcome is there", || sent() == 2).await;
}

async fn imported(story: &Story) -> String {
    let file = story.file("people.csv");
    let rows: String = (1..=PEOPLE).map(|n| format!("person-{n}@example.org,Person {n}\n")).collect();
    std::fs::write(&file, format!("email,name\n{rows}")).expect("a file");
    let file = file.display().to_string();
    story.aside(&["import", "subscribers", &file, "--topic", WEEKLY, "--confirmed-because", "a test"]).await
}

/// Every token that a mail to one of them may carry.
async fn links(story: &Story) -> Vec<String> {
    let ring = record::open(&story.app.db.pool, &story.file("keys"), &ring::rand::SystemRandom::new()).await.expect("keys");
    let unsubscribe = (1..=PEOPLE).map(|subscriber_id| token::unsubscribe(&ring, UnsubscribeToken { subscriber_id, topic_id: 1 }));
    let preferences = (1..=NEW).map(|id| token::of_id(&ring, Purpose::Preferences, id));
    unsubscribe.chain(preferences).chain([token::of_id(&ring, Purpose::Confirm, 1)]).collect()
}
