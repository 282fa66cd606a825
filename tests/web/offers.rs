//! The page of an offer: both answers, every end, any number of presses, and accept against expiry.

use super::desk::{HOST, Reply, ask, router, urlencoded};
use crate::waitlist::stage::{HOUR, SLUG, Stage, new_opening};
use axum::Router;
use jiff::SignedDuration;
use tidings::{
    base::token::{self, Purpose},
    people::stop::{self, Scope, Source},
    waitlist::{
        offer,
        opening::{self, NewOpening},
        program,
        states::{AfterExpiry, Mode},
    },
};

/// A program with people who wait, and the pages.
struct House {
    stage: Stage,
    entries: Vec<i64>,
    router: Router,
}

impl House {
    async fn with(people: usize) -> Self {
        let (stage, entries) = Stage::with(people).await;
        Self { router: router(&stage.app), stage, entries }
    }

    /// With an opening, and offers whose mails were handed over.
    async fn open(people: usize, seats: i32) -> Self {
        let house = Self::with(people).await;
        house.stage.open(seats).await;
        house.stage.post().await;
        house
    }

    async fn link(&self, person: usize) -> String {
        let id = self.stage.offer_of(self.entries[person]).await;
        format!("/offers/{}", token::of_id(&self.stage.app.keyring, Purpose::Offer, id))
    }

    fn place(&self, entry_id: i64) -> String {
        format!("/waitlist/{SLUG}/{}", token::of_id(&self.stage.app.keyring, Purpose::Entry, entry_id))
    }

    async fn get(&self, path: &str) -> Reply {
        ask(&self.router, "GET", path, HOST, &[], "").await
    }

    async fn press(&self, path: &str, act: &str) -> Reply {
        let answer =
            ask(&self.router, "POST", path, HOST, &[("content-type", "application/x-www-form-urlencoded")], urlencoded(&[("act", act)]))
                .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }
}

fn says(reply: &Reply, parts: &[&str]) {
    for part in parts {
        assert!(reply.status == 200 && reply.body.contains(part), "{part} is not in {}", reply.body);
    }
}

const OPEN: &str = "Accept the seat</button>";

#[tokio::test]
async fn an_offer_says_until_when_on_her_clock_and_has_no_end_before_its_mail_is_handed_over() {
    let house = House::with(1).await;
    house.stage.run("UPDATE subscribers SET zone = 'America/New_York'").await.unwrap();
    house.stage.open(1).await;
    let link = house.link(0).await;
    says(
        &house.get(&link).await,
        &["<h1>A seat in “The autumn course” for you</h1>", "The seat is held for you. Until when, the mail says", OPEN],
    );
    house.stage.app.wait(HOUR * 3);
    house.stage.post().await;
    house.stage.app.wait(HOUR * 21 + SignedDuration::from_secs(1));
    let page = house.get(&link).await;
    says(
        &page,
        &[
            "until Wednesday, 14 January 2026, 04:00 (America/New York time): that is 1 day and 2 hours from now.",
            "Decline the seat</button>",
            &house.place(1),
        ],
    );
    assert_eq!(page.body.matches("<form").count(), 2);
}

#[tokio::test]
async fn accepting_is_done_once_and_says_what_comes_next() {
    let house = House::open(2, 1).await;
    house.stage.edit(|program| program.next_text = "Bring a <mat>.\n\nAnd time.".to_owned()).await;
    let link = house.link(0).await;
    for press in 0..3 {
        let page = house.press(&link, "accept").await;
        says(
            &page,
            &[
                "<h1>The seat is yours</h1>",
                "<p>Bring a &#60;mat&#62;.</p>",
                "<p>And time.</p>",
                "href=\"https://example.org/next\"",
                &house.place(house.entries[0]),
            ],
        );
        assert!(page.body.contains("role=\"status\"") && !page.body.contains("<form"), "press {press}");
    }
    says(&house.get(&link).await, &["The seat is yours"]);
    assert_eq!(house.stage.number("SELECT count(*) FROM entry_events WHERE what = 'accepted'").await, 1);
    // In another window, where the page still has both buttons.
    says(&house.press(&link, "decline").await, &["The seat is yours", "You had accepted this seat already", "role=\"alert\""]);
    assert_eq!(house.stage.states(&house.entries).await, ["seated", "waiting"]);
    house.press(&house.place(house.entries[0]), "withdraw").await;
    for page in [house.get(&link).await, house.press(&link, "accept").await] {
        says(&page, &["<h1>You gave this seat back</h1>", "You are not on the waitlist of “The autumn course” any more."]);
    }
    assert_eq!(house.stage.advance().await, 1);
}

#[tokio::test]
async fn declining_is_done_once_and_the_seat_goes_on() {
    let house = House::open(2, 1).await;
    let link = house.link(0).await;
    for _ in 0..2 {
        says(&house.press(&link, "decline").await, &["<h1>You declined this seat</h1>", "You are not on the waitlist", "role=\"status\""]);
    }
    says(&house.press(&link, "accept").await, &["You declined this seat", "could not be done any more"]);
    assert_eq!(house.stage.advance().await, 1);
    assert_eq!(house.stage.states(&house.entries).await, ["withdrawn", "offered"]);
    // She joins again: the old link tells of the place that she has now.
    let again = house.stage.waits(0).await;
    says(&house.get(&link).await, &["You declined this seat", "You are number 1 of 1", &house.place(again)]);
}

#[tokio::test]
async fn an_offer_that_ran_out_says_so_kindly_and_what_her_place_is_now_swept_or_not() {
    for (policy, before, after) in [
        (AfterExpiry::Back, "at the end of the line", "You are number 2 of 2 on the waitlist"),
        (AfterExpiry::Keep, "Your place on the waitlist of “The autumn course” is kept", "You are number 1 of 2 on the waitlist"),
        (AfterExpiry::Out(1), "one too many that nobody answered", "too many offers were not answered"),
    ] {
        let house = House::with(3).await;
        house.stage.edit(|program| program.after_expiry = policy).await;
        house.stage.open(1).await;
        house.stage.post().await;
        let (link, place) = (house.link(0).await, house.place(house.entries[0]));
        house.stage.app.wait(HOUR * 48);
        let unswept = house.get(&link).await;
        says(&unswept, &["<h1>This offer has ended</h1>", "It could be answered until Wednesday, 14 January 2026, 06:00", before]);
        says(&house.get(&place).await, &[before]);
        assert!(!unswept.body.contains("<button"));
        house.stage.advance().await;
        says(&house.get(&link).await, &["This offer has ended", after]);
        says(&house.press(&link, "accept").await, &["This offer has ended", "could not be done any more", after]);
        says(&house.get(&place).await, &[after]);
        let why = "You let an offer of this opening run out. Your place is kept for the next one.";
        assert_eq!(house.get(&place).await.body.contains(why), policy == AfterExpiry::Keep);
        assert_eq!(house.stage.offered().await, [house.entries[1]]);
    }
}

#[tokio::test]
async fn an_offer_that_was_taken_back_says_why_as_far_as_it_is_hers_to_know() {
    let house = House::open(4, 4).await;
    let stage = &house.stage;
    let links = [house.link(0).await, house.link(1).await, house.link(2).await, house.link(3).await];
    let first = stage.offer_of(house.entries[0]).await;
    offer::revoke(&mut *stage.conn().await, first, "she was rude on the phone", stage.now()).await.unwrap();
    let revoked = house.get(&links[0]).await;
    says(&revoked, &["<h1>This offer holds no longer</h1>", "Example Press took this offer", "You are number 1 of 1"]);
    assert!(!revoked.body.contains("rude"));
    let (pool, keyring) = (&stage.app.db.pool, &stage.app.keyring);
    stop::unsubscribe(pool, keyring, stage.person(1).await, Scope::Everything, Source::Page, stage.now()).await.unwrap();
    says(&house.get(&links[1]).await, &["because mail to your address is stopped", "You are number 2 of 2"]);
    house.press(&house.place(house.entries[2]), "withdraw").await;
    says(&house.get(&links[2]).await, &["<h1>You left the waitlist</h1>", "and this offer ended with it"]);
    opening::close(&mut *stage.conn().await, SLUG, None, stage.now()).await.unwrap();
    says(&house.get(&links[3]).await, &["was closed before this offer was answered", "You are number 3 of 3"]);
    for link in &links {
        says(&house.press(link, "accept").await, &["could not be done any more"]);
    }
    assert_eq!(stage.number("SELECT count(*) FROM offers WHERE state = 'accepted'").await, 0);
}

#[tokio::test]
async fn an_offer_that_never_reached_her_is_nobodys_fault() {
    let house = House::with(2).await;
    house.stage.open(2).await;
    let bounced = house.stage.offer_of(house.entries[1]).await;
    house
        .stage
        .run(&format!(
            "UPDATE deliveries SET due_at = due_at + interval '9 days', ready_at = ready_at + interval '9 days' FROM transactional t
        WHERE t.delivery_id = id AND t.owner = 'offer:{}' AND t.kind = 'offer'",
            house.stage.offer_of(house.entries[0]).await
        ))
        .await
        .unwrap();
    house.stage.bounce(bounced).await;
    says(&house.get(&house.link(1).await).await, &["did not reach you in time", "is kept"]);
    house.stage.app.wait(HOUR * 24);
    says(&house.get(&house.link(0).await).await, &["did not reach you in time", "is kept"]);
    house.stage.advance().await;
    says(&house.get(&house.link(0).await).await, &["did not reach you in time", "You are number 1 of 2"]);
    says(&house.get(&house.place(house.entries[0])).await, &["could not send you an offer in time"]);
    says(&house.get(&house.place(house.entries[1])).await, &["could not be delivered"]);
}

#[tokio::test]
async fn a_last_call_holds_nothing_and_says_when_every_seat_is_taken() {
    let house = House::with(3).await;
    house.stage.open_as(NewOpening { mode: Mode::LastCall, ..new_opening(house.stage.now()) }).await;
    house.stage.post().await;
    let (first, second) = (house.link(0).await, house.link(1).await);
    says(&house.get(&first).await, &["<h1>Last call: a seat in “The autumn course”</h1>", "no seat is held for you", "in 2 days."]);
    says(&house.press(&second, "accept").await, &["The seat is yours"]);
    says(&house.press(&first, "accept").await, &["At this moment every seat is taken", "role=\"alert\"", OPEN]);
    house.press(&house.place(house.entries[1]), "withdraw").await;
    says(&house.press(&first, "accept").await, &["The seat is yours"]);
    house.stage.app.wait(HOUR * 48);
    says(&house.get(&house.link(2).await).await, &["This offer has ended", "is kept"]);
    house.stage.advance().await;
    says(&house.get(&house.place(house.entries[2])).await, &["You are number 1 of 1", "You had the last call of this opening"]);
}

#[tokio::test]
async fn the_program_may_be_closed_while_the_page_is_open() {
    let house = House::open(1, 1).await;
    let link = house.link(0).await;
    program::close(&mut *house.stage.conn().await, SLUG, house.stage.now()).await.unwrap();
    says(&house.press(&link, "accept").await, &["This offer holds no longer", "was closed before this offer was answered"]);
    says(&house.get(&house.place(house.entries[0])).await, &["You are number 1 of 1"]);
}

#[tokio::test]
async fn an_answer_counts_until_the_last_moment_and_not_at_it() {
    for (early, taken) in [(1, true), (0, false), (-1, false)] {
        let house = House::open(2, 1).await;
        let link = house.link(0).await;
        house.stage.app.wait(HOUR * 48 - SignedDuration::from_micros(early));
        let page = house.press(&link, "accept").await;
        says(&page, &[if taken { "The seat is yours" } else { "This offer has ended" }]);
        assert_eq!(house.stage.advance().await, u64::from(!taken));
    }
}

// A press by a host whose clock is a moment before the end, and a sweep by one whose clock is at it.
#[tokio::test(flavor = "multi_thread")]
async fn accept_against_expiry_has_one_winner_and_every_page_is_right() {
    let (mut accepted, mut expired) = (0, 0);
    for round in 0..12 {
        let house = House::open(2, 1).await;
        let (first, link) = (house.stage.offer_of(house.entries[0]).await, house.link(0).await);
        house.stage.app.wait(HOUR * 48 - SignedDuration::from_micros(1));
        let end = house.stage.now() + SignedDuration::from_micros(1);
        let mut conn = house.stage.conn().await;
        let sweep = async { opening::advance(&mut conn, house.stage.program_id, end).await.expect("an advance").given };
        let (page, given) = match round % 2 {
            0 => futures_util::future::join(house.press(&link, "accept"), sweep).await,
            _ => {
                let (given, page) = futures_util::future::join(sweep, house.press(&link, "accept")).await;
                (page, given)
            }
        };
        let state = house.stage.text(&format!("SELECT state FROM offers WHERE id = {first}")).await;
        match state.as_str() {
            "accepted" => {
                accepted += 1;
                says(&page, &["The seat is yours"]);
                assert_eq!((given, house.stage.states(&house.entries).await), (0, vec!["seated".to_owned(), "waiting".to_owned()]));
            }
            "expired" => {
                expired += 1;
                says(&page, &["This offer has ended", "could not be done any more"]);
                assert_eq!((given, house.stage.states(&house.entries).await), (1, vec!["waiting".to_owned(), "offered".to_owned()]));
            }
            other => panic!("the offer is {other}"),
        }
        let again = house.get(&link).await;
        says(&again, &[if state == "accepted" { "The seat is yours" } else { "This offer has ended" }]);
    }
    assert_eq!(accepted + expired, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_presses_of_both_buttons_at_one_moment_are_one_answer() {
    let house = House::open(2, 1).await;
    let link = house.link(0).await;
    let presses = (0..10).map(|n| house.press(&link, if n % 2 == 0 { "accept" } else { "decline" }));
    let pages = futures_util::future::join_all(presses).await;
    let accepted = house.stage.state(house.entries[0]).await == "seated";
    for page in pages {
        says(&page, &[if accepted { "The seat is yours" } else { "You declined this seat" }]);
    }
    assert_eq!(house.stage.number("SELECT count(*) FROM entry_events WHERE what IN ('accepted', 'declined')").await, 1);
    assert_eq!(house.stage.advance().await, u64::from(!accepted));
}
