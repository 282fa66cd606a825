//! What an import would do, told without writing anything: the same judgement over the same rows, on what stands at this moment.
//!
//! People who come up again further down are known by a hash of their key, so that a million of them fit in little memory.
//! Called by `tidings import subscribers --dry-run`.

use super::{
    BATCH, Counts, Difference, Heard, ImportError, Options, Remark, Said, Table,
    file::Person,
    judge::{Entry, Known, Outcome, Standing, judge},
    store,
};
use crate::{audience::subscriber::NewSubscriber, base::keys::Keyring};
use serde::Serialize;
use sqlx::PgConnection;
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    io::{Read, Seek},
};

/// What an import would do.
#[derive(Debug, Serialize)]
pub struct Preview {
    /// How many rows would become what.
    #[serde(flatten)]
    pub counts: Counts,
    /// The first of the people who would be changed.
    pub sample: Vec<Sample>,
}

/// What would be changed about a person who is a subscriber already.
#[derive(Debug, Serialize)]
pub struct Sample {
    /// The line that says so.
    pub line: u64,
    /// The whole address.
    pub email: String,
    /// What.
    pub changes: Vec<Difference>,
}

/// Looks through a file; up to `most` changed people are shown.
pub async fn preview<R: Read + Seek>(
    conn: &mut PgConnection,
    keyring: &Keyring,
    table: &mut Table<R>,
    options: Options<'_>,
    most: usize,
    mut hear: impl FnMut(Heard<'_>),
) -> Result<Preview, ImportError> {
    let mut preview = Preview { counts: Counts::default(), sample: Vec::new() };
    let (mut seen, mut rows) = (Seen::default(), table.people()?);
    loop {
        let batch = rows.next_batch(BATCH)?;
        let line = batch.last().map_or(1, |person| person.line);
        let people: Vec<&NewSubscriber> = batch.iter().filter_map(|person| person.read.as_ref().ok()).collect();
        let found = store::look(conn, keyring, options.topic, &people).await;
        let mut found = found.map_err(|source| ImportError::Database { line, source })?;
        for Person { line, read } in &batch {
            let (outcome, reason) = match read {
                Err(reason) => {
                    preview.counts.count_refused();
                    (Said::Refused, reason.clone())
                }
                Ok(person) => match preview.judge(*line, person, found.of(person), &mut seen, options, most) {
                    Some(reason) => (Said::LeftAlone, reason),
                    None => continue,
                },
            };
            hear(Heard::Line(&Remark { line: *line, outcome, reason }));
        }
        hear(Heard::Read(rows.bytes_read()));
        if batch.len() < BATCH {
            return Ok(preview);
        }
    }
}

impl Preview {
    // The reason comes back if she is left alone.
    fn judge(
        &mut self,
        line: u64,
        person: &NewSubscriber,
        entry: &mut Entry,
        seen: &mut Seen,
        options: Options<'_>,
        most: usize,
    ) -> Option<String> {
        let aim = Standing::aimed_at(&options);
        seen.recall(person, &mut entry.now, aim);
        let judged = judge(person, &mut entry.now, aim);
        self.counts.count(&judged);
        match judged.outcome {
            Outcome::LeftAlone(reason) => return Some(reason),
            Outcome::Unchanged => return None,
            Outcome::Changed if self.sample.len() < most => {
                let email = person.address.as_given().to_owned();
                self.sample.push(Sample { line, email, changes: judged.differences });
            }
            Outcome::New | Outcome::Changed => {}
        }
        seen.remember(person, &entry.now);
        None
    }
}

const NAME: u8 = 1;
const ZONE: u8 = 2;
const STAGE_DATE: u8 = 4;

// What earlier rows would have made known of whom, by a hash of the key: 17 bytes for each.
#[derive(Default)]
struct Seen(HashMap<u64, u8>);

impl Seen {
    fn recall(&self, person: &NewSubscriber, known: &mut Known, aim: Option<Standing>) {
        let Some(bits) = self.0.get(&hash(person)) else { return };
        known.exists = true;
        known.standing = known.standing.max(aim);
        // Which value it would have is not kept: a different one further down counts as the same.
        let take = |bit: u8| bits & bit != 0;
        known.name = known.name.take().or_else(|| person.name.clone().filter(|_| take(NAME)));
        known.zone = known.zone.take().or_else(|| person.zone.clone().filter(|_| take(ZONE)));
        known.stage_date = known.stage_date.or(person.stage_date.filter(|_| take(STAGE_DATE)));
    }

    fn remember(&mut self, person: &NewSubscriber, known: &Known) {
        let bit = |bit: u8, is_known: bool| if is_known { bit } else { 0 };
        let bits = bit(NAME, known.name.is_some()) | bit(ZONE, known.zone.is_some()) | bit(STAGE_DATE, known.stage_date.is_some());
        *self.0.entry(hash(person)).or_default() |= bits;
    }
}

fn hash(person: &NewSubscriber) -> u64 {
    let mut hasher = DefaultHasher::new();
    person.address.key().hash(&mut hasher);
    hasher.finish()
}
