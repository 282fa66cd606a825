//! An import under way: its row in the database, and one transaction for each batch of the file.
//!
//! A batch is judged against what stands in the database at that moment, with the people in it held; it is written together with
//! what it changed about whom and with how far the import is. So a kill leaves whole batches, and the next run goes on behind them.

use super::{
    Counts, ImportError, Options, Remark, Said, Table,
    file::Person,
    judge::{Entry, Outcome, Standing, judge},
    store,
};
use crate::{
    audience::{store as audience, subscriber::NewSubscriber},
    base::{acts, database::is_to_be_retried, keys::Keyring},
};
use jiff::Timestamp;
use sqlx::{PgConnection, PgPool};

const RETRIES: usize = 5;

/// The one who writes an import's batches.
pub(super) struct Writer<'a> {
    pool: &'a PgPool,
    keyring: &'a Keyring,
    options: Options<'a>,
    import: store::Import,
}

// Why a batch was not written.
enum Unwritten {
    Moved,
    Raced,
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Unwritten {
    fn from(error: sqlx::Error) -> Self {
        if is_to_be_retried(&error) { Self::Raced } else { Self::Database(error) }
    }
}

impl<'a> Writer<'a> {
    /// Begins an import, or takes up the one that broke off.
    pub(super) async fn begin<R: std::io::Read + std::io::Seek>(
        pool: &'a PgPool,
        keyring: &'a Keyring,
        options: Options<'a>,
        table: &Table<R>,
        now: Timestamp,
    ) -> Result<Self, ImportError> {
        let failed = |source| ImportError::Database { line: 1, source };
        let hash = table.identity(&options);
        let import = begin(pool, table.name(), &hash, &options, now).await.map_err(failed)?;
        match import.is_being_undone {
            true => Err(ImportError::BeingUndone(import.id)),
            false => Ok(Self { pool, keyring, options, import }),
        }
    }

    /// Its number.
    pub(super) fn id(&self) -> i64 {
        self.import.id
    }

    /// What became of the rows so far.
    pub(super) fn counts(&self) -> Counts {
        self.import.counts
    }

    /// Writes a batch; what is to be said about its lines comes back.
    pub(super) async fn write(&mut self, batch: &[Person]) -> Result<Vec<Remark>, ImportError> {
        let line = batch.last().map_or(1, |person| person.line);
        let mut races = 0;
        loop {
            match self.write_once(batch).await {
                Ok((counts, remarks)) => {
                    self.import.counts = counts;
                    return Ok(remarks);
                }
                Err(Unwritten::Moved) => return Err(ImportError::Elsewhere(self.import.id)),
                Err(Unwritten::Raced) if races < RETRIES => races += 1,
                Err(Unwritten::Raced) => return Err(ImportError::Database { line, source: sqlx::Error::WorkerCrashed }),
                Err(Unwritten::Database(source)) => return Err(ImportError::Database { line, source }),
            }
        }
    }

    /// Records that it is done.
    pub(super) async fn finish(&self, now: Timestamp) -> Result<(), ImportError> {
        let failed = |source| ImportError::Database { line: self.import.counts.rows, source };
        let mut conn = self.pool.acquire().await.map_err(failed)?;
        store::finish(&mut conn, self.import.id, now).await.map_err(failed)
    }

    async fn write_once(&self, batch: &[Person]) -> Result<(Counts, Vec<Remark>), Unwritten> {
        let mut tx = self.pool.begin().await?;
        if !store::hold(&mut tx, self.import.id, self.import.counts.rows).await? {
            return Err(Unwritten::Moved);
        }
        audience::lock_audience_shared(&mut tx).await?;
        let people: Vec<&NewSubscriber> = batch.iter().filter_map(|person| person.read.as_ref().ok()).collect();
        store::lock_subscribers(&mut tx, &people).await?;
        let mut known = store::look(&mut tx, self.keyring, self.options.topic, &people).await?;
        let (mut counts, mut remarks) = (self.import.counts, Vec::new());
        let aim = Standing::aimed_at(&self.options);
        for Person { line, read } in batch {
            let remark = match read {
                Err(reason) => {
                    counts.count_refused();
                    Some((Said::Refused, reason.clone()))
                }
                Ok(person) => {
                    let judged = judge(person, &mut known.of(person).now, aim);
                    counts.count(&judged);
                    if let Outcome::LeftAlone(reason) = judged.outcome { Some((Said::LeftAlone, reason)) } else { None }
                }
            };
            remarks.extend(remark.map(|(outcome, reason)| Remark { line: *line, outcome, reason }));
        }
        self.change(&mut tx, known.into_entries()).await?;
        store::advance(&mut tx, self.import.id, &counts).await?;
        tx.commit().await?;
        Ok((counts, remarks))
    }

    async fn change(&self, conn: &mut PgConnection, mut entries: Vec<Entry>) -> Result<(), Unwritten> {
        entries.retain(|entry| entry.is_new() || entry.stands_anew() || !entry.filled().is_empty());
        // Everything of an import bears the instant at which it began: undoing knows its own acts by that.
        let at = self.import.started_at;
        if !store::add_new(conn, &mut entries, at).await? {
            return Err(Unwritten::Raced);
        }
        store::fill_in(conn, &entries, at).await?;
        if let Some(topic) = self.options.topic {
            store::subscribe(conn, topic.id, &entries, self.options.because, at).await?;
        }
        Ok(store::record_changes(conn, self.import.id, &entries).await?)
    }
}

async fn begin(pool: &PgPool, name: &str, hash: &[u8], options: &Options<'_>, now: Timestamp) -> sqlx::Result<store::Import> {
    let mut tx = pool.begin().await?;
    let (topic_id, because) = (options.topic.map(|topic| topic.id), options.because);
    if let Some(id) = store::insert_import(&mut tx, name, hash, topic_id, because, now).await? {
        let into = options.topic.map_or("no topic", |topic| topic.name.as_str());
        let detail = format!("{name} into {into}: {}", because.unwrap_or("unconfirmed"));
        acts::record(&mut tx, "import of subscribers", "import", Some(id), detail.as_str(), now).await?;
    }
    let import = store::unfinished(&mut tx, hash).await?;
    tx.commit().await?;
    Ok(import)
}
