//! Joining by one's own wish: asked for, confirmed, refused, given up and forgotten, alone and together with letters.

use std::net::{IpAddr, Ipv4Addr};

use jiff::SignedDuration;
use tidings::audience::suppression::Kind;
use tidings::base::address::EmailAddress;
use tidings::people::arrival::{self, Arrival};
use tidings::people::stop::{self, Scope, Source, Whom};
use tidings::people::{erase, proof};
use tidings::signup::{self, Answer, Desk, Form, Origin, PendingState, Request};
use tidings::waitlist::{WaitlistError, entry, joining, line, program};

use super::stage::{HOUR, SLUG, Stage};

const DAY: SignedDuration = SignedDuration::from_hours(24);
const WORDS: &str = "I want to be put on the waitlist of “The autumn course”, and Example Press may write to me by email about my place and \
                     about a seat. I can leave at any time with the link in every such mail.";

/// A program, a topic, and whoever comes along.
struct Story {
    stage: Stage,
}

impl Story {
    async fn new() -> Self {
        let stage = Stage::new().await;
        stage.run("INSERT INTO topics (slug, name) VALUES ('back', 'Back care')").await.expect("a topic");
        Self { stage }
    }

    fn desk(&self) -> Desk<'_> {
        let app = &self.stage.app;
        Desk { pool: &app.db.pool, keyring: &app.keyring, rules: &app.config.signup, publisher: "Example Press" }
    }

    async fn join(&self, email: &str) -> Answer {
        self.join_with(&Form { email: email.into(), ..Form::default() }).await.expect("an answer")
    }

    async fn join_with(&self, form: &Form) -> Result<Answer, WaitlistError> {
        let program = program::find(&mut *self.stage.conn().await, SLUG).await.expect("a program");
        let request = Request::to_wait(form, &self.stage.app.config.signup).expect("a form");
        joining::join(&self.desk(), &program, &request, host(), self.stage.now()).await
    }

    async fn subscribe(&self, email: &str) {
        let open = signup::open_topics(&mut *self.stage.conn().await).await.expect("topics");
        let form = Form { email: email.into(), ..Form::default() };
        let request = Request::read(&form, &open, &self.stage.app.config.signup).expect("a form");
        signup::subscribe(&self.desk(), &request, host(), self.stage.now()).await.expect("an answer");
    }

    async fn confirm(&self) -> Arrival {
        let id = self.stage.number("SELECT max(id) FROM signups").await;
        let (pool, keyring, now) = (&self.stage.app.db.pool, &self.stage.app.keyring, self.stage.now());
        let seen = signup::pending(pool, id, now).await.expect("an answer").expect("a sign-up").seen;
        arrival::confirm(pool, keyring, id, &seen, now).await.expect("an answer").expect("a sign-up")
    }

    async fn refuse(&self) -> Arrival {
        let id = self.stage.number("SELECT max(id) FROM signups").await;
        arrival::refuse(&self.stage.app.db.pool, &self.stage.app.keyring, id, self.stage.now())
            .await
            .expect("an answer")
            .expect("a sign-up")
    }

    /// What time does, as the sweep and the daily job call it.
    async fn tend(&self) {
        let kept = SignedDuration::try_from(self.stage.app.config.signup.keep_unconfirmed).expect("a time");
        signup::tend::sweep(&self.desk(), self.stage.now()).await.expect("a sweep");
        entry::forget_unconfirmed(&mut *self.stage.conn().await, self.stage.now() - kept, self.stage.now()).await.expect("a pruning");
        signup::tend::prune(&self.desk(), self.stage.now()).await.expect("a pruning");
    }

    async fn leave(&self, scope: Scope) {
        let app = &self.stage.app;
        stop::unsubscribe(&app.db.pool, &app.keyring, 1, scope, Source::Page, app.now()).await.expect("a stop");
    }

    async fn withdraw(&self, entry_id: i64) {
        joining::withdraw(&self.stage.app.db.pool, entry_id, self.stage.now()).await.expect("a withdrawal");
    }

    /// Template and state of every delivery, in their order.
    async fn mails(&self) -> Vec<String> {
        self.texts("SELECT concat_ws(': ', template, state, reason) FROM deliveries ORDER BY id").await
    }

    async fn entries(&self) -> Vec<String> {
        self.texts("SELECT state FROM entries ORDER BY id").await
    }

    async fn texts(&self, statement: &'static str) -> Vec<String> {
        sqlx::query_scalar(statement).fetch_all(&self.stage.app.db.pool).await.expect("texts")
    }

    async fn place(&self, entry_id: i64) -> Option<i64> {
        line::place(&mut *self.stage.conn().await, entry_id).await.expect("an answer")
    }
}

fn host() -> Origin {
    Origin::Host(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)))
}

fn arrived(state: PendingState, changed: bool, suppressed: bool) -> Arrival {
    Arrival { state, changed, subscriber_id: 1, suppressed }
}

#[tokio::test]
async fn who_joins_has_her_place_from_the_first_request_and_is_asked_in_the_words_that_are_kept() {
    let story = Story::new().await;
    let form = Form { email: "Ana@example.org".into(), name: "Ana".into(), zone: "europe/madrid".into(), ..Form::default() };
    assert_eq!(story.join_with(&form).await.unwrap(), Answer::Taken);
    assert_eq!(story.entries().await, ["unconfirmed"]);
    assert_eq!(
        story.texts("SELECT concat_ws(' ', address, name, zone) FROM subscribers").await,
        ["Ana@example.org"],
        "a form says nothing yet"
    );
    let asked = story.texts("SELECT concat_ws('|', act, topic_id, program_id, wording) FROM consents").await;
    assert_eq!(asked, [format!("asked|1|{WORDS}")]);
    let context: serde_json::Value = serde_json::from_str(&story.texts("SELECT context::text FROM deliveries").await[0]).unwrap();
    assert_eq!((&context["topics"], &context["programs"]), (&serde_json::json!([]), &serde_json::json!(["The autumn course"])));
    assert_eq!(context["wording"], WORDS);
    let before = story.stage.waits(7).await;
    story.stage.app.wait(DAY);
    assert_eq!(story.confirm().await, arrived(PendingState::Confirmed, true, false));
    assert_eq!((story.place(1).await, story.place(before).await), (Some(1), Some(2)), "her place is that of her request");
    assert_eq!(story.texts("SELECT concat_ws(' ', name, zone) FROM subscribers ORDER BY id LIMIT 1").await, ["Ana Europe/Madrid"]);
    assert_eq!(story.texts("SELECT wording FROM consents WHERE act = 'confirmed' AND program_id = 1 AND topic_id IS NULL").await, [WORDS]);
    assert_eq!(
        story.texts("SELECT template FROM deliveries WHERE subscriber_id = 1 ORDER BY id").await,
        ["confirmation", "joined"],
        "and no welcome"
    );
    assert_eq!(story.texts("SELECT standing FROM subscriptions").await, [""; 0], "she is subscribed to nothing");
    assert_eq!(story.confirm().await, arrived(PendingState::Confirmed, false, false));
    let proof = proof::find(&mut *story.stage.conn().await, 1).await.unwrap();
    let proved: Vec<_> = proof.topics.iter().map(|t| (t.topic.as_deref(), t.standing.as_deref(), t.acts.len())).collect();
    assert_eq!(proved, [(Some("The waitlist of The autumn course"), Some("waiting"), 2)]);
}

#[tokio::test]
async fn letters_and_a_waitlist_are_one_sign_up_and_one_mail() {
    let story = Story::new().await;
    story.subscribe("ana@example.org").await;
    story.join("ana@example.org").await;
    story.join("ana@example.org").await;
    assert_eq!(story.texts("SELECT topics::text || programs::text FROM signups").await, ["{1}{1}"]);
    assert_eq!(story.mails().await, ["confirmation: queued"]);
    let words = story.texts("SELECT wording FROM signups").await;
    assert!(words[0].starts_with("I want Example Press to send me “Back care” by email.") && words[0].ends_with(WORDS), "{words:?}");
    assert_eq!(story.stage.number("SELECT count(*) FROM consents").await, 2, "each wish is one act, however often");
    story.stage.app.wait(DAY * 2);
    story.join("ana@example.org").await;
    let names = story.texts("SELECT context->>'topics' || (context->>'programs') FROM deliveries ORDER BY id").await;
    assert_eq!(names, ["[\"Back care\"][]", "[\"Back care\"][\"The autumn course\"]"]);
    story.confirm().await;
    assert_eq!(
        (story.entries().await, story.texts("SELECT standing FROM subscriptions").await),
        (vec!["waiting".to_owned()], vec!["confirmed".to_owned()])
    );
    assert_eq!(story.texts("SELECT template FROM deliveries WHERE state = 'queued' ORDER BY id").await, ["joined", "welcome"]);
}

#[tokio::test]
async fn a_page_that_was_opened_before_a_waitlist_was_added_confirms_nothing() {
    let story = Story::new().await;
    story.subscribe("ana@example.org").await;
    let (pool, keyring, now) = (&story.stage.app.db.pool, &story.stage.app.keyring, story.stage.now());
    let seen = signup::pending(pool, 1, now).await.unwrap().unwrap().seen;
    story.join("ana@example.org").await;
    let arrival = arrival::confirm(pool, keyring, 1, &seen, now).await.unwrap().unwrap();
    assert_eq!(arrival, arrived(PendingState::Open, false, false));
    assert_eq!(story.entries().await, ["unconfirmed"]);
}

#[tokio::test]
async fn who_is_in_the_line_is_mailed_her_link_and_her_address_is_proven() {
    let story = Story::new().await;
    story.join("ana@example.org").await;
    story.confirm().await;
    for state in ["waiting", "offered", "seated"] {
        match state {
            "offered" => drop(story.stage.open(1).await),
            "seated" => drop(story.stage.accept(1).await),
            _ => {}
        }
        story.stage.app.wait(HOUR);
        story.stage.run("DELETE FROM asked_mails").await.unwrap();
        assert_eq!(story.entries().await, [state]);
        assert_eq!(story.join("ANA@example.org").await, Answer::Taken);
        assert_eq!(story.mails().await.last().unwrap(), "preferences_link: queued", "{state}");
    }
    let before = story.mails().await.len();
    for _ in 0..5 {
        story.join("ana@example.org").await;
    }
    assert_eq!(story.mails().await.len(), before, "under the limits of her address");
    story.stage.app.wait(DAY * 2);
    let address = EmailAddress::parse("ana@example.org").unwrap();
    signup::mail_link(&story.desk(), &address, host(), story.stage.now()).await.unwrap();
    assert_eq!(story.mails().await.len(), before + 1, "who only waits can have her link mailed");
    assert_eq!(story.stage.number("SELECT count(*) FROM signups").await, 1);
}

#[tokio::test]
async fn who_left_everything_keeps_her_place_and_comes_back_by_confirming_and_to_no_letters() {
    let story = Story::new().await;
    story.subscribe("ana@example.org").await;
    story.join("ana@example.org").await;
    story.confirm().await;
    story.leave(Scope::Everything).await;
    assert_eq!(story.place(1).await, Some(1));
    story.stage.app.wait(DAY * 2);
    story.join("ana@example.org").await;
    assert_eq!(story.mails().await.last().unwrap(), "confirmation: queued");
    story.confirm().await;
    assert_eq!(story.stage.number("SELECT count(*) FROM suppressions WHERE lifted_at IS NULL").await, 0);
    assert_eq!(story.texts("SELECT standing FROM subscriptions").await, ["unsubscribed"], "no letter comes back that she did not ask for");
    assert_eq!((story.place(1).await, story.entries().await.len()), (Some(1), 1));
}

#[tokio::test]
async fn leaving_a_topic_leaves_the_waitlist_of_the_same_sign_up_alone() {
    let story = Story::new().await;
    story.subscribe("ana@example.org").await;
    story.join("ana@example.org").await;
    story.leave(Scope::Topic(1)).await;
    assert_eq!(
        story.texts("SELECT topics::text || programs::text || wording FROM signups WHERE outcome IS NULL").await,
        [format!("{{}}{{1}}{WORDS}")]
    );
    story.confirm().await;
    assert_eq!(
        (story.entries().await, story.texts("SELECT standing FROM subscriptions").await),
        (vec!["waiting".to_owned()], vec!["unsubscribed".to_owned()])
    );
    story.leave(Scope::Everything).await;
    let undone = stop::undo(&story.stage.app.db.pool, 1, 1, story.stage.now()).await.unwrap();
    assert!(matches!(undone, stop::Undone::Lifted { scope: Scope::Everything, .. }));
    // A wish for a waitlist is no act about letters: the leaving of everything can still be taken back after it.
    story.leave(Scope::Everything).await;
    story.join("ana@example.org").await;
    assert!(matches!(
        stop::undo(&story.stage.app.db.pool, 1, 1, story.stage.now()).await.unwrap(),
        stop::Undone::Lifted { scope: Scope::Everything, .. }
    ));
}

#[tokio::test]
async fn a_suppressed_address_is_answered_alike_and_the_ledger_says_why() {
    let story = Story::new().await;
    let address = EmailAddress::parse("ana@example.org").unwrap();
    let (pool, keyring, now) = (&story.stage.app.db.pool, &story.stage.app.keyring, story.stage.now());
    stop::suppress(pool, keyring, Whom::Address(&address), Kind::Complaint, "why", Source::Operator, now).await.unwrap();
    assert_eq!(story.join("ana@example.org").await, Answer::Taken);
    story.stage.post().await;
    assert_eq!(story.mails().await, ["confirmation: skipped: suppressed: complaint"]);
    assert_eq!(story.confirm().await, arrived(PendingState::Confirmed, true, true));
    story.stage.open(1).await;
    assert_eq!(story.entries().await, ["waiting"], "she is passed over, whatever she confirmed");
}

#[tokio::test]
async fn nobody_joins_a_closed_program_and_who_asked_before_keeps_her_place() {
    let story = Story::new().await;
    story.join("ana@example.org").await;
    program::close(&mut *story.stage.conn().await, SLUG, story.stage.now()).await.unwrap();
    for email in ["ana@example.org", "bea@example.org"] {
        let answer = story.join_with(&Form { email: email.into(), ..Form::default() }).await;
        assert!(matches!(answer, Err(WaitlistError::ProgramClosed(_))), "{answer:?}");
    }
    assert_eq!(story.stage.number("SELECT count(*) FROM subscribers").await, 1, "nothing is left of a wish that was not taken");
    story.confirm().await;
    assert_eq!(story.entries().await, ["waiting"]);
}

#[tokio::test]
async fn who_says_that_it_was_not_her_is_on_no_waitlist_and_cannot_be_put_on_one_again() {
    let story = Story::new().await;
    story.join("ana@example.org").await;
    assert_eq!(story.refuse().await, arrived(PendingState::Refused, true, true));
    assert_eq!(story.refuse().await, arrived(PendingState::Refused, false, true));
    assert_eq!(
        (story.entries().await, story.mails().await),
        (vec!["withdrawn".to_owned()], vec!["confirmation: cancelled: she left".to_owned()])
    );
    story.stage.app.wait(DAY * 2);
    story.join("ana@example.org").await;
    story.stage.post().await;
    assert_eq!(story.mails().await[1], "confirmation: skipped: suppressed: manual");
}

#[tokio::test]
async fn a_strangers_prank_ends_no_place_that_somebody_has() {
    let story = Story::new().await;
    story.join("ana@example.org").await;
    story.confirm().await;
    story.stage.app.wait(DAY * 2);
    story.subscribe("ana@example.org").await;
    assert_eq!(story.refuse().await, arrived(PendingState::Refused, true, false));
    assert_eq!(story.entries().await, ["waiting"]);
    assert_eq!(story.stage.number("SELECT count(*) FROM suppressions").await, 0);
}

#[tokio::test]
async fn an_entry_that_ended_before_she_confirmed_is_begun_anew_at_the_end() {
    let story = Story::new().await;
    story.join("ana@example.org").await;
    story.subscribe("ana@example.org").await;
    let other = story.stage.waits(7).await;
    story.withdraw(1).await;
    assert_eq!(story.texts("SELECT topics::text || programs::text FROM signups WHERE outcome IS NULL").await, ["{1}{}"]);
    story.confirm().await;
    assert_eq!(story.entries().await, ["withdrawn", "waiting"], "what she gave up is not confirmed along with the rest");
    // An operator puts her out; then she presses the button of her mail.
    story.stage.app.wait(DAY * 2);
    story.join("bea@example.org").await;
    let bea = story.stage.number("SELECT max(id) FROM entries").await;
    entry::remove(&mut *story.stage.conn().await, bea, "by mistake", story.stage.now()).await.unwrap();
    let late = story.stage.waits(8).await;
    story.confirm().await;
    let again = story.stage.number("SELECT max(id) FROM entries").await;
    assert_eq!(story.stage.states(&[bea, again]).await, ["removed", "waiting"]);
    assert_eq!((story.place(other).await, story.place(late).await, story.place(again).await), (Some(1), Some(2), Some(3)));
}

#[tokio::test]
async fn a_program_that_was_closed_meanwhile_takes_nobody_who_was_not_there() {
    let story = Story::new().await;
    story.join("ana@example.org").await;
    story.subscribe("ana@example.org").await;
    entry::remove(&mut *story.stage.conn().await, 1, "by mistake", story.stage.now()).await.unwrap();
    program::close(&mut *story.stage.conn().await, SLUG, story.stage.now()).await.unwrap();
    assert_eq!(story.confirm().await, arrived(PendingState::Confirmed, true, false));
    assert_eq!(story.entries().await, ["removed"]);
    assert_eq!(
        story.texts("SELECT concat(topic_id, program_id) FROM consents WHERE act = 'confirmed'").await,
        ["1"],
        "no consent to what is not"
    );
}

#[tokio::test]
async fn what_nobody_confirms_is_reminded_of_once_expires_and_is_forgotten_with_the_person() {
    let story = Story::new().await;
    story.join("ana@example.org").await;
    story.stage.run("INSERT INTO entry_events (entry_id, at, what, by, reason, priority) VALUES (1, now(), 'prioritised', 'operator', 'Ana asked', 1)").await.unwrap();
    story.stage.post().await;
    story.stage.app.wait(HOUR * 50);
    story.tend().await;
    assert_eq!(story.mails().await, ["confirmation: sent", "reminder: queued"]);
    assert_eq!(story.texts("SELECT context->>'programs' FROM deliveries WHERE template = 'reminder'").await, ["[\"The autumn course\"]"]);
    story.stage.post().await;
    story.stage.app.wait(DAY * 8);
    story.tend().await;
    assert_eq!(
        (story.texts("SELECT outcome FROM signups").await, story.entries().await),
        (vec!["expired".to_owned()], vec!["unconfirmed".to_owned()])
    );
    // Asked for again, it counts from the first request.
    story.stage.waits(7).await;
    story.join("ana@example.org").await;
    assert_eq!(story.entries().await.len(), 2);
    story.stage.app.wait(DAY * 31);
    story.tend().await;
    story.tend().await;
    assert_eq!(story.entries().await, ["removed", "waiting"]);
    assert_eq!(story.texts("SELECT id || ' ' || (address IS NULL) FROM subscribers ORDER BY id").await, ["1 true", "2 false"]);
    assert_eq!(story.texts("SELECT reason FROM entry_events WHERE by = 'operator'").await, ["(erased)"]);
    assert_eq!(story.stage.number("SELECT count(*) FROM deliveries WHERE subscriber_id = 1 AND context IS NOT NULL").await, 0);
}

#[tokio::test]
async fn an_open_sign_up_keeps_an_old_entry_alive_and_a_confirmed_one_keeps_the_person() {
    let story = Story::new().await;
    story.join("ana@example.org").await;
    story.stage.app.wait(DAY * 28);
    story.tend().await;
    story.join("ana@example.org").await;
    story.stage.app.wait(DAY * 3);
    story.tend().await;
    assert_eq!(story.entries().await, ["unconfirmed"], "asked for 31 days ago, and still to be confirmed");
    story.confirm().await;
    story.withdraw(1).await;
    story.stage.app.wait(DAY * 60);
    story.tend().await;
    assert_eq!(story.texts("SELECT address FROM subscribers").await, ["ana@example.org"], "who once confirmed is somebody");
    erase::erase(&story.stage.app.db.pool, &story.stage.app.keyring, 1, Source::Page, story.stage.now()).await.unwrap();
    story.stage.app.wait(DAY);
    story.join("ana@example.org").await;
    assert_eq!(story.confirm().await.subscriber_id, 2, "who was erased begins anew");
    assert_eq!(story.stage.number("SELECT count(*) FROM suppressions WHERE lifted_at IS NULL").await, 0);
}

#[tokio::test]
async fn two_wishes_and_two_presses_at_one_moment_are_one_of_each() {
    let story = Story::new().await;
    futures_util::future::join_all((0..8).map(|_| story.join("ana@example.org"))).await;
    assert_eq!((story.entries().await, story.mails().await), (vec!["unconfirmed".to_owned()], vec!["confirmation: queued".to_owned()]));
    let both = futures_util::future::join(story.confirm(), story.confirm()).await;
    assert_eq!([both.0, both.1].iter().filter(|arrival| arrival.changed).count(), 1);
    assert_eq!(story.stage.number("SELECT count(*) FROM deliveries WHERE template = 'joined'").await, 1);
}
