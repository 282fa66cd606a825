//! The states of programs, openings, entries and offers, the modes of an opening and what a missed offer costs, as the
//! database spells them.
//!
//! The whole waitlist reads them, and whoever shows it.

use std::fmt;
use std::str::FromStr;

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$each:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, sqlx::Type, serde::Serialize)]
        #[sqlx(type_name = "text")]
        pub enum $name {
            $($(#[$each])* #[sqlx(rename = $word)] #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every one.
            pub const ALL: &[$name] = &[$($name::$variant,)+];

            /// As the database spells it.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Where a program stands.
    ProgramState {
        /// One can join.
        Open = "open",
        /// Nobody can join, and nothing is offered.
        Closed = "closed",
    }
}

words! {
    /// Where an opening stands.
    OpeningState {
        /// Its time is to come.
        Scheduled = "scheduled",
        /// Seats are free, or held by open offers.
        Open = "open",
        /// Every seat is accepted.
        Full = "full",
        /// Over.
        Closed = "closed",
    }
}

words! {
    /// How an opening fills.
    Mode {
        /// A seat is held for each offer.
        Offers = "offers",
        /// Everyone is told at once, and no seat is held.
        NotifyAll = "notify-all",
        /// Everyone is offered a seat and none is held: first come.
        LastCall = "last-call",
    }
}

words! {
    /// Where a person stands with a program.
    EntryState {
        /// The address is not confirmed yet.
        Unconfirmed = "unconfirmed",
        /// In the line.
        Waiting = "waiting",
        /// A seat is offered to her.
        Offered = "offered",
        /// She has a seat.
        Seated = "seated",
        /// She left, declined or gave back; may join again, at the end.
        Withdrawn = "withdrawn",
        /// Out by an operator or by the rule about missed offers.
        Removed = "removed",
    }
}

words! {
    /// What became of an offer.
    OfferState {
        /// It waits for her answer.
        Open = "open",
        /// She took the seat.
        Accepted = "accepted",
        /// She did not want it.
        Declined = "declined",
        /// Its time ran out.
        Expired = "expired",
        /// Taken back, for a reason that it names.
        Revoked = "revoked",
    }
}

impl EntryState {
    /// Whether such an entry keeps her from joining anew.
    pub fn is_live(self) -> bool {
        !matches!(self, Self::Withdrawn | Self::Removed)
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().copied().find(|mode| mode.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is no mode of an opening: expected `offers`, `notify-all` or `last-call`"))
    }
}

/// What becomes of someone who let an offer run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterExpiry {
    /// To the back of the line.
    Back,
    /// She keeps her place, and is offered nothing more in this opening.
    Keep,
    /// To the back of the line, and out after so many.
    Out(i16),
}

impl fmt::Display for AfterExpiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Back => f.write_str("back"),
            Self::Keep => f.write_str("keep"),
            Self::Out(misses) => write!(f, "out:{misses}"),
        }
    }
}

impl FromStr for AfterExpiry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("out:").map(str::parse)) {
            ("back", _) => Ok(Self::Back),
            ("keep", _) => Ok(Self::Keep),
            (_, Some(Ok(misses @ 1..=99))) => Ok(Self::Out(misses)),
            _ => Err(format!("`{text}` does not say what follows a missed offer: expected `back`, `keep` or `out:N` with N from 1 to 99")),
        }
    }
}

impl serde::Serialize for AfterExpiry {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_missed_offer_is_read_as_it_is_written() {
        for text in ["back", "keep", "out:1", "out:99"] {
            assert_eq!(text.parse::<AfterExpiry>().unwrap().to_string(), text);
        }
        for text in ["", "out", "out:0", "out:100", "out:-1", "BACK"] {
            assert!(text.parse::<AfterExpiry>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_mode_is_read_as_it_is_written() {
        for mode in Mode::ALL {
            assert_eq!(mode.as_str().parse::<Mode>(), Ok(*mode));
        }
        assert!("auction".parse::<Mode>().is_err());
    }
}
