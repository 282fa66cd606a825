//! What a person prefers: her pause, her day and hour, zone, stage date, name and language, and the topics that she reads.
//!
//! Every change is written with an event that says what was before and after, in one transaction, and what is planned for her
//! follows it at once ([`replan`]). Called by the preferences page and `tidings subscriber edit`; leaving is `people::stop`'s.

mod store;
mod topics;

use crate::{
    audience::{
        store::insert_operator_act,
        subscriber::{self, ParticularError},
    },
    base::database::is_to_be_retried,
    campaigns::replan::{lost, replan},
    waitlist::standing::{self, Standing},
};
use jiff::{SignedDuration, Timestamp, civil::Date};
use sqlx::{PgConnection, PgPool};

pub use crate::audience::consent::Source;
pub use topics::{Choice, choose, words};

/// For how many weeks a person can pause.
pub const PAUSES: [i64; 4] = [1, 2, 4, 8];

const RETRIES: usize = 5;

/// How a person stands and what she prefers, for her page.
#[derive(Debug, Clone)]
pub struct Preferences {
    /// Her address, masked: the page may be opened by whoever has the letter.
    pub masked_address: String,
    /// What she can change.
    pub particulars: Particulars,
    /// The topics that are open, and those that she has.
    pub topics: Vec<Choice>,
    /// The waitlists that she is on, or was asked to be put on.
    pub waitlists: Vec<Standing>,
    /// She left everything: only confirming a mail brings her back.
    pub everything: bool,
    /// Until when she can take that back here, if she can.
    pub undo_until: Option<Timestamp>,
    /// Her address is suppressed for another cause: it was refused, she complained, or an operator decided.
    pub suppressed: bool,
}

/// What a person can change about herself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Particulars {
    /// How she is called.
    pub name: Option<String>,
    /// The IANA name of her zone; none: the campaign's.
    pub zone: Option<String>,
    /// Her own day, 1 = Monday; none: the letter's.
    pub weekday: Option<i16>,
    /// Her own hour; none: the letter's.
    pub hour: Option<i16>,
    /// The date that stage windows are counted from.
    pub stage_date: Option<Date>,
    /// A BCP 47 tag; none: the publisher's.
    pub language: Option<String>,
    /// Until when she paused; it may be past.
    pub paused_until: Option<Timestamp>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// How she is called.
    Name(Option<String>),
    /// Her zone.
    Zone(Option<String>),
    /// Her own day.
    Weekday(Option<i16>),
    /// Her own hour.
    Hour(Option<i16>),
    /// Her stage date.
    StageDate(Option<Date>),
    /// Her language.
    Language(Option<String>),
    /// Nothing is sent for so many weeks.
    Pause(i64),
    /// The pause ends now.
    Resume,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PreferencesError {
    /// There is no such person, or she was erased.
    #[error("there is no subscriber {0}")]
    NoSubscriber(i64),
    /// The database failed.
    #[error("the change could not be written: {0}")]
    Database(#[from] sqlx::Error),
}

impl Change {
    /// A name from a text; empty: none.
    pub fn name(text: &str) -> Result<Self, ParticularError> {
        Ok(Self::Name(given(text).map(subscriber::read_name).transpose()?))
    }

    /// A zone from a text; empty: the campaign's.
    pub fn zone(text: &str) -> Result<Self, ParticularError> {
        Ok(Self::Zone(given(text).map(subscriber::canonical_zone).transpose()?))
    }

    /// A stage date from a text; empty: none.
    pub fn stage_date(text: &str) -> Result<Self, ParticularError> {
        Ok(Self::StageDate(given(text).map(subscriber::read_stage_date).transpose()?))
    }
}

/// How a person stands and what she prefers; `None` when there is no such person, or she was erased.
pub async fn of(conn: &mut PgConnection, subscriber_id: i64, now: Timestamp) -> sqlx::Result<Option<Preferences>> {
    let Some(person) = store::preferences(conn, subscriber_id, now).await? else { return Ok(None) };
    Ok(Some(Preferences { waitlists: standing::of_person(conn, subscriber_id, now).await?, ..person }))
}

/// Makes changes and moves what is planned for her accordingly; gives what was changed, in the words of the events. What
/// stands as wanted already is no change and leaves no event.
pub async fn change(
    pool: &PgPool,
    subscriber_id: i64,
    changes: &[Change],
    source: Source,
    now: Timestamp,
) -> Result<Vec<&'static str>, PreferencesError> {
    let mut races = 0;
    loop {
        match change_once(pool, subscriber_id, changes, source, now).await {
            Err(PreferencesError::Database(error)) if races < RETRIES && (is_to_be_retried(&error) || lost(&error)) => races += 1,
            result => return result,
        }
    }
}

/// Records that a person took all that is kept about her.
pub async fn exported(conn: &mut PgConnection, subscriber_id: i64, source: Source, now: Timestamp) -> sqlx::Result<()> {
    store::insert_event(conn, subscriber_id, &Event { what: "data exported", before: None, after: None }, source, now).await
}

/// A change as it is recorded.
struct Event {
    what: &'static str,
    before: Option<String>,
    after: Option<String>,
}

async fn change_once(
    pool: &PgPool,
    subscriber_id: i64,
    changes: &[Change],
    source: Source,
    now: Timestamp,
) -> Result<Vec<&'static str>, PreferencesError> {
    let mut tx = pool.begin().await?;
    let Some(before) = store::lock_particulars(&mut tx, subscriber_id).await? else {
        return Err(PreferencesError::NoSubscriber(subscriber_id));
    };
    let mut after = before.clone();
    changes.iter().for_each(|change| after.make(change, now));
    let events = events(&before, &after, now);
    if events.is_empty() {
        tx.rollback().await?;
        return Ok(Vec::new());
    }
    store::write_particulars(&mut tx, subscriber_id, &after).await?;
    for event in &events {
        store::insert_event(&mut tx, subscriber_id, event, source, now).await?;
        if source == Source::Operator {
            insert_operator_act(&mut tx, "subscriber edited", "subscriber", Some(subscriber_id), event.what, now).await?;
        }
    }
    if after.moves(&before) {
        replan(&mut tx, subscriber_id, now).await?;
    }
    tx.commit().await?;
    Ok(events.into_iter().map(|event| event.what).collect())
}

impl Particulars {
    fn make(&mut self, change: &Change, now: Timestamp) {
        match change.clone() {
            Change::Name(name) => self.name = name,
            Change::Zone(zone) => self.zone = zone,
            Change::Weekday(weekday) => self.weekday = weekday,
            Change::Hour(hour) => self.hour = hour,
            Change::StageDate(date) => self.stage_date = date,
            Change::Language(language) => self.language = language,
            Change::Pause(weeks) => self.paused_until = Some(now + SignedDuration::from_hours(weeks * 7 * 24)),
            Change::Resume => self.paused_until = None,
        }
    }

    // A pause that begins moves nothing: the claim looks at it. One that ends early may bring back what planning skipped.
    fn moves(&self, before: &Self) -> bool {
        let when = |p: &Self| (p.zone.clone(), p.weekday, p.hour, p.stage_date);
        when(self) != when(before) || (before.paused_until.is_some() && self.paused_until < before.paused_until)
    }
}

fn events(before: &Particulars, after: &Particulars, now: Timestamp) -> Vec<Event> {
    let pause = |p: &Particulars| p.paused_until.filter(|until| *until > now).map(|until| until.to_string());
    let date = |p: &Particulars| p.stage_date.map(|date| date.to_string());
    let all = [
        ("name", before.name.clone(), after.name.clone()),
        ("zone", before.zone.clone(), after.zone.clone()),
        ("weekday and hour", day_and_hour(before), day_and_hour(after)),
        ("stage date", date(before), date(after)),
        ("language", before.language.clone(), after.language.clone()),
        ("pause", pause(before), pause(after)),
    ];
    all.into_iter().filter(|(_, before, after)| before != after).map(|(what, before, after)| Event { what, before, after }).collect()
}

fn day_and_hour(particulars: &Particulars) -> Option<String> {
    let day = particulars.weekday.and_then(weekday_name);
    let hour = particulars.hour.map(|hour| format!("{hour:02}:00"));
    let said: Vec<String> = day.map(str::to_owned).into_iter().chain(hour).collect();
    (!said.is_empty()).then(|| said.join(" "))
}

/// The name of a day, 1 = Monday.
pub fn weekday_name(day: i16) -> Option<&'static str> {
    const NAMES: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    NAMES.get(usize::try_from(day).ok()?.checked_sub(1)?).copied()
}

fn given(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}
