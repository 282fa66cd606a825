//! What is left of a person who was erased: an id, what became of each mail, and a keyed hash. And what she can be told before.

use serde_json::Value;
use sqlx::AssertSqlSafe;
use std::net::{IpAddr, Ipv4Addr};
use tidings::audience::consent::Source;
use tidings::campaigns::states::Late;
use tidings::delivery::relay::MemoryBox;
use tidings::people::arrival;
use tidings::people::erase::{self, Erased};
use tidings::people::export;
use tidings::people::stop::{self, Scope, StopError, Undone};
use tidings::signup::{self, Answer, Desk, Form, Origin, PendingState, Request};
use tidings::waitlist::opening::{self, NewOpening};
use tidings::waitlist::program::{self, Particulars};
use tidings::waitlist::{entry, offer};

use crate::support::story::{Story, WEEKLY, log_of, memory};
use crate::waitlist::stage as waiting;

const EMAIL: &str = "Zoe.Quill+tips@Example.org";
/// What must be found nowhere afterwards, in lower case.
const TRACES: [&str; 5] = ["zoe.quill", "zoe quill", "quill", "2019-03-07", "asia/kathmandu"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_erased_person_the_database_keeps_no_word_and_every_sum() {
    let story = story_of_zoe().await;
    assert!(!story.traces().await.is_empty(), "the search finds what is there");
    let before = story.sums().await;

    let said = story.tidings(&["subscriber", "erase", EMAIL, "--yes"]).await;
    assert!(said.contains("is erased"), "{said}");
    assert_eq!(story.traces().await, [""; 0]);
    assert_eq!(story.sums().await, before, "no sum changes");
    assert_eq!(story.texts("SELECT state FROM deliveries WHERE subscriber_id = 3 AND basis = 'topic'").await, ["sent"]);
    assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE context IS NOT NULL AND subscriber_id = 3").await, 0);
    assert_eq!(story.texts("SELECT DISTINCT standing FROM subscriptions WHERE subscriber_id = 3").await, ["unsubscribed"]);
    assert_eq!(story.texts("SELECT DISTINCT outcome FROM signups WHERE subscriber_id = 3").await, ["expired"]);
    let acts = story.texts("SELECT act || ' ' || source FROM consents WHERE subscriber_id = 3 ORDER BY id").await;
    assert_eq!(acts, ["confirmed import", "asked page", "withdrawn operator"]);
    let reasons = story.texts("SELECT reason FROM suppressions ORDER BY id").await;
    assert_eq!(reasons, ["<name> called from <address>", "she was erased (operator)"]);
    let dump = story.dump().await.join("\n");
    assert!(dump.contains("person 1") && dump.contains("person-2@example.org"), "nobody else is touched");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_import_leaves_an_erased_address_alone_and_an_operator_cannot_add_it() {
    let story = story_of_zoe().await;
    story.tidings(&["subscriber", "erase", EMAIL, "--yes"]).await;
    let file = story.file("again.csv");
    std::fs::write(&file, format!("email\n{}\n", EMAIL.to_lowercase())).expect("a file");
    let file = file.display().to_string();
    story.tidings(&["import", "subscribers", &file, "--topic", WEEKLY, "--confirmed-because", "they said so"]).await;
    assert_eq!(story.number("SELECT count(*) FROM subscribers").await, 3, "no row came for it");
    assert_eq!(story.number("SELECT count(*) FROM subscriptions WHERE subscriber_id >= 3 AND standing = 'confirmed'").await, 0);
    let refused = story.tidings_refuses(&["subscriber", "add", EMAIL, "--topic", WEEKLY]).await;
    assert!(refused.contains("erased") && refused.contains("only she can come back"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_erased_comes_back_by_signing_up_and_confirming_as_somebody_new() {
    let story = Story::ready(2, 1).await;
    story.erase(1).await;
    let (pool, keyring, now) = (&story.app.db.pool, &story.app.keyring, story.app.now());
    let rules = &story.app.config.signup;
    let desk = Desk { pool, keyring, rules, publisher: "Example Press" };
    let open = signup::open_topics(&mut *story.conn().await).await.expect("topics");
    let form = Form { email: "Person-1@example.org".to_owned(), ..Form::default() };
    let request = Request::read(&form, &open, rules).expect("a form that is well");
    let origin = Origin::Host(IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(signup::subscribe(&desk, &request, origin, now).await.expect("an answer"), Answer::Taken);
    let seen = tidings::signup::pending(pool, 1, now).await.expect("an answer").expect("a sign-up").seen;
    let arrived = arrival::confirm(pool, keyring, 1, &seen, now).await.expect("an answer").expect("a sign-up");
    assert_eq!((arrived.state, arrived.changed, arrived.suppressed), (PendingState::Confirmed, true, false));
    assert_ne!(arrived.subscriber_id, 1, "another row");
    assert_eq!(story.texts("SELECT lifted_reason FROM suppressions WHERE kind = 'erased'").await, ["she confirmed a sign-up"]);

    let export = export::person(&mut *story.conn().await, keyring, arrived.subscriber_id).await.expect("her data");
    assert_eq!(export["asked_mails"].as_array().map(Vec::len), Some(1), "{export}");

    story.run_edition().await;
    let mails = MemoryBox::default();
    story.run_until_idle(&story.jobs(vec![memory(&mails, 1)])).await;
    let states = format!("SELECT state FROM deliveries WHERE edition_id IS NOT NULL AND subscriber_id = {}", arrived.subscriber_id);
    assert_eq!(story.texts(&states).await, ["sent"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_an_erased_person_is_skipped_and_nothing_leaves() {
    let story = Story::ready(2, 2).await;
    story.run_edition().await;
    story.plan().await;
    assert_eq!(story.erase(1).await, Erased { changed: true, skipped: 1 });
    assert_eq!(story.erase(1).await, Erased { changed: false, skipped: 0 }, "a second call changes nothing");
    let mails = MemoryBox::default();
    story.run_until_idle(&story.jobs(vec![memory(&mails, 1)])).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 2).await;
    assert_eq!((edition["sent"].as_u64(), edition["skipped"].as_u64()), (Some(1), Some(1)), "{edition}");
    assert_eq!(edition["reasons"]["suppressed: erased"], 1, "{edition}");
    assert_eq!(story.number("SELECT count(*) FROM segments_given WHERE subscriber_id = 1").await, 0, "nothing was given to her");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_was_killed_before_its_sweep_is_caught_at_the_claim_and_done_again_it_ends_the_same() {
    let story = Story::ready(2, 2).await;
    story.run_edition().await;
    story.plan().await;
    // As the first commit leaves it.
    story.erase(1).await;
    story
        .tamper("UPDATE deliveries SET state = 'queued', reason = NULL, ready_at = due_at, finished_at = NULL WHERE subscriber_id = 1")
        .await;
    assert_eq!(story.erase(1).await, Erased { changed: false, skipped: 1 });
    story
        .tamper("UPDATE deliveries SET state = 'queued', reason = NULL, ready_at = due_at, finished_at = NULL WHERE subscriber_id = 1")
        .await;
    let mails = MemoryBox::default();
    story.run_until_idle(&story.jobs(vec![memory(&mails, 1)])).await;
    assert_eq!(mails.handed().len(), 1);
    assert_eq!(story.texts("SELECT reason FROM deliveries WHERE subscriber_id = 1").await, ["suppressed: erased"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_takes_an_erasure_back_and_an_old_link_says_that_she_is_not_mailed() {
    let story = Story::ready(1, 1).await;
    let (pool, now) = (&story.app.db.pool, story.app.now());
    stop::unsubscribe(pool, &story.app.keyring, 1, Scope::Topic(1), Source::Page, now).await.expect("a stop");
    story.erase(1).await;
    assert_eq!(stop::undo(pool, 1, 1, now).await.expect("an answer"), Undone::Nothing);
    let standing = stop::standing(pool, 1, 1, now).await.expect("an answer").expect("a person");
    assert!(!standing.subscribed && standing.suppressed && standing.undo_until.is_none(), "{standing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_to_another_spelling_of_her_address_is_blanked_too() {
    let story = Story::ready(1, 2).await;
    for statement in [
        "UPDATE subscribers SET address = 'Mara@xn--bcher-kva.example.org', address_key = 'mara@xn--bcher-kva.example.org' WHERE id = 1",
        "SELECT ensure_deliveries_partition('2026-01-01')",
        "INSERT INTO deliveries (period, basis, template, address, due_at, state, handing_over_at)
         SELECT '2026-01-01', 'test', 'weekly_tip', address, now(), 'sent', now()
         FROM unnest('{mara@bücher.example.org,MARA@Bücher.example.org,mara@bucher.example.org}'::text[]) AS address",
    ] {
        story.tamper(statement).await;
    }
    story.erase(1).await;
    let left = story.texts("SELECT address FROM deliveries WHERE basis = 'test' ORDER BY id").await;
    assert_eq!(left, ["<address>", "<address>", "mara@bucher.example.org"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_cannot_be_erased_is_told_why() {
    let story = Story::ready(1, 2).await;
    let unknown = story.tidings_refuses(&["subscriber", "erase", "nobody@example.org", "--yes"]).await;
    assert!(unknown.contains("nobody@example.org is no subscriber, and nothing stands"), "{unknown}");
    story.tidings(&["suppress", "add", "kept@example.org"]).await;
    let kept = story.tidings_refuses(&["subscriber", "erase", "kept@example.org", "--yes"]).await;
    assert!(kept.contains("suppressed since") && kept.contains("manual"), "{kept}");
    story.tidings(&["subscriber", "erase", "person-1@example.org", "--yes"]).await;
    let again = story.tidings_refuses(&["subscriber", "erase", "person-1@example.org", "--yes"]).await;
    assert!(again.contains("she was erased on"), "{again}");
    let nobody = erase::erase(&story.app.db.pool, &story.app.keyring, 4711, Source::Page, story.app.now()).await;
    assert!(matches!(nobody, Err(StopError::NoSubscriber(4711))), "{nobody:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_given_everything_that_is_kept_about_her_and_nothing_of_anybody_else() {
    let story = story_of_zoe().await;
    let text = story.tidings(&["subscriber", "export", EMAIL]).await;
    let export: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(export["email"], EMAIL);
    assert_eq!(export["subscriber"]["name"], "Zoe Quill");
    assert_eq!(export["subscriber"]["stage_date"], "2019-03-07");
    assert_eq!(export["topics"][0]["standing"], "confirmed");
    assert_eq!(export["consents"][0]["wording"], "Zoe Quill signed a card");
    assert_eq!(export["sign_ups"][0]["name"], "Zoe Quill");
    assert_eq!(export["changes"][0]["after"], "Asia/Kathmandu");
    assert_eq!(export["suppressions"][0]["reason"], "Zoe Quill called from Zoe.Quill+tips@example.org");
    let mails: Vec<&str> =
        export["deliveries"].as_array().expect("deliveries").iter().map(|d| d["mail"].as_str().expect("a mail")).collect();
    assert_eq!((mails.len(), mails.contains(&"confirmation"), mails.contains(&"weekly_tip")), (2, true, true), "{export}");
    assert_eq!(export["tips_given"].as_array().expect("tips").len(), 1);
    assert!(!text.contains("person-"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_her_waiting_for_a_seat_she_is_told_everything_and_nothing_is_left_but_numbers_when_she_is_erased() {
    let story = story_of_zoe().await;
    let zoe_waits = zoe_waits_for_a_seat(&story).await;
    let text = story.tidings(&["subscriber", "export", EMAIL]).await;
    let export: Value = serde_json::from_str(&text).expect("JSON");
    let (waiting, offers) = (&export["waitlists"][0], &export["waitlists"][0]["offers"]);
    assert_eq!((&waiting["program"], &waiting["state"], &waiting["priority"]), (&"Autumn course".into(), &"waiting".into(), &3.into()));
    let ends: Vec<_> = offers.as_array().expect("offers").iter().map(|offer| offer["reason"].as_str().expect("a reason")).collect();
    assert_eq!(ends, ["Zoe Quill called", "undeliverable: 550 zoe.quill is unknown"]);
    let events: Vec<_> = waiting["events"].as_array().expect("events").iter().map(|e| e["what"].as_str().expect("a word")).collect();
    assert_eq!(events, ["joined", "confirmed", "prioritised", "offered", "revoked", "readmitted", "offered", "revoked"]);
    assert_eq!(export["passed_over"][0]["why"], "her offer in this opening was not sent", "{export}");
    let acts: Vec<_> = export["operator_acts"].as_array().expect("acts").iter().map(|a| a["act"].as_str().expect("a word")).collect();
    assert!(["prioritise", "give", "revoke", "readmit"].iter().all(|act| acts.contains(act)), "{acts:?}");
    assert!(!text.contains("person-"), "{text}");
    for command in ["show", "proof"] {
        let said = story.tidings(&["subscriber", command, EMAIL]).await;
        for part in ["Autumn course", "prioritised", "readmitted", "Zoe Quill called"] {
            assert!(said.contains(part), "`{part}` stands in\n{said}");
        }
    }

    let before = story.figures().await;
    assert!(story.erase(3).await.changed);
    assert_eq!(story.traces().await, [""; 0]);
    assert_eq!(story.figures().await, before, "no count of offers changes");
    assert_eq!(story.texts(&format!("SELECT state FROM entries WHERE id = {zoe_waits}")).await, ["withdrawn"]);
    assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE context IS NOT NULL AND subscriber_id = 3").await, 0);
    assert_eq!(
        story.texts("SELECT DISTINCT reason FROM offers WHERE state = 'revoked' ORDER BY 1").await,
        ["(erased)", "undeliverable: (erased)"]
    );
    let overwritten = sqlx::query("UPDATE offers SET reason = 'another' WHERE state = 'revoked'").execute(&mut *story.conn().await).await;
    assert!(overwritten.is_err(), "an offer that was closed is history again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proof_of_a_consent_names_the_act_its_words_and_its_time() {
    let story = story_of_zoe().await;
    let proof = story.tidings(&["subscriber", "proof", EMAIL]).await;
    for part in [
        EMAIL,
        "weekly: confirmed",
        "confirmed by an imported file",
        "Zoe Quill signed a card",
        "asked on a page of ours",
        "One tip a week",
        "0909",
    ] {
        assert!(proof.contains(part), "`{part}` stands in\n{proof}");
    }
    let json: Value = serde_json::from_str(&story.tidings(&["subscriber", "proof", EMAIL, "--json"]).await).expect("JSON");
    assert_eq!(json["topics"][0]["topic"], WEEKLY);
}

/// Two people and Zoe, about whom something stands in every table that may hold it; a tip was sent to each.
async fn story_of_zoe() -> Story {
    let story = Story::new().await;
    story.tips(2).await;
    story.subscribers(2).await;
    let file = story.file("zoe.csv");
    std::fs::write(&file, format!("email,name,zone,stage_date\n{EMAIL},Zoe Quill,Asia/Kathmandu,2019-03-07\n")).expect("a file");
    let file = file.display().to_string();
    story.tidings(&["import", "subscribers", &file, "--topic", WEEKLY, "--confirmed-because", "Zoe Quill signed a card"]).await;
    story.campaign(Late::Ask).await;
    story.run_edition().await;
    let mails = MemoryBox::default();
    story.run_until_idle(&story.jobs(vec![memory(&mails, 1)])).await;
    assert_eq!(mails.handed().len(), 3);
    story.tidings(&["suppress", "add", EMAIL, "--reason", "Zoe Quill called from Zoe.Quill+tips@example.org"]).await;
    story.tidings(&["suppress", "remove", EMAIL, "--reason", "zoe.quill+tips@example.org wrote again"]).await;
    for statement in ABOUT_ZOE {
        story.tamper(statement).await;
    }
    story
}

/// Zoe waits, is moved up, is offered a seat by hand that is taken back, is let in again, and cannot be reached with the next; then
/// the seat goes to somebody behind her. Her entry.
async fn zoe_waits_for_a_seat(story: &Story) -> i64 {
    // What stood against her was lifted by the machine's clock; the story's is behind it.
    story.tamper("UPDATE suppressions SET at = '2026-01-01', lifted_at = '2026-01-02'").await;
    let (mut conn, now) = (story.conn().await, story.app.now());
    let conn = &mut *conn;
    let particulars = Particulars { name: "Autumn course".to_owned(), ..waiting::particulars() };
    let program = program::create(conn, "course", &particulars, now).await.expect("a program").id;
    let mut entries = Vec::new();
    for id in [3, 1] {
        let entry_id = entry::join(conn, program, id, now).await.expect("an entry").entry_id;
        entry::confirm(conn, entry_id, now).await.expect("a confirmation");
        entries.push(entry_id);
    }
    let (zoe, opening) = (entries[0], NewOpening { seats: 0, ..waiting::new_opening(now) });
    opening::create(conn, "course", &opening, now).await.expect("an opening");
    entry::prioritise(conn, zoe, 3, "Zoe Quill asked zoe.quill+tips@example.org", now).await.expect("a priority");
    entry::prioritise(conn, entries[1], 1, "after zoe.quill+tips@example.org", now).await.expect("a priority");
    sqlx::query("UPDATE openings SET seats = 1").execute(&mut *conn).await.expect("a seat");
    let given = offer::give(conn, "course", None, zoe, "Zoe Quill is first", now).await.expect("an offer");
    offer::revoke(conn, given, "Zoe Quill called", now).await.expect("a revocation");
    entry::readmit(conn, zoe, "Quill wrote again", now).await.expect("an act");
    assert_eq!(opening::advance(conn, program, now).await.expect("an advance").given, 1);
    story
        .tamper(
            "UPDATE deliveries SET state = 'failed', reason = '550 zoe.quill is unknown', ready_at = NULL, finished_at = now()
        WHERE template = 'offer' AND state = 'queued'",
        )
        .await;
    assert_eq!(opening::advance(conn, program, now).await.expect("an advance").given, 1, "to the next");
    zoe
}

const ABOUT_ZOE: [&str; 10] = [
    "INSERT INTO signups (subscriber_id, topics, wording, name, zone, stage_date, source, origin_hash, asked_at, expires_at)
     VALUES (3, '{1}', 'One tip a week for Zoe.Quill+tips@example.org', 'Zoe Quill', 'Asia/Kathmandu', '2019-03-07', 'page', '\\x0909', now(), now())",
    "INSERT INTO consents (subscriber_id, topic_id, act, wording, source, origin_hash, at) VALUES (3, 1, 'asked', 'One tip a week', 'page', '\\x0909', now())",
    "INSERT INTO subscriber_events (subscriber_id, at, what, source, before, after) VALUES (3, now(), 'zone', 'page', NULL, 'Asia/Kathmandu')",
    "INSERT INTO operator_acts (at, act, subject, subject_id, detail) VALUES (now(), 'subscriber added', 'subscriber', 3, 'weekly: Zoe asked')",
    "INSERT INTO operator_acts (at, act, subject, subject_id, detail) VALUES (now(), 'campaign paused', 'campaign', 1, 'ZOE.QUILL+tips@example.org got it twice')",
    "INSERT INTO imports (file_name, file_hash, because, started_at) VALUES ('Zoe.Quill+tips@example.org.csv', '\\x01', 'asked zoe.quill+tips@example.org', now())",
    "INSERT INTO deliveries (period, subscriber_id, basis, template, context, due_at, state, reason, handing_over_at, reply)
     SELECT max(period), 3, 'confirmation', 'confirmation', '{\"signup\": 1}', now(), 'failed', 'zoe.quill+tips is unknown', now(), '550 zoe.quill@x' FROM deliveries",
    "INSERT INTO deliveries (period, basis, template, address, due_at, state, handing_over_at)
     SELECT max(period), 'test', 'weekly_tip', 'zoe.quill+tips@EXAMPLE.org', now(), 'sent', now() FROM deliveries",
    "UPDATE campaigns SET state = 'paused', reason = 'zoe.quill+tips@example.org is upset'",
    "INSERT INTO import_changes (import_id, subscriber_id, created) SELECT max(id), 3, false FROM imports",
];

impl Story {
    async fn erase(&self, id: i64) -> Erased {
        erase::erase(&self.app.db.pool, &self.app.keyring, id, Source::Page, self.app.now()).await.expect("an erasure")
    }

    /// Every row of every table, as text, in lower case; what stands in bytes is read as text too.
    async fn dump(&self) -> Vec<String> {
        let tables = self
            .texts(
                "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')",
            )
            .await;
        assert!(tables.len() > 20, "{tables:?}");
        let mut rows = Vec::new();
        for table in tables {
            rows.extend(self.texts(&format!("SELECT '{table}: ' || lower(t::text) FROM {table} t")).await);
        }
        let jobs = "SELECT 'job: ' || lower(convert_from(job, 'UTF8')) FROM apalis.jobs";
        rows.extend(sqlx::query_scalar::<_, String>(AssertSqlSafe(jobs)).fetch_all(&mut *self.conn().await).await.expect("jobs"));
        rows
    }

    /// The rows that hold a trace of Zoe.
    async fn traces(&self) -> Vec<String> {
        self.dump().await.into_iter().filter(|row| TRACES.iter().any(|trace| row.contains(trace))).collect()
    }

    /// What became of offers.
    async fn figures(&self) -> Vec<String> {
        self.texts("SELECT concat(state, ' ', count(*)) FROM offers GROUP BY state ORDER BY 1").await
    }

    async fn sums(&self) -> Vec<String> {
        self.texts("SELECT concat(edition_id, state, basis, count(*)) FROM deliveries GROUP BY edition_id, state, basis ORDER BY 1").await
    }
}
