//! Undoing an import: what it changed about people goes back to what it was, unless they acted themselves since.
//!
//! In portions, each in one transaction that holds its people, so that it can be killed and said again. What waits to be sent on the
//! word of the import is skipped in the same transaction; what an edition that is being planned adds meanwhile, the claim refuses.
//! Called by `tidings import undo`.

mod store;

use super::stop;
use crate::base::{acts, database::is_to_be_retried};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::PgPool;
use store::{Facts, Import};

const PORTION: i64 = 1_000;
const RETRIES: usize = 5;

/// What undoing came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Undone {
    /// People about whom all is as it was.
    pub undone: u64,
    /// Those among them who came with the import, have nothing else, and are subscribers no more.
    pub removed: u64,
    /// People who acted themselves since: their standing is as they left it.
    pub left: u64,
    /// Deliveries that were waiting and are skipped now.
    pub skipped: u64,
}

/// Somebody whose standing was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Her whole address; none when she is erased.
    pub email: Option<String>,
    /// Why.
    pub reason: String,
}

/// Why an import cannot be undone.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// No such import.
    #[error("there is no import {0}: `tidings import list` shows those that there are")]
    Unknown(i64),
    /// It is undone.
    #[error("import {0} is undone already; the file can be imported again")]
    Already(i64),
    /// The database failed.
    #[error("the undoing broke off: {0}; what was undone stays so, and saying it again goes on")]
    Database(#[from] sqlx::Error),
}

/// How many people an import changed about whom it is not undone: what an operator is asked about.
pub async fn changes(pool: &PgPool, import_id: i64) -> Result<i64, UndoError> {
    let mut conn = pool.acquire().await?;
    match store::import(&mut conn, import_id).await? {
        None => Err(UndoError::Unknown(import_id)),
        Some(import) if import.is_undone => Err(UndoError::Already(import_id)),
        Some(_) => Ok(store::count(&mut conn, import_id).await?),
    }
}

/// Undoes an import, or goes on with its undoing; `hear` is told of each person whose own acts stand.
pub async fn undo(pool: &PgPool, import_id: i64, now: Timestamp, mut hear: impl FnMut(&Left)) -> Result<Undone, UndoError> {
    changes(pool, import_id).await?;
    let import = begin(pool, import_id, now).await?;
    let (mut undone, mut after) = (Undone::default(), Some(0));
    while let Some(last) = after {
        let portion = portion(pool, &import, last, now).await?;
        portion.left.iter().for_each(&mut hear);
        undone.add(&portion);
        after = portion.last;
    }
    store::end(&mut *pool.acquire().await?, import_id, now).await?;
    Ok(undone)
}

impl Undone {
    fn add(&mut self, portion: &Portion) {
        self.undone += portion.undone;
        self.removed += portion.removed;
        self.left += portion.left.len() as u64;
        self.skipped += portion.skipped;
    }
}

#[derive(Default)]
struct Portion {
    undone: u64,
    removed: u64,
    skipped: u64,
    left: Vec<Left>,
    // None: there was nobody any more.
    last: Option<i64>,
}

// From here on no batch of it is written, and nobody in it is asked.
async fn begin(pool: &PgPool, import_id: i64, now: Timestamp) -> Result<Import, UndoError> {
    let mut tx = pool.begin().await?;
    if store::begin(&mut tx, import_id, now).await? {
        acts::record(&mut tx, "import undone", "import", Some(import_id), None, now).await?;
    }
    let import = store::import(&mut tx, import_id).await?.ok_or(UndoError::Unknown(import_id))?;
    tx.commit().await?;
    Ok(import)
}

async fn portion(pool: &PgPool, import: &Import, after: i64, now: Timestamp) -> Result<Portion, UndoError> {
    let mut races = 0;
    loop {
        match portion_once(pool, import, after, now).await {
            Err(error) if is_to_be_retried(&error) && races < RETRIES => races += 1,
            result => return Ok(result?),
        }
    }
}

async fn portion_once(pool: &PgPool, import: &Import, after: i64, now: Timestamp) -> sqlx::Result<Portion> {
    let mut tx = pool.begin().await?;
    let ids = store::next(&mut tx, import.id, after, PORTION).await?;
    let mut portion = Portion { last: ids.last().copied(), ..Portion::default() };
    if ids.is_empty() {
        return Ok(portion);
    }
    store::lock(&mut tx, &ids).await?;
    let plans: Vec<Plan> = store::facts(&mut tx, import, &ids).await?.into_iter().map(|facts| plan(import, facts)).collect();
    store::apply(&mut tx, import, &plans, now).await?;
    portion.skipped = stop::skip_what_is_stopped(&mut tx, &ids, now).await?;
    store::mark(&mut tx, import.id, &plans).await?;
    tx.commit().await?;
    for plan in plans {
        portion.removed += u64::from(plan.remove);
        match plan.left {
            Some(reason) => portion.left.push(Left { email: plan.email, reason }),
            None => portion.undone += 1,
        }
    }
    Ok(portion)
}

/// What is done about one person.
#[derive(Debug)]
struct Plan {
    subscriber_id: i64,
    email: Option<String>,
    standing: Back,
    /// Particulars that go.
    emptied: Vec<String>,
    /// She came with the import and has nothing else.
    remove: bool,
    /// Why her standing stays.
    left: Option<String>,
}

/// What becomes of a standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Back {
    Stays,
    ToNone,
    ToUnconfirmed,
}

fn plan(import: &Import, facts: Facts) -> Plan {
    let Facts { subscriber_id, created, standing_before, filled, email, is_erased, standing, changed_at, acted, has_more, touched } = facts;
    let aim = import.aim();
    let gave_standing = aim.is_some() && standing_before.as_deref() != aim;
    let stands = standing.as_deref() == aim && changed_at == Some(import.started_at) && !acted;
    let left = match () {
        () if is_erased => Some("erased since".to_owned()),
        () if gave_standing && !stands => Some(match (standing.as_deref(), changed_at) {
            (Some("unsubscribed"), Some(at)) => format!("unsubscribed on {}", at.strftime("%F")),
            (Some(standing), _) => format!("{standing} by her own act since"),
            (None, _) => "no longer subscribed".to_owned(),
        }),
        () => None,
    };
    let back = match standing_before {
        _ if !gave_standing || left.is_some() => Back::Stays,
        None => Back::ToNone,
        Some(_) => Back::ToUnconfirmed,
    };
    // Whoever confirmed it herself may have said her name as she did.
    let keeps_all = is_erased || left.is_some() && standing.as_deref() == Some("confirmed");
    let emptied = filled.into_iter().filter(|what| !keeps_all && !touched.contains(&what.replace('_', " "))).collect();
    Plan { subscriber_id, email, standing: back, emptied, remove: created && !has_more && left.is_none(), left }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn import(because: Option<&str>) -> Import {
        Import { id: 1, topic_id: Some(1), because: because.map(str::to_owned), started_at: at("2026-01-12T06:00:00Z"), is_undone: false }
    }

    fn facts(before: Option<&str>, standing: Option<&str>) -> Facts {
        Facts {
            subscriber_id: 7,
            created: before.is_none(),
            standing_before: before.map(str::to_owned),
            filled: vec!["name".to_owned(), "stage_date".to_owned()],
            email: Some("ana@example.org".to_owned()),
            is_erased: false,
            standing: standing.map(str::to_owned),
            changed_at: Some(at("2026-01-12T06:00:00Z")),
            acted: false,
            has_more: false,
            touched: Vec::new(),
        }
    }

    #[test]
    fn what_is_unchanged_since_goes_back_and_who_has_nothing_else_goes() {
        let new = plan(&import(Some("a card")), facts(None, Some("confirmed")));
        assert_eq!((new.standing, new.remove, new.left), (Back::ToNone, true, None));
        let known = plan(&import(Some("a card")), facts(Some("unconfirmed"), Some("confirmed")));
        assert_eq!((known.standing, known.remove, known.emptied.len()), (Back::ToUnconfirmed, false, 2));
        let filled_only = plan(&import(Some("a card")), facts(Some("confirmed"), Some("confirmed")));
        assert_eq!((filled_only.standing, filled_only.left, filled_only.emptied.len()), (Back::Stays, None, 2));
        let elsewhere = plan(&import(None), Facts { has_more: true, ..facts(None, Some("unconfirmed")) });
        assert_eq!((elsewhere.standing, elsewhere.remove), (Back::ToNone, false));
    }

    #[test]
    fn her_own_later_acts_stand() {
        let later = Some(at("2026-01-13T06:00:00Z"));
        let left = plan(&import(Some("a card")), Facts { changed_at: later, ..facts(None, Some("unsubscribed")) });
        assert_eq!((left.standing, left.remove, left.left.as_deref()), (Back::Stays, false, Some("unsubscribed on 2026-01-13")));
        let confirmed = plan(&import(None), Facts { changed_at: later, acted: true, ..facts(None, Some("confirmed")) });
        assert_eq!((confirmed.standing, confirmed.emptied.len()), (Back::Stays, 0));
        assert_eq!(confirmed.left.as_deref(), Some("confirmed by her own act since"));
        let renamed = plan(&import(Some("a card")), Facts { touched: vec!["stage date".to_owned()], ..facts(None, Some("confirmed")) });
        assert_eq!(renamed.emptied, ["name"]);
        let erased = plan(&import(Some("a card")), Facts { is_erased: true, email: None, ..facts(None, None) });
        assert_eq!((erased.standing, erased.remove, erased.emptied.len()), (Back::Stays, false, 0));
    }
}
