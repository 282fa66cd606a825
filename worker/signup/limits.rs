//! How many requests one place may make and how many mails one address may get because somebody typed it in.
//!
//! The counts stand in Postgres, so that all processes share them, under keyed hashes, and outlive the person. Each is one statement
//! that counts and answers, so that nothing slips between looking and counting. Whoever takes a request that may cause a mail calls
//! `admit`; whoever sends such a mail calls `may_mail` in the transaction that inserts it. `prune` deletes what counts no more.

use crate::base::{
    config,
    keys::Keyring,
    time::{from_db, to_db},
};
use jiff::{SignedDuration, Timestamp};
use sqlx::{PgConnection, PgPool};
use std::net::IpAddr;

const HOUR: i64 = 3_600;
const DAY: SignedDuration = SignedDuration::from_hours(24);
const QUARTER: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A page, from this address.
    Host(IpAddr),
    /// The API, with this operator's key.
    Key(i64),
}

/// What is said to a request. It never tells anything about the address that was typed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It was taken; whether a mail goes out is between us and the address.
    Taken,
    /// Too many requests came from there, or in all: to be tried again in an hour.
    TooMany,
}

/// Counts a request; false when it is one too many for its host, its network, its key or for all. One that is too many for its
/// host counts nowhere else, so that nobody uses up what belongs to all.
pub async fn admit(
    conn: &mut PgConnection,
    keyring: &Keyring,
    rules: &config::Signup,
    origin: Origin,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let (near, around) = places(keyring, rules, origin);
    sqlx::query_scalar!(
        r#"WITH first AS (
            INSERT INTO request_counts AS c (scope, origin, starts_at, requests) SELECT $1, $2, $6, 1 WHERE $3::bigint > 0
            ON CONFLICT (scope, origin, starts_at) DO UPDATE SET requests = c.requests + 1 WHERE c.requests < $3 RETURNING 1),
        second AS (
            INSERT INTO request_counts AS c (scope, origin, starts_at, requests) SELECT 'network', $4, $6, 1 WHERE $5::bigint > 0 AND EXISTS (SELECT FROM first)
            ON CONFLICT (scope, origin, starts_at) DO UPDATE SET requests = c.requests + 1 WHERE c.requests < $5 RETURNING 1),
        third AS (
            INSERT INTO request_counts AS c (scope, origin, starts_at, requests) SELECT 'all', '', $6, 1
            WHERE $7::bigint > 0 AND (EXISTS (SELECT FROM second) OR $4::bytea IS NULL AND EXISTS (SELECT FROM first))
            ON CONFLICT (scope, origin, starts_at) DO UPDATE SET requests = c.requests + 1 WHERE c.requests < $7 RETURNING 1)
        SELECT EXISTS (SELECT FROM third) AS "admitted!""#,
        near.scope,
        near.hash.as_slice(),
        near.limit,
        around.as_ref().map(|network| network.hash.to_vec()) as Option<Vec<u8>>,
        around.as_ref().map_or(0, |network| network.limit),
        to_db(window(now)),
        i64::from(rules.all_per_hour),
    )
    .fetch_one(conn)
    .await
}

/// Counts a mail to an address that somebody typed in; false when it may get none now, and then nothing is counted.
pub async fn may_mail(
    conn: &mut PgConnection,
    keyring: &Keyring,
    rules: &config::Signup,
    address_key: &str,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let hash = address_hash(keyring, address_key);
    let counted = sqlx::query_scalar!(
        r#"INSERT INTO asked_mails AS m (address_hash, mailed_at) SELECT $1, ARRAY[$2::timestamptz] WHERE least($5::bigint, $6::bigint) > 0
        ON CONFLICT (address_hash) DO UPDATE SET mailed_at = array(SELECT at FROM unnest(m.mailed_at) at WHERE at > $4) || $2
            WHERE (SELECT count(*) FROM unnest(m.mailed_at) at WHERE at > $3) < $5
              AND (SELECT count(*) FROM unnest(m.mailed_at) at WHERE at > $4) < $6
        RETURNING true AS "counted!""#,
        hash.as_slice(),
        to_db(now),
        to_db(now - DAY),
        to_db(now - QUARTER),
        i64::from(rules.mails_per_day),
        i64::from(rules.mails_per_quarter),
    )
    .fetch_optional(conn)
    .await?;
    Ok(counted.is_some())
}

/// When mails were sent to an address because somebody typed it in, as far as that is still counted; for whoever asks what is kept.
pub async fn mailed_at(conn: &mut PgConnection, keyring: &Keyring, address_key: &str) -> sqlx::Result<Vec<Timestamp>> {
    let hash = address_hash(keyring, address_key);
    let rows =
        sqlx::query_scalar!(r#"SELECT unnest(mailed_at) AS "at!" FROM asked_mails WHERE address_hash = $1 ORDER BY 1"#, hash.as_slice())
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().map(from_db).collect())
}

/// The keyed hash of where a request came from, as consents keep it.
pub fn origin_hash(keyring: &Keyring, origin: Origin) -> [u8; 32] {
    match origin {
        Origin::Host(address) => keyring.counting_hash(&format!("host {}", address.to_canonical())),
        Origin::Key(id) => keyring.counting_hash(&format!("key {id}")),
    }
}

/// Deletes the windows that are over and the addresses that got nothing for so long that it counts no more.
pub async fn prune(pool: &PgPool, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM request_counts WHERE starts_at < $1", to_db(window(now) - SignedDuration::from_hours(1)))
        .execute(pool)
        .await?;
    sqlx::query!("DELETE FROM asked_mails WHERE NOT EXISTS (SELECT FROM unnest(mailed_at) at WHERE at > $1)", to_db(now - QUARTER))
        .execute(pool)
        .await?;
    Ok(())
}

struct Place {
    scope: &'static str,
    hash: [u8; 32],
    limit: i64,
}

// A key belongs to no network.
fn places(keyring: &Keyring, rules: &config::Signup, origin: Origin) -> (Place, Option<Place>) {
    let hash = origin_hash(keyring, origin);
    match origin {
        Origin::Host(address) => {
            let around = keyring.counting_hash(&format!("network {}", network(address)));
            let around = Place { scope: "network", hash: around, limit: rules.network_per_hour.into() };
            (Place { scope: "host", hash, limit: rules.host_per_hour.into() }, Some(around))
        }
        Origin::Key(_) => (Place { scope: "key", hash, limit: rules.key_per_hour.into() }, None),
    }
}

/// The /24 or the /64 that an address lies in.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

fn address_hash(keyring: &Keyring, address_key: &str) -> [u8; 32] {
    keyring.counting_hash(&format!("address {}", inbox(address_key)))
}

// The inbox behind an address, as far as is commonly known: what follows a `+` is a mark of its owner's (RFC 5233), and one
// provider reads no dots. Only mails are counted so; who is who goes by the whole address.
fn inbox(address_key: &str) -> String {
    let Some((local, domain)) = address_key.rsplit_once('@') else { return address_key.to_owned() };
    let marked = local.split_once('+').map_or(local, |(before, _)| before);
    let local = if marked.is_empty() { local } else { marked };
    match domain {
        "gmail.com" | "googlemail.com" => format!("{}@gmail.com", local.replace('.', "")),
        _ => format!("{local}@{domain}"),
    }
}

fn window(now: Timestamp) -> Timestamp {
    let second = now.as_second();
    Timestamp::from_second(second - second.rem_euclid(HOUR)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_slash_24_or_a_slash_64_however_the_address_is_spelt() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("192.0.2.200"), "192.0.2.0/24");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.0/24");
        assert_eq!(of("2001:db8:1:2:3::4"), "2001:db8:1:2::/64");
    }

    #[test]
    fn windows_are_hours() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(window(at("2026-01-12T06:59:59.9Z")), at("2026-01-12T06:00:00Z"));
        assert_eq!(window(at("2026-01-12T07:00:00Z")), at("2026-01-12T07:00:00Z"));
    }

    #[test]
    fn addresses_of_one_inbox_are_counted_together() {
        for (address, counted) in [
            ("ana+tips@example.org", "ana@example.org"),
            ("ana+a+b@example.org", "ana@example.org"),
            ("+ana@example.org", "+ana@example.org"),
            ("a.na@example.org", "a.na@example.org"),
            ("a.na+1@gmail.com", "ana@gmail.com"),
            ("ana@googlemail.com", "ana@gmail.com"),
        ] {
            assert_eq!(inbox(address), counted);
        }
    }

    #[test]
    fn what_is_counted_never_shares_a_hash_with_what_is_suppressed() {
        let keyring = Keyring::of_secret([7; 32]);
        assert_ne!(address_hash(&keyring, "a@example.org"), keyring.address_hash("a@example.org").1);
    }
}
