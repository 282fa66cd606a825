//! Stops reach the waitlist by themselves: whoever must not be mailed has no open offer, and whoever is erased has no entry.

use tidings::audience::suppression::Kind;
use tidings::base::address::EmailAddress;
use tidings::people::erase;
use tidings::people::stop::{self, Scope, Source, Undone, Whom};
use tidings::waitlist::line;
use tidings::waitlist::offer::{Acceptance, Over};

use super::stage::Stage;

#[tokio::test]
async fn leaving_everything_revokes_the_offer_and_taking_it_back_brings_a_new_one_and_no_old_mail() {
    let (stage, entries) = Stage::with(1).await;
    stage.open(1).await;
    let first = stage.offer_of(entries[0]).await;
    let ana = stage.person(0).await;
    let (pool, keyring) = (&stage.app.db.pool, &stage.app.keyring);
    stop::unsubscribe(pool, keyring, ana, Scope::Everything, Source::Page, stage.now()).await.unwrap();
    assert_eq!(stage.accept(entries[0]).await, Acceptance::Over(Over::Revoked { reason: "suppressed: unsubscribe_all".to_owned() }));
    assert_eq!(line::place(&mut *stage.conn().await, entries[0]).await.unwrap(), Some(1), "her place is kept");
    assert_eq!(stage.advance().await, 0);
    let undone = stop::undo(pool, ana, 1, stage.now()).await.unwrap();
    assert!(matches!(undone, Undone::Lifted { scope: Scope::Everything, .. }));
    assert_eq!(stage.mail(&format!("offer:{first}"), "offer").await, "cancelled", "the mail of an offer that is over stays unsent");
    assert_eq!(stage.advance().await, 1);
    assert_eq!(stage.accept(entries[0]).await, Acceptance::Accepted);
}

#[tokio::test]
async fn a_suppressed_address_and_an_erased_person_hold_no_seat_for_others() {
    let (stage, entries) = Stage::with(4).await;
    stage.open(2).await;
    stage.accept(entries[1]).await;
    let (pool, keyring, now) = (&stage.app.db.pool, &stage.app.keyring, stage.now());
    let address = EmailAddress::parse("person-0@example.org").unwrap();
    stop::suppress(pool, keyring, Whom::Address(&address), Kind::Complaint, "a report", Source::Operator, now).await.unwrap();
    erase::erase(pool, keyring, stage.person(1).await, Source::Operator, now).await.unwrap();
    assert_eq!(stage.advance().await, 2);
    assert_eq!(stage.states(&entries).await, ["waiting", "withdrawn", "offered", "offered"]);
}
