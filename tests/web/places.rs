//! The page of a place in the line, its links, and what the other pages say of it.

use super::desk::{ANA, Desk, HOST};
use crate::waitlist::stage::particulars;
use jiff::SignedDuration;
use tidings::{
    audience::suppression::Kind,
    base::{
        address::EmailAddress,
        keys::Keyring,
        token::{self, Purpose, UnsubscribeToken},
    },
    people::{
        erase,
        stop::{self, Scope, Source, Whom},
    },
    waitlist::{entry, line, opening, program},
};

const PATH: &str = "/waitlist/course";
const API: &str = "/api/v1/waitlist/course";

#[tokio::test]
async fn her_page_says_her_place_and_leaving_is_one_press_however_often() {
    let desk = Desk::new().await;
    desk.program().await;
    let (ana, bea) = (desk.waits(ANA).await, desk.waits("bea@example.org").await);
    let link = desk.place(bea);
    let page = desk.get(&link).await;
    for part in
        ["You are number 2 of 2 on the waitlist", "When it is your turn we mail you an offer", "not set yet", "Leave the waitlist</button>"]
    {
        assert!(page.status == 200 && page.body.contains(part), "{part} is not in {}", page.body);
    }
    for wrong in [&[][..], &[("act", "")], &[("act", "accept")]] {
        assert_eq!(desk.post(&link, wrong).await.status, 400, "{wrong:?}");
    }
    for press in 0..3 {
        let out = desk.post(&link, &[("act", "withdraw")]).await;
        assert!(out.body.contains("You are not on the waitlist") && out.body.contains("join again"), "{}", out.body);
        assert_eq!(out.body.contains("role=\"status\""), press == 0, "only the first press did it");
    }
    assert_eq!(desk.count("SELECT count(*) FROM entry_events WHERE what = 'withdrawn'").await, 1);
    assert!(desk.get(&desk.place(ana)).await.body.contains("You are number 1 of 1"));
    desk.app.wait(SignedDuration::from_hours(48));
    desk.join("bea@example.org").await;
    let unconfirmed = desk.get(&link).await.body;
    assert!(unconfirmed.contains("You asked for a place once more"), "{unconfirmed}");
    let again = desk.count("SELECT max(id) FROM entries").await;
    let asked = desk.get(&desk.place(again)).await.body;
    assert!(asked.contains("please press the button in the mail") && asked.contains("Your place counts from"), "{asked}");
    desk.confirm(&desk.confirm_link().await).await;
    assert!(desk.get(&desk.place(again)).await.body.contains("You are number 2 of 2"));
    let mut conn = desk.conn().await;
    entry::remove(&mut conn, again, "a mistake", desk.app.now()).await.unwrap();
    let removed = desk.get(&desk.place(again)).await.body;
    assert!(removed.contains("Example Press took you off the waitlist") && !removed.contains("a mistake"), "{removed}");
}

#[tokio::test]
async fn a_mail_programs_one_click_leaves_the_waitlist_but_gives_no_seat_back() {
    let desk = Desk::new().await;
    desk.program().await;
    let (ana, bea) = (desk.waits(ANA).await, desk.waits("bea@example.org").await);
    desk.open(1).await;
    let offer = format!("/offers/{}", token::of_id(&desk.app.keyring, Purpose::Offer, 1));
    desk.post(&offer, &[("act", "accept")]).await;
    for entry_id in [ana, bea] {
        assert_eq!(desk.post(&desk.place(entry_id), &[("List-Unsubscribe", "One-Click")]).await.status, 200);
    }
    assert!(desk.get(&desk.place(ana)).await.body.contains("Give the seat back</button>"), "her seat is no letter");
    assert!(desk.get(&desk.place(bea)).await.body.contains("You are not on the waitlist"));
}

#[tokio::test]
async fn who_left_everything_and_then_the_waitlist_is_not_asked_to_come_back() {
    let desk = Desk::new().await;
    desk.program().await;
    let ana = desk.waits(ANA).await;
    let (pool, keyring) = (&desk.app.db.pool, &desk.app.keyring);
    stop::unsubscribe(pool, keyring, 1, stop::Scope::Everything, Source::Page, desk.app.now()).await.expect("a stop");
    desk.app.wait(SignedDuration::from_hours(48));
    desk.join(ANA).await;
    assert_eq!(desk.count("SELECT count(*) FROM signups WHERE outcome IS NULL AND programs <> '{}'").await, 1, "she asks to come back");
    desk.post(&desk.place(ana), &[("act", "withdraw")]).await;
    assert_eq!(desk.count("SELECT count(*) FROM signups WHERE outcome IS NULL").await, 0, "and then does not want to any more");
}

#[tokio::test]
async fn her_page_leads_to_her_offer_and_takes_her_seat_back() {
    let desk = Desk::new().await;
    desk.program().await;
    let (ana, bea) = (desk.waits(ANA).await, desk.waits("bea@example.org").await);
    desk.open(1).await;
    let link = desk.place(ana);
    let offered = desk.get(&link).await.body;
    let offer = format!("/offers/{}", token::of_id(&desk.app.keyring, Purpose::Offer, 1));
    assert!(offered.contains("is offered to you") && offered.contains(&offer) && offered.contains("Leave the waitlist"), "{offered}");
    desk.post(&offer, &[("act", "accept")]).await;
    let seated = desk.get(&link).await.body;
    assert!(
        seated.contains("<h1>You have a seat in “The autumn course”</h1>") && seated.contains("Give the seat back</button>"),
        "{seated}"
    );
    let back = desk.post(&link, &[("act", "withdraw")]).await.body;
    assert!(back.contains("You gave your seat in “The autumn course” back"), "{back}");
    assert!(desk.get(&link).await.body.contains("You are not on the waitlist"));
    opening::advance(&mut *desk.conn().await, 1, desk.app.now()).await.unwrap();
    assert_eq!(desk.count("SELECT entry_id FROM offers WHERE state = 'open'").await, bea);
}

#[tokio::test]
async fn her_page_says_why_she_is_passed_over_and_what_she_can_do() {
    let desk = Desk::new().await;
    desk.program().await;
    let ana = desk.waits(ANA).await;
    let (pool, keyring) = (&desk.app.db.pool, &desk.app.keyring);
    let address = EmailAddress::parse(ANA).unwrap();
    stop::unsubscribe(pool, keyring, 1, Scope::Everything, Source::Page, desk.app.now()).await.unwrap();
    let page = desk.get(&desk.place(ana)).await.body;
    assert!(
        page.contains("because you told us to send you nothing") && page.contains("<a href=\"/waitlist/course\">Ask to join once more</a>"),
        "{page}"
    );
    stop::undo(pool, 1, 0, desk.app.now()).await.unwrap();
    stop::suppress(pool, keyring, Whom::Address(&address), Kind::HardBounce, "why", Source::Relay, desk.app.now()).await.unwrap();
    let page = desk.get(&desk.place(ana)).await.body;
    assert!(page.contains("mail to your address came back") && page.contains("You are number 1 of 1"), "{page}");
    desk.run("UPDATE suppressions SET lifted_at = now(), lifted_reason = 'a test'").await;
    // As the view says it of an opening, and without one.
    for (bar, said) in [
        ("revoked", "took an offer back"),
        ("undeliverable", "could not be delivered"),
        ("not sent", "could not send you an offer in time"),
    ] {
        desk.run("DELETE FROM offers").await;
        desk.open(0).await;
        let statement = format!(
            "UPDATE entries SET state = 'waiting', barred = '{bar}', barred_at = '2027-01-01', barred_in = (SELECT max(id) FROM openings)"
        );
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(pool).await.unwrap();
        let page = desk.get(&desk.place(ana)).await.body;
        assert!(page.contains(said), "{bar}: {page}");
        desk.run("UPDATE openings SET state = 'closed', closed_at = now(), closed_because = 'a test'").await;
        assert_eq!(desk.get(&desk.place(ana)).await.body.contains(said), bar != "not sent", "{bar} after the opening");
    }
}

#[tokio::test]
async fn every_invalid_link_gets_the_one_page() {
    let desk = Desk::new().await;
    desk.program().await;
    let mut conn = desk.conn().await;
    program::create(&mut conn, "other", &particulars(), desk.app.now()).await.unwrap();
    let ana = desk.waits(ANA).await;
    desk.open(1).await;
    let known = desk.get("/u/x").await;
    assert_eq!(known.status, 404);
    let keyring = &desk.app.keyring;
    let hers = token::of_id(keyring, Purpose::Entry, ana);
    let wrong = [
        "/waitlist/course/x".to_owned(),
        format!("/waitlist/other/{hers}"),
        format!("/waitlist/none/{hers}"),
        format!("/waitlist/course/{}", token::of_id(keyring, Purpose::Entry, 99)),
        format!("/waitlist/course/{}", token::of_id(keyring, Purpose::Offer, ana)),
        format!("/waitlist/course/{}", token::of_id(&Keyring::of_secret([9; 32]), Purpose::Entry, ana)),
        "/waitlist/course/%ff".to_owned(),
        "/offers/x".to_owned(),
        format!("/offers/{}", token::of_id(keyring, Purpose::Offer, 99)),
        format!("/offers/{}", token::of_id(keyring, Purpose::Entry, 1)),
        "/offers/%ff".to_owned(),
    ];
    let before = desk.fingerprint().await;
    for path in &wrong {
        assert_eq!(desk.get(path).await.seen(), known.seen(), "{path}");
        for act in ["withdraw", "accept", "decline"] {
            assert_eq!(desk.post(path, &[("act", act)]).await.seen(), known.seen(), "{path}");
        }
    }
    assert_eq!(desk.fingerprint().await, before);
    erase::erase(&desk.app.db.pool, keyring, 1, Source::Page, desk.app.now()).await.unwrap();
    for path in [desk.place(ana), format!("/offers/{}", token::of_id(keyring, Purpose::Offer, 1))] {
        assert_eq!(desk.get(&path).await.seen(), known.seen(), "{path}: whoever was erased");
        assert_eq!(desk.post(&path, &[("act", "accept")]).await.seen(), known.seen(), "{path}");
    }
}

#[tokio::test]
async fn looking_at_the_pages_of_the_waitlist_changes_nothing_whatever_is_asked() {
    let desk = Desk::new().await;
    desk.program().await;
    let ana = desk.waits(ANA).await;
    desk.waits("bea@example.org").await;
    desk.open(1).await;
    let offer = format!("/offers/{}", token::of_id(&desk.app.keyring, Purpose::Offer, 1));
    let key = format!("Bearer {}", desk.key("shop").await);
    let before = desk.fingerprint().await;
    // The offer's time passes on the way: a look does not settle it either.
    for hours in [0, 100] {
        desk.app.wait(SignedDuration::from_hours(hours));
        for path in ["/", PATH, "/waitlist/none", &desk.place(ana), &offer, API] {
            for method in ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"] {
                let body = format!("email=bea@example.org&act=accept&stamp={}", desk.stamp());
                let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", key.as_str())];
                let answer = desk.ask(method, path, HOST, &headers, body).await;
                assert!(answer.status < 500, "{method} {path}: {}", answer.status);
                let policy = answer.header("content-security-policy").expect("a policy").to_owned();
                assert!(policy.ends_with("form-action 'self'; base-uri 'none'; frame-ancestors 'none'"), "{path}: {policy}");
                assert_eq!(policy.contains("script-src"), path == PATH && matches!(method, "GET" | "HEAD"), "{method} {path}: {policy}");
            }
        }
    }
    assert_eq!(desk.fingerprint().await, before);
}

#[tokio::test]
async fn the_first_page_her_preferences_and_the_way_out_of_letters_tell_of_waitlists() {
    let desk = Desk::new().await;
    desk.program().await;
    assert!(desk.get("/").await.body.contains("<a href=\"/waitlist/course\">The autumn course</a>"));
    let ana = desk.waits(ANA).await;
    desk.app.wait(SignedDuration::from_hours(48));
    desk.sign_up(ANA).await;
    desk.confirm(&desk.confirm_link().await).await;
    let preferences = format!("/preferences/{}", token::of_id(&desk.app.keyring, Purpose::Preferences, 1));
    let leave = format!("/u/{}", token::unsubscribe(&desk.app.keyring, UnsubscribeToken { subscriber_id: 1, topic_id: 1 }));
    let hers = desk.get(&preferences).await.body;
    for part in [
        "Your waitlists",
        "You are number 1 of 1",
        &desk.place(ana),
        "leaves your place as it is",
        "an offer that you have not answered ends",
    ] {
        assert!(hers.contains(part), "{part} is not in {hers}");
    }
    assert!(desk.get(&leave).await.body.contains("stays as it is if you leave only “Back care”"));
    desk.post(&leave, &[("act", "leave"), ("from", "topic")]).await;
    assert_eq!(line::place(&mut *desk.conn().await, ana).await.unwrap(), Some(1));
    desk.open(1).await;
    desk.post(&format!("/offers/{}", token::of_id(&desk.app.keyring, Purpose::Offer, 1)), &[("act", "accept")]).await;
    let asked = desk.post(&preferences, &[("act", "ask_erase")]).await.body;
    assert!(asked.contains("A seat that you have is given back"), "{asked}");
    desk.post(&preferences, &[("act", "erase")]).await;
    assert_eq!(desk.count("SELECT count(*) FROM offers WHERE given_back_at IS NOT NULL").await, 1);
    // Without a waitlist none is spoken of.
    desk.app.wait(SignedDuration::from_hours(48));
    desk.sign_up("bea@example.org").await;
    desk.confirm(&desk.confirm_link().await).await;
    let bea = desk.count("SELECT max(id) FROM subscribers").await;
    for path in [
        format!("/preferences/{}", token::of_id(&desk.app.keyring, Purpose::Preferences, bea)),
        format!("/u/{}", token::unsubscribe(&desk.app.keyring, UnsubscribeToken { subscriber_id: bea, topic_id: 1 })),
    ] {
        assert!(!desk.get(&path).await.body.contains("waitlist"), "{path}");
    }
}
