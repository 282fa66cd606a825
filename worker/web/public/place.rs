//! What the pages say of somebody's place on a waitlist: where she stands, why nothing is offered to her, and what happens next.
//!
//! Words only; `waitlist::standing` found out how it stands. The pages of an entry, of an offer, of a confirmation and of her
//! preferences say the same thing in the same words.

use super::moment::{day, moment};
use crate::{
    base::{
        keys::Keyring,
        token::{self, Purpose},
    },
    waitlist::{
        standing::{Ended, Next, PassedOver, Standing},
        states::{EntryState, Mode},
    },
};

/// The page of an entry.
pub(super) fn link(keyring: &Keyring, slug: &str, entry_id: i64) -> String {
    format!("/waitlist/{slug}/{}", token::of_id(keyring, Purpose::Entry, entry_id))
}

/// The page of an offer.
pub(super) fn offer_link(keyring: &Keyring, offer_id: i64) -> String {
    format!("/offers/{}", token::of_id(keyring, Purpose::Offer, offer_id))
}

/// Where she stands, in a sentence or two.
pub(super) fn told(standing: &Standing, publisher: &str) -> String {
    let program = &standing.program;
    if let Some(ended) = standing.ended {
        return match ended {
            Ended::Back => format!("Your offer has ended. You stay on the waitlist of “{program}”, at the end of the line."),
            Ended::Kept => format!("Your offer has ended. Your place on the waitlist of “{program}” is kept."),
            Ended::Out => format!(
                "Your offer has ended. It was one too many that nobody answered: you are not on the waitlist of “{program}” any more."
            ),
        };
    }
    match standing.state {
        EntryState::Unconfirmed => format!(
            "You are not on the waitlist of “{program}” yet: please press the button in the mail that we sent you. Your place counts from \
             your first request."
        ),
        EntryState::Waiting => {
            let since = day(standing.since, standing.zone.as_deref());
            format!("You are number {} of {} on the waitlist of “{program}”, since {since}.", standing.place.unwrap_or(1), standing.waiting)
        }
        EntryState::Offered => format!("A seat in “{program}” is offered to you."),
        EntryState::Seated => format!("You have a seat in “{program}”."),
        EntryState::Withdrawn => format!("You are not on the waitlist of “{program}” any more."),
        EntryState::Removed if standing.missed => {
            format!("You are not on the waitlist of “{program}” any more: too many offers were not answered, or it was never confirmed.")
        }
        EntryState::Removed => format!("{publisher} took you off the waitlist of “{program}”."),
    }
}

/// Why nothing is offered to her although she waits, and what she can do.
pub(super) fn passed_over(why: PassedOver, publisher: &str) -> String {
    let write = format!("please write to {publisher}, from another address if mail to yours comes back");
    match why {
        PassedOver::Left => format!(
            "No seat is offered to you at present, because you told us to send you nothing. Your place is kept. To be offered seats again, ask \
             to join once more, and press the button in the mail that comes: {publisher} may write to you about this then."
        ),
        PassedOver::Suppressed => format!(
            "No seat is offered to you at present: mail to your address came back, or somebody told us to stop. Your place is kept. If you \
             think that this is a mistake, {write}."
        ),
        PassedOver::Undeliverable => {
            format!(
                "No seat is offered to you at present, because our mail with an offer could not be delivered. Your place is kept; {write}."
            )
        }
        PassedOver::Revoked => {
            format!(
                "No seat is offered to you at present: {publisher} took an offer back. Your place is kept. Please write to {publisher} about it."
            )
        }
        PassedOver::NotSent => {
            "We could not send you an offer in time. Your place is kept, and you are offered a seat in the next opening.".to_owned()
        }
        PassedOver::Missed => "You let an offer of this opening run out. Your place is kept for the next one.".to_owned(),
        PassedOver::LastCall => "You had the last call of this opening. Your place is kept for the next one.".to_owned(),
    }
}

/// What happens next with a program.
pub(super) fn next(next: Option<&Next>, zone: Option<&str>) -> String {
    let Some(next) = next else { return "The day of the next opening is not set yet.".to_owned() };
    let from = moment(next.opens_at, zone.or(Some(&next.zone)));
    match (next.is_open, next.mode) {
        (false, Mode::NotifyAll) => format!("On {from} everyone who waits is told that the program is open: first come, first served."),
        (false, Mode::LastCall) => format!("On {from} a last call for seats goes to everyone who waits: first come, first served."),
        (false, Mode::Offers) => format!("The next seats are offered from {from} on, in the order of the line."),
        (true, _) if next.is_full => "At the moment every seat is taken. One that is given back goes to the next in the line.".to_owned(),
        (true, Mode::NotifyAll) => "The program is open: everyone who waits has been told. First come, first served.".to_owned(),
        (true, Mode::LastCall) => "A last call for seats has gone to everyone who waits: first come, first served.".to_owned(),
        (true, Mode::Offers) => "Seats are being offered now, one after the other, in the order of the line.".to_owned(),
    }
}

/// What happens when it is her turn.
pub(super) const HER_TURN: &str =
    "When it is your turn we mail you an offer. A seat is held for you then, and the mail says how long you can think about it.";

/// How many wait, for somebody who might join.
pub(super) fn crowd(waiting: i64) -> String {
    match waiting {
        0 => "Nobody waits at the moment.".to_owned(),
        1 => "One person waits at the moment.".to_owned(),
        more => format!("{more} people wait at the moment."),
    }
}
