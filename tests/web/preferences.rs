//! The preferences page over a real connection: what each form does and says, what changes nothing, and who is shown nothing.

use super::pages::{Answer, Pages};
use super::{MULTIPART, URLENCODED};
use jiff::SignedDuration;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use tidings::base::token::{self, Purpose};

struct Hers {
    pages: Pages,
    link: String,
}

impl Hers {
    async fn new() -> Self {
        let pages = Pages::new().await;
        let link = format!("/preferences/{}", token::of_id(&pages.app.keyring, Purpose::Preferences, pages.subscriber));
        Self { pages, link }
    }

    async fn post(&self, body: &str) -> Answer {
        self.pages.post(&self.link, URLENCODED, body).await
    }

    async fn said(&self, body: &str) -> String {
        let answer = self.post(body).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.body);
        let said = answer.body.split_once("role=\"status\">").and_then(|(_, rest)| rest.split_once("</p>"));
        said.unwrap_or_else(|| panic!("{body} says nothing: {}", answer.body)).0.to_owned()
    }

    async fn run(&self, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&self.pages.app.db.pool).await.expect("a statement");
    }

    async fn row(&self) -> String {
        let row = "SELECT concat_ws('|', coalesce(name, '-'), coalesce(zone, '-'), coalesce(weekday::text, '-'), coalesce(hour::text, '-'),
            coalesce(stage_date::text, '-'), coalesce(language, '-'), coalesce(paused_until::text, '-')) FROM subscribers";
        sqlx::query_scalar(row).fetch_one(&self.pages.app.db.pool).await.expect("a row")
    }

    async fn texts(&self, statement: &str) -> Vec<String> {
        sqlx::query_scalar(AssertSqlSafe(statement.to_owned())).fetch_all(&self.pages.app.db.pool).await.expect("rows")
    }
}

#[tokio::test]
async fn looking_at_her_preferences_changes_nothing_and_every_invalid_link_gets_the_same_page() {
    let hers = Hers::new().await;
    let before = hers.row().await;
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
        let answer = hers.pages.ask(method, &hers.link, &[], "").await;
        assert_eq!(answer.status, if matches!(method, "GET" | "HEAD") { 200 } else { 405 }, "{method}");
    }
    let page = hers.pages.get(&hers.link).await;
    assert!(
        !page.body.contains("<script") && !page.body.contains("ana@example.org") && page.body.contains("a***@e***.org"),
        "{}",
        page.body
    );
    assert_eq!((hers.row().await, hers.pages.count("SELECT count(*) FROM subscriber_events").await), (before, 0));
    let known = hers.pages.get("/preferences/x").await;
    assert_eq!(known.status, 404);
    let of = |purpose, id| token::of_id(&hers.pages.app.keyring, purpose, id);
    let wrong = [
        of(Purpose::Preferences, 999_999),
        of(Purpose::Confirm, hers.pages.subscriber),
        hers.pages.link.replace("/u/", ""),
        "%ff".to_owned(),
    ];
    for wrong in &wrong {
        let path = format!("/preferences/{wrong}");
        for answer in [hers.pages.get(&path).await, hers.pages.post(&path, URLENCODED, "act=stop").await] {
            assert_eq!((answer.status, &answer.body), (404, &known.body), "{wrong}");
        }
    }
    assert_eq!(hers.pages.standing().await, ("confirmed".to_owned(), 0));
}

#[tokio::test]
async fn each_form_changes_its_own_and_says_what_happened() {
    let hers = Hers::new().await;
    assert_eq!(
        hers.said("act=when&weekday=5&hour=7&zone=America%2FNew_York").await,
        "Letters come on Fridays at 07:00, by the clocks of America/New York."
    );
    assert_eq!(hers.said("act=when&weekday=5&hour=7&zone=america/new_york").await, "Nothing was changed: it stood like that already.");
    assert_eq!(hers.said("act=about&name=Ana+Lind&stage_date=2026-01-02").await, "Saved.");
    assert_eq!(
        hers.said("act=pause&weeks=2").await,
        "No letters until Monday, 26 January 2026, 01:00. Then they come again by themselves, and you go on where you were."
    );
    assert_eq!(hers.row().await, "Ana Lind|America/New_York|5|7|2026-01-02|-|2026-01-26 06:00:00+00");
    assert!(hers.pages.get(&hers.link).await.body.contains("Paused until Monday, 26 January 2026, 01:00"));
    assert_eq!(hers.said("act=resume").await, "The pause is over: letters come again.");
    assert_eq!(hers.said("act=when&weekday=&hour=&zone=").await, "Letters come on their own day at their own time.");
    assert_eq!(hers.said("act=about&name=&stage_date=").await, "Saved.");
    assert_eq!(hers.row().await, "-|-|-|-|-|-|-");
    let events = hers.texts("SELECT what FROM subscriber_events WHERE source = 'page' ORDER BY id").await;
    assert_eq!(
        events,
        ["zone", "weekday and hour", "name", "stage date", "pause", "pause", "zone", "weekday and hour", "name", "stage date"]
    );
}

#[tokio::test]
async fn a_value_that_cannot_be_is_named_and_nothing_is_changed() {
    let hers = Hers::new().await;
    hers.said("act=about&name=Ana&stage_date=2026-01-02").await;
    let before = (hers.row().await, hers.pages.count("SELECT count(*) FROM subscriber_events").await);
    for (body, field) in [
        ("act=when&weekday=8", "weekday"),
        ("act=when&weekday=5&hour=24", "hour"),
        ("act=when&weekday=5&zone=Mars%2FOlympus", "zone"),
        ("act=about&name=A%07na", "name"),
        ("act=about&name=Eve&stage_date=31.1.2026", "stage_date"),
        ("act=about&language=tlh", "language"),
        ("act=pause&weeks=3", "weeks"),
        ("act=pause&weeks=-1", "weeks"),
    ] {
        let answer = hers.post(body).await;
        assert_eq!(answer.status, 422, "{body}");
        assert!(answer.body.contains("role=\"alert\">Nothing was changed."), "{body}: {}", answer.body);
        let invalid =
            answer.body.split_once(&format!("name=\"{field}\"")).map(|(_, rest)| rest.split_once('>').expect("an element").0.to_owned());
        // No language is offered here, so that there is no such field to mark.
        assert_eq!(invalid.is_some_and(|tag| tag.contains("aria-invalid")), field != "language", "{body}");
    }
    for body in ["", "act=", "act=nothing", "act=when", "act=topics&shown=x", "act=topics&topics=%00"] {
        assert_eq!(hers.post(body).await.status, 400, "{body}");
    }
    assert_eq!(hers.pages.post(&hers.link, "multipart/form-data; boundary=b", MULTIPART).await.status, 400);
    assert_eq!((hers.row().await, hers.pages.count("SELECT count(*) FROM subscriber_events").await), before);
    let typed = hers.post("act=about&name=A%07na+%3Cb%3E&stage_date=2026-01-02").await;
    assert!(typed.body.contains("&#60;b&#62;") && !typed.body.contains("<b>"), "what she typed is shown again");
}

#[tokio::test]
async fn ticking_topics_is_her_own_act_with_the_words_kept_and_unticking_is_a_stop() {
    let hers = Hers::new().await;
    hers.run("INSERT INTO topics (slug, name, open) VALUES ('news', 'News', true), ('old', 'Old', false), ('hidden', 'Hidden', true)")
        .await;
    let delivery = hers.pages.queue().await;
    let page = hers.pages.get(&hers.link).await.body;
    assert!(page.contains("News") && !page.contains("Old") && page.contains("I want Example Press to send me"), "{page}");
    assert_eq!(hers.said("act=topics&shown=1&shown=2&topics=2").await, "You are subscribed to “News”.");
    assert_eq!(hers.pages.state_of(delivery).await, "skipped");
    assert_eq!(
        hers.texts("SELECT concat_ws(' ', topic_id, act, source) FROM consents ORDER BY id").await,
        ["1 confirmed page", "2 confirmed page", "1 withdrawn page"]
    );
    let words = "SELECT wording FROM consents WHERE act = 'confirmed' AND topic_id = 2";
    assert_eq!(
        hers.texts(words).await,
        ["I want Example Press to send me its letters by email. I can stop this at any time with the link in every mail."]
    );
    assert_eq!(hers.said("act=topics&shown=1&shown=2&topics=2").await, "Nothing was changed: it stood like that already.");
    // What was not shown is not touched, and what is closed is not to be had.
    assert_eq!(
        hers.said("act=topics&shown=1&shown=3&topics=1&topics=3&topics=4").await,
        "You are subscribed to “News” and “Sleep &#38; &#60;rest&#62;”."
    );
    assert_eq!(hers.texts("SELECT topic_id || ' ' || standing FROM subscriptions ORDER BY topic_id").await, ["1 confirmed", "2 confirmed"]);
    assert_eq!(hers.said("act=topics&shown=1&shown=2").await, "You are subscribed to nothing now.");
}

#[tokio::test]
async fn who_left_everything_comes_back_within_half_an_hour_or_by_signing_up() {
    let hers = Hers::new().await;
    let delivery = hers.pages.queue().await;
    assert_eq!(hers.said("act=stop").await, "Example Press sends you no letters any more.");
    assert_eq!((hers.pages.state_of(delivery).await, hers.pages.standing().await.1), ("skipped".to_owned(), 1));
    let page = hers.pages.get(&hers.link).await.body;
    assert!(page.contains("href=\"/subscribe\"") && page.contains("for 30 more minutes") && !page.contains("name=\"topics\""), "{page}");
    hers.run("INSERT INTO topics (slug, name) VALUES ('news', 'News')").await;
    assert_eq!(hers.said("act=topics&shown=2&topics=2").await, "Nothing was changed: it stood like that already.");
    assert_eq!(hers.said("act=undo").await, "It is taken back. You are subscribed to “Sleep &#38; &#60;rest&#62;”.");
    assert_eq!((hers.pages.state_of(delivery).await, hers.pages.standing().await.1), ("queued".to_owned(), 0));
    hers.said("act=stop").await;
    hers.pages.app.wait(SignedDuration::from_mins(31));
    assert!(!hers.pages.get(&hers.link).await.body.contains("Undo"));
    assert_eq!(hers.said("act=undo").await, "It cannot be taken back any more.");
    assert_eq!(hers.pages.standing().await.1, 1);
}

#[tokio::test]
async fn a_suppressed_person_is_told_so_and_can_still_leave_and_be_forgotten() {
    for kind in ["hard_bounce", "complaint", "manual"] {
        let hers = Hers::new().await;
        let words = "INSERT INTO suppressions (address_hash, key_id, subscriber_id, kind, reason, at) VALUES (sha256('x'), 'test', 1, ";
        hers.run(&format!("{words}'{kind}', 'refused', now())")).await;
        let page = hers.pages.get(&hers.link).await.body;
        assert!(page.contains("Nothing is sent to your address at present") && !page.contains("name=\"topics\""), "{page}");
        hers.run("INSERT INTO topics (slug, name) VALUES ('news', 'News')").await;
        hers.said("act=topics&shown=2&topics=2").await;
        assert_eq!(hers.pages.count("SELECT count(*) FROM subscriptions").await, 1, "nothing is joined");
        hers.said("act=stop").await;
        assert_eq!(hers.pages.standing().await.1, 2);
    }
}

#[tokio::test]
async fn her_data_is_a_file_and_deleting_asks_once_more() {
    let hers = Hers::new().await;
    let answer = hers.post("act=export").await;
    assert_eq!(answer.header("content-disposition").as_deref(), Some("attachment; filename=\"my-data.json\""));
    let data: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert!(data.to_string().contains("ana@example.org"));
    assert_eq!(hers.texts("SELECT what || ' ' || source FROM subscriber_events").await, ["data exported page"]);
    let asked = hers.post("act=ask_erase").await;
    assert!(asked.body.contains("cannot be taken back") && asked.body.contains("value=\"erase\""), "{}", asked.body);
    assert_eq!(hers.pages.count("SELECT count(*) FROM subscribers WHERE erased_at IS NULL").await, 1);
    let done = hers.post("act=erase").await;
    assert!(done.status == 200 && done.body.contains("You are deleted"), "{}", done.body);
    assert_eq!(hers.pages.count("SELECT count(*) FROM subscribers WHERE erased_at IS NULL").await, 0);
    assert_eq!(hers.pages.get(&hers.link).await.body, hers.pages.get("/preferences/x").await.body);
    assert_eq!(hers.post("act=erase").await.status, 404);
}
