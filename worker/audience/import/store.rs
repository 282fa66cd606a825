//! The SQL of an import: its own row, what is known of a batch's people, and what is changed about them.
//!
//! Whole batches at a time, in the order of the address keys, so that two imports wait for each other and never deadlock.

use super::{
    Counts,
    judge::{Entry, Known, Standing},
};
use crate::{
    audience::{
        consent::{Act, Source},
        store as audience,
        subscriber::NewSubscriber,
        suppression::{self, Suppression},
        topic::Topic,
    },
    base::{
        keys::Keyring,
        time::{civil_from_db, from_db, to_db},
    },
};
use jiff::Timestamp;
use sqlx::{PgConnection, types::Json};
use std::collections::HashMap;

/// An import that is not finished.
pub(super) struct Import {
    pub(super) id: i64,
    pub(super) counts: Counts,
    pub(super) started_at: Timestamp,
    pub(super) is_being_undone: bool,
}

/// Inserts an import; none when one of this file is unfinished.
pub(super) async fn insert_import(
    conn: &mut PgConnection,
    name: &str,
    hash: &[u8],
    topic_id: Option<i64>,
    because: Option<&str>,
    now: Timestamp,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        "INSERT INTO imports (file_name, file_hash, topic_id, because, started_at, counts) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (file_hash) WHERE finished_at IS NULL AND undone_at IS NULL DO NOTHING RETURNING id",
        name,
        hash,
        topic_id,
        because,
        to_db(now),
        Json(Counts::default()) as _,
    )
    .fetch_optional(conn)
    .await
}

/// The unfinished import of a file.
pub(super) async fn unfinished(conn: &mut PgConnection, hash: &[u8]) -> sqlx::Result<Import> {
    let row = sqlx::query!(
        r#"SELECT id, started_at, undoing_at IS NOT NULL AS "is_being_undone!", counts AS "counts: Json<Counts>"
           FROM imports WHERE file_hash = $1 AND finished_at IS NULL AND undone_at IS NULL"#,
        hash,
    )
    .fetch_one(conn)
    .await?;
    Ok(Import { id: row.id, counts: row.counts.0, started_at: from_db(row.started_at), is_being_undone: row.is_being_undone })
}

/// Holds the import's row; false when it is not where this process left it.
pub(super) async fn hold(conn: &mut PgConnection, id: i64, rows_done: u64) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar!(
        "SELECT id FROM imports WHERE id = $1 AND rows_done = $2 AND undoing_at IS NULL AND finished_at IS NULL FOR NO KEY UPDATE",
        id,
        rows_done.cast_signed(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

/// Records how far it is.
pub(super) async fn advance(conn: &mut PgConnection, id: i64, counts: &Counts) -> sqlx::Result<()> {
    sqlx::query!("UPDATE imports SET rows_done = $2, counts = $3 WHERE id = $1", id, counts.rows.cast_signed(), Json(counts) as _,)
        .execute(conn)
        .await
        .map(drop)
}

/// Records that it is done.
pub(super) async fn finish(conn: &mut PgConnection, id: i64, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!("UPDATE imports SET finished_at = $2 WHERE id = $1 AND finished_at IS NULL AND undoing_at IS NULL", id, to_db(now))
        .execute(conn)
        .await
        .map(drop)
}

/// Holds those of the people who are subscribers, so that no stop comes between the look and the change.
pub(super) async fn lock_subscribers(conn: &mut PgConnection, people: &[&NewSubscriber]) -> sqlx::Result<()> {
    let keys = keys(people);
    sqlx::query!("SELECT id FROM subscribers WHERE address_key = ANY($1::text[]) ORDER BY address_key FOR NO KEY UPDATE", &keys as &[&str])
        .fetch_all(conn)
        .await
        .map(drop)
}

/// What is known of a batch's people, by their keys.
pub(super) struct Found(HashMap<String, Entry>);

impl Found {
    fn nothing_of(people: &[&NewSubscriber]) -> Self {
        let mut entries = HashMap::with_capacity(people.len());
        for person in people {
            let unknown = || Entry { id: None, address: person.address.clone(), before: Known::default(), now: Known::default() };
            entries.entry(person.address.key().to_owned()).or_insert_with(unknown);
        }
        Self(entries)
    }

    /// What is known of a person of the batch.
    pub(super) fn of(&mut self, person: &NewSubscriber) -> &mut Entry {
        self.0.get_mut(person.address.key()).expect("everybody of the batch was entered")
    }

    /// Everybody, in the order of the keys.
    pub(super) fn into_entries(self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.0.into_values().collect();
        entries.sort_by(|one, other| one.address.key().cmp(other.address.key()));
        entries
    }
}

/// Looks up what is known of people and what stands against them.
pub(super) async fn look(
    conn: &mut PgConnection,
    keyring: &Keyring,
    topic: Option<&Topic>,
    people: &[&NewSubscriber],
) -> sqlx::Result<Found> {
    let mut found = Found::nothing_of(people);
    let mut by_id = HashMap::new();
    for (key, id, known) in subscribers(conn, topic, people).await? {
        if let Some(entry) = found.0.get_mut(&key) {
            entry.id = Some(id);
            entry.before = known;
            by_id.insert(id, key);
        }
    }
    // A subscriber's suppression is looked up by id too: its hash may be of a key that is no longer in the key file.
    let ids: Vec<i64> = by_id.keys().copied().collect();
    for suppression in audience::live_suppressions_of_subscribers(conn, &ids).await? {
        let key = suppression.subscriber_id.and_then(|id| by_id.get(&id));
        if let Some(entry) = key.and_then(|key| found.0.get_mut(key)) {
            entry.before.against = Some(in_words(&suppression));
        }
    }
    let mut owners = HashMap::new();
    for person in people {
        owners.extend(suppression::hashes(keyring, person.address.key()).into_iter().map(|hash| (hash, *person)));
    }
    let hashes: Vec<Vec<u8>> = owners.keys().cloned().collect();
    for (hash, suppression) in audience::live_suppressions(conn, &hashes).await? {
        found.of(owners[&hash]).before.against = Some(in_words(&suppression));
    }
    found.0.values_mut().for_each(|entry| entry.now = entry.before.clone());
    Ok(found)
}

fn in_words(suppression: &Suppression) -> String {
    format!("suppressed: {} since {} ({})", suppression.kind.as_str(), suppression.at.strftime("%F"), suppression.reason)
}

async fn subscribers(conn: &mut PgConnection, topic: Option<&Topic>, people: &[&NewSubscriber]) -> sqlx::Result<Vec<(String, i64, Known)>> {
    let keys = keys(people);
    let rows = sqlx::query!(
        r#"SELECT s.id, s.address_key AS "key!", s.name, s.zone, s.stage_date, p.standing AS "standing?", p.changed_at AS "changed_at?"
           FROM subscribers s LEFT JOIN subscriptions p ON p.subscriber_id = s.id AND p.topic_id = $2
           WHERE s.address_key = ANY($1::text[])"#,
        &keys as &[&str],
        topic.map(|topic| topic.id),
    )
    .fetch_all(conn)
    .await?;
    let known = rows.into_iter().map(|row| {
        let since = row.changed_at.map(|at| from_db(at).strftime("%F").to_string()).unwrap_or_default();
        let (standing, against) = match row.standing.as_deref() {
            Some("confirmed") => (Some(Standing::Confirmed), None),
            Some("unconfirmed") => (Some(Standing::Unconfirmed), None),
            Some(_) => (None, Some(format!("unsubscribed on {since}"))),
            None => (None, None),
        };
        let stage_date = row.stage_date.map(civil_from_db);
        (row.key, row.id, Known { exists: true, name: row.name, zone: row.zone, stage_date, standing, against })
    });
    Ok(known.collect())
}

/// Adds the people who are new, and fills in their ids; false when somebody else was first with one of them.
pub(super) async fn add_new(conn: &mut PgConnection, entries: &mut [Entry], at: Timestamp) -> sqlx::Result<bool> {
    let new: Vec<NewSubscriber> = entries.iter().filter(|entry| entry.is_new()).map(Entry::person).collect();
    let inserted = audience::insert_subscribers(conn, &new.iter().collect::<Vec<_>>(), at).await?;
    let by_key: HashMap<String, i64> = inserted.into_iter().map(|(id, key)| (key, id)).collect();
    for entry in entries.iter_mut().filter(|entry| entry.is_new()) {
        entry.id = by_key.get(entry.address.key()).copied();
    }
    Ok(by_key.len() == new.len())
}

/// Writes what was not known of people who were subscribers before, and that it was written.
pub(super) async fn fill_in(conn: &mut PgConnection, entries: &[Entry], at: Timestamp) -> sqlx::Result<()> {
    let known = || entries.iter().filter(|entry| !entry.is_new() && !entry.filled().is_empty());
    let people: Vec<(i64, NewSubscriber)> = known().filter_map(|entry| Some((entry.id?, entry.person()))).collect();
    if people.is_empty() {
        return Ok(());
    }
    audience::fill_in_subscribers(conn, &people.iter().map(|(id, person)| (*id, person)).collect::<Vec<_>>()).await?;
    let (mut ids, mut whats, mut afters) = (Vec::new(), Vec::new(), Vec::new());
    for entry in known() {
        for (what, after) in entry.filled() {
            ids.extend(entry.id);
            whats.push(what.replace('_', " "));
            afters.push(after);
        }
    }
    sqlx::query!(
        "INSERT INTO subscriber_events (subscriber_id, at, what, source, after)
         SELECT id, $4, what, 'import', after FROM unnest($1::bigint[], $2::text[], $3::text[]) AS e (id, what, after)",
        &ids,
        &whats,
        &afters,
        to_db(at),
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Gives people the standing that they are to have with the topic; the evidence goes with those who are confirmed by it.
pub(super) async fn subscribe(
    conn: &mut PgConnection,
    topic_id: i64,
    entries: &[Entry],
    because: Option<&str>,
    at: Timestamp,
) -> sqlx::Result<()> {
    let ids: Vec<i64> = entries.iter().filter(|entry| entry.stands_anew()).filter_map(|entry| entry.id).collect();
    let Some(because) = because else {
        return sqlx::query!(
            "INSERT INTO subscriptions (subscriber_id, topic_id, standing, changed_at)
             SELECT id, $2, 'unconfirmed', $3 FROM unnest($1::bigint[]) AS id ORDER BY id ON CONFLICT DO NOTHING",
            &ids,
            topic_id,
            to_db(at),
        )
        .execute(conn)
        .await
        .map(drop);
    };
    let confirmed = audience::confirm_subscriptions(conn, topic_id, &ids, at).await?;
    audience::insert_consents(conn, &confirmed, Some(topic_id), Act::Confirmed, Source::Import, Some(because), at).await
}

/// Records what was changed about whom, so that it can be undone.
pub(super) async fn record_changes(conn: &mut PgConnection, import_id: i64, entries: &[Entry]) -> sqlx::Result<()> {
    let ids: Vec<i64> = entries.iter().filter_map(|entry| entry.id).collect();
    let created: Vec<bool> = entries.iter().map(Entry::is_new).collect();
    let standings: Vec<Option<&str>> = entries.iter().map(|entry| entry.before.standing.map(Standing::as_str)).collect();
    let filled: Vec<String> =
        entries.iter().map(|entry| entry.filled().into_iter().map(|(what, _)| what).collect::<Vec<_>>().join(",")).collect();
    sqlx::query!(
        "INSERT INTO import_changes (import_id, subscriber_id, created, standing_before, filled)
         SELECT $1, id, created, standing, string_to_array(filled, ',')
         FROM unnest($2::bigint[], $3::bool[], $4::text[], $5::text[]) AS c (id, created, standing, filled)
         -- A later row about a person of an earlier batch: what she was before is known already.
         ON CONFLICT (import_id, subscriber_id) DO UPDATE SET filled = import_changes.filled || excluded.filled",
        import_id,
        &ids,
        &created,
        &standings as &[Option<&str>],
        &filled,
    )
    .execute(conn)
    .await
    .map(drop)
}

fn keys<'p>(people: &[&'p NewSubscriber]) -> Vec<&'p str> {
    people.iter().map(|person| person.address.key()).collect()
}
