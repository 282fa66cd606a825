//! What the stories of broadcasts begin with: people who are subscribed or wait, and a broadcast that is due.

use std::sync::Arc;

use jiff::SignedDuration;
use tidings::campaigns::broadcast::{self, NewBroadcast, Terms, To};
use tidings::campaigns::states::Late;
use tidings::campaigns::store::Campaign;
use tidings::campaigns::{due, planning};
use tidings::content::letter::Letter;
use tidings::delivery::relay::MemoryBox;
use tidings::delivery::render::{Templates, samples};
use tidings::jobs::App;
use tidings::waitlist::entry;
use tidings::waitlist::program::{self, Particulars};
use tidings::waitlist::states::AfterExpiry;

use crate::support::let_pass;
use crate::support::story::{Story, WEEKLY, memory};

/// The broadcast of every story: the helpers of a story ask after the campaign of this name.
pub(crate) const NEWS: &str = WEEKLY;
/// The program of every story.
pub(crate) const SLUG: &str = "course";

/// A story in which `n` people are subscribed to the topic `weekly`.
pub(crate) async fn subscribed(n: usize) -> Story {
    let story = Story::new().await;
    story.tips(1).await;
    story.subscribers(n).await;
    story
}

/// A story in which `n` people wait for the program, each a second after the one before; `wait-1@example.org` is the first.
pub(crate) async fn waiting(n: usize) -> Story {
    let story = Story::new().await;
    make_program(&story, n).await;
    story
}

/// The program, and those who wait for it.
pub(crate) async fn make_program(story: &Story, waiting: usize) {
    let terms = Particulars {
        name: "The autumn course".to_owned(),
        description: "Ten evenings.".to_owned(),
        after_expiry: AfterExpiry::Back,
        next_text: "Bring a mat.".to_owned(),
        next_link: Some("https://example.org/next".to_owned()),
        enrolment_ends_at: None,
        starts_at: None,
    };
    program::create(&mut *story.conn().await, SLUG, &terms, story.app.now()).await.expect("a program");
    story
        .tamper(&format!(
            "WITH s AS (INSERT INTO subscribers (address, address_key, created_at)
                SELECT a, a, now() FROM (SELECT 'wait-' || i || '@example.org' AS a FROM generate_series(1, {waiting}) i) x RETURNING id)
            INSERT INTO entries (program_id, subscriber_id, state, asked_at, joined_at, confirmed_at)
            SELECT 1, id, 'waiting', at, at, at FROM (SELECT id, '2026-01-01'::timestamptz + row_number() OVER (ORDER BY id) * interval '1 second' AS at FROM s) x
            ORDER BY id"
        ))
        .await;
}

/// What it says.
pub(crate) fn letter() -> Letter {
    Letter {
        subject: "We move house".to_owned(),
        preheader: "From May on.".to_owned(),
        markdown: "From May on you find us [round the corner](https://example.org/house).".to_owned(),
    }
}

/// Makes the broadcast, due at once.
pub(crate) async fn broadcast(story: &Story, to: &str) -> Campaign {
    broadcast_at(story, to, None, Late::Ask).await
}

/// The same at a time, and otherwise when it is late.
pub(crate) async fn broadcast_at(story: &Story, to: &str, at: Option<&str>, late: Late) -> Campaign {
    let to: To = to.parse().expect("recipients");
    let letter = letter();
    let new = NewBroadcast {
        name: NEWS,
        to: &to,
        letter: &letter,
        at: at.map(|at| at.parse().expect("an instant")),
        zone: "Europe/London",
        terms: Terms { late, tolerance: SignedDuration::from_hours(6), deadline: SignedDuration::from_hours(48) },
    };
    broadcast::create(&mut *story.conn().await, &templates(), new, story.app.now()).await.expect("a broadcast")
}

pub(crate) fn templates() -> Templates {
    Templates::load(samples::site().expect("a publisher")).expect("templates that compile")
}

/// Opens what is due and plans it to its end; the edition.
pub(crate) async fn planned(story: &Story) -> i64 {
    let mut conn = story.conn().await;
    due::open_due(&mut conn, story.app.now()).await.expect("open");
    due::start_due(&mut conn, story.app.now()).await.expect("start");
    let edition = due::plannable(&mut conn).await.expect("plannable")[0];
    while !planning::plan_slice(&mut conn, edition, story.app.now()).await.expect("a slice").done {}
    let_pass(&mut conn).await;
    edition
}

/// A relay that keeps all mails, and a worker with so many connections to it.
pub(crate) fn post(story: &Story, connections: u16) -> (MemoryBox, Arc<App>) {
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, connections)]);
    (mails, app)
}

/// Whoever has this place of the first line leaves the waitlist; as the pages do it.
pub(crate) async fn leaves(story: &Story, entry_id: i64) {
    let mut conn = story.conn().await;
    entry::withdraw(&mut conn, entry_id, story.app.now()).await.expect("a withdrawal");
}

/// The recipients of all mails, in the order in which they came.
pub(crate) fn recipients(mails: &MemoryBox) -> Vec<String> {
    mails.handed().into_iter().map(|mail| mail.to).collect()
}

/// The people of these places of the first line.
pub(crate) fn people(places: impl IntoIterator<Item = usize>) -> Vec<String> {
    places.into_iter().map(|place| format!("wait-{place}@example.org")).collect()
}

/// Has the opening that is open told of, up to the rows of its mails.
pub(crate) async fn planned_opening(story: &Story) {
    let terms = Terms { late: Late::Ask, tolerance: SignedDuration::from_hours(6), deadline: SignedDuration::from_hours(48) };
    let made = broadcast::tell_of_openings(&mut *story.conn().await, &templates(), terms, story.app.now()).await.expect("a broadcast");
    assert_eq!(made.len(), 1);
    planned(story).await;
}
