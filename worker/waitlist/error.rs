//! Why an act on a program, an opening, an entry or an offer was refused: each a sentence that names it and says what to do.

use super::states::{EntryState, OfferState, OpeningState};
use crate::base::near::nearest;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum WaitlistError {
    /// No program bears the slug.
    #[error("there is no program `{slug}`; {}", meant(slug, existing))]
    UnknownProgram {
        /// What was asked for.
        slug: String,
        /// The slugs that there are, the latest first.
        existing: Vec<String>,
    },
    /// The program has no such opening.
    #[error(
        "program `{slug}` has no opening {number}: `tidings program show {slug}` lists those that it has, `tidings opening create {slug} …` makes one"
    )]
    UnknownOpening {
        /// The program.
        slug: String,
        /// What was asked for.
        number: i32,
    },
    /// No row has this number.
    #[error("there is no {what} {id}")]
    Unknown {
        /// program, opening, entry or offer.
        what: &'static str,
        /// What was asked for.
        id: i64,
    },
    /// The slug is in use.
    #[error("there is a program `{0}` already: choose another slug, or `tidings program edit {0}`")]
    SlugTaken(String),
    /// Something that was said of a program or an opening cannot be.
    #[error("{0}")]
    Invalid(String),
    /// The opening exists and is another.
    #[error("opening {number} of `{slug}` exists already with another {differs}: give another number, or close it first")]
    NumberTaken {
        /// The program.
        slug: String,
        /// The number.
        number: i32,
        /// What is not the same.
        differs: &'static str,
    },
    /// Nobody can join any more.
    #[error("program `{0}` is closed: nobody can join it, and no seats are opened")]
    ProgramClosed(String),
    /// The opening's state does not allow it.
    #[error("opening {number} is {state}: {hint}")]
    Opening {
        /// Its number.
        number: i32,
        /// Its state.
        state: OpeningState,
        /// What to do instead.
        hint: &'static str,
    },
    /// The entry's state does not allow it.
    #[error("entry {id} is {state}: {hint}")]
    Entry {
        /// Its number.
        id: i64,
        /// Its state.
        state: EntryState,
        /// What to do instead.
        hint: &'static str,
    },
    /// The offer is not open.
    #[error("offer {id} is {state}, and only an open one can be revoked")]
    Offer {
        /// Its number.
        id: i64,
        /// Its state.
        state: OfferState,
    },
    /// Nobody of this address is in a line.
    #[error("{address} waits for {}", waits(programs))]
    NotOne {
        /// The address, as it was typed.
        address: String,
        /// The programs that she waits for: none, or several.
        programs: Vec<String>,
    },
    /// She cannot be offered a seat.
    #[error("entry {id} cannot be offered a seat ({why}): `tidings entry list` says why each is passed over")]
    NotEligible {
        /// The entry.
        id: i64,
        /// Why.
        why: String,
    },
    /// No seat is free.
    #[error("opening {number} has no free seat: all {seats} are taken or held; `tidings opening seats` adds some")]
    NoSeat {
        /// Its number.
        number: i32,
        /// Its seats.
        seats: i32,
    },
    /// An act that needs a reason was given none.
    #[error("a reason is needed: say why with --reason")]
    NoReason,
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

fn meant(slug: &str, slugs: &[String]) -> String {
    if let Some(near) = nearest(slug, slugs.iter().map(String::as_str)) {
        return format!("did you mean `{near}`?");
    }
    // The latest, and not all of many.
    let slugs = &slugs[..slugs.len().min(8)];
    let quoted: Vec<String> = slugs.iter().map(|slug| format!("`{slug}`")).collect();
    match quoted.as_slice() {
        [] => "make one with `tidings program create SLUG --name NAME`".to_owned(),
        [one] => format!("the only one is {one}"),
        [first @ .., last] => format!("there are {} and {last}", first.join(", ")),
    }
}

fn waits(programs: &[String]) -> String {
    match programs {
        [] => "no program: `tidings entry list PROGRAM` lists those who do".to_owned(),
        several => format!("several programs: name one of them with --program ({})", several.join(", ")),
    }
}
