//! The stamp of a form that can cause a mail: when it was made, sealed, so that one which comes back too soon is known.
//!
//! A form that a person fills in takes her some seconds; a program takes none. A form without a stamp, such as one on another
//! site, is no less welcome: it gets a page with one button, which carries one.

use crate::base::{
    keys::Keyring,
    token::{self, Purpose},
};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// A form that was left open for longer than that is asked about once more.
const OLDEST: SignedDuration = SignedDuration::from_hours(24);

/// What a stamp says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// The form was made by us, and not just now.
    Good,
    /// It was made by us so lately that nobody can have read it.
    TooYoung,
    /// There is none, it is none of ours, or it is too old.
    None,
}

/// A stamp of this instant.
pub(super) fn of(keyring: &Keyring, now: Timestamp) -> String {
    token::of_id(keyring, Purpose::Form, now.as_millisecond())
}

/// Reads the stamp of a form that came back.
pub(super) fn read(keyring: &Keyring, text: &str, minimum: Duration, now: Timestamp) -> Stamp {
    let Some(made) = token::verify_id(keyring, Purpose::Form, text).and_then(|at| Timestamp::from_millisecond(at).ok()) else {
        return Stamp::None;
    };
    let age = now.duration_since(made);
    match () {
        () if age > OLDEST => Stamp::None,
        // Another host's clock may be a little ahead: that makes it young, and not forged.
        () if age < SignedDuration::try_from(minimum).unwrap_or(SignedDuration::MAX) => Stamp::TooYoung,
        () => Stamp::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_good_from_the_least_time_to_a_day() {
        let keyring = Keyring::of_secret([7; 32]);
        let made: Timestamp = "2026-01-12T06:00:00Z".parse().unwrap();
        let stamp = of(&keyring, made);
        let after = |milliseconds| read(&keyring, &stamp, Duration::from_secs(3), made + SignedDuration::from_millis(milliseconds));
        assert_eq!(after(-10_000), Stamp::TooYoung);
        assert_eq!(after(2_999), Stamp::TooYoung);
        assert_eq!(after(3_000), Stamp::Good);
        assert_eq!(after(24 * 3_600_000), Stamp::Good);
        assert_eq!(after(24 * 3_600_000 + 1), Stamp::None);
    }

    #[test]
    fn what_is_no_stamp_of_ours_is_none() {
        let keyring = Keyring::of_secret([7; 32]);
        let now: Timestamp = "2026-01-12T06:00:00Z".parse().unwrap();
        let (another_key, another_purpose) =
            (of(&Keyring::of_secret([8; 32]), now), token::of_id(&keyring, Purpose::Confirm, now.as_millisecond()));
        for text in ["", "x", &another_key, &another_purpose, &token::of_id(&keyring, Purpose::Form, i64::MAX)] {
            assert_eq!(read(&keyring, text, Duration::ZERO, now), Stamp::None, "{text}");
        }
    }
}
