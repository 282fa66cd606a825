//! The edge between jiff, which the whole project reckons with, and chrono, which sqlx speaks.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use jiff::{Timestamp, civil::Date};

/// An instant as the database takes it (microseconds).
pub fn to_db(at: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.as_microsecond()).expect("jiff's range lies within chrono's")
}

/// An instant as the database gave it.
pub fn from_db(at: DateTime<Utc>) -> Timestamp {
    Timestamp::from_microsecond(at.timestamp_micros()).expect("Postgres holds only instants that were written by us")
}

/// A civil date as the database takes it.
pub fn civil_to_db(date: Date) -> NaiveDate {
    NaiveDate::from_ymd_opt(date.year().into(), date.month().unsigned_abs().into(), date.day().unsigned_abs().into())
        .expect("jiff's dates lie within chrono's")
}

/// A civil date as the database gave it.
pub fn civil_from_db(date: NaiveDate) -> Date {
    let year = i16::try_from(date.year()).expect("dates are written by us");
    Date::new(year, date.month() as i8, date.day() as i8).expect("chrono's dates are valid")
}

/// The first day of the month that `at` lies in, by UTC: the period of deliveries made then.
pub fn period_of(at: Timestamp) -> Date {
    at.to_zoned(jiff::tz::TimeZone::UTC).date().first_of_month()
}
