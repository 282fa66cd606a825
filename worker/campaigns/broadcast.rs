//! A broadcast: one mail, the same words to everyone of a topic or to those who wait for a program, once.
//!
//! Owns its making: what it says is read, rendered and frozen then. It has one edition, which `due` opens, and from there on it is
//! planned, sent, reported, paused and cancelled as weekly tips are; `plan` says who is in a slice of it. Making one is an
//! operator's act on the command line; `opening` makes those that tell of an opening to everyone at once.

mod opening;
mod plan;

use jiff::{SignedDuration, Timestamp};
use sqlx::{Acquire, PgConnection};

use super::CampaignError;
use super::campaign::valid_name;
use super::recipients::{Recipients, Tally, tally};
use super::schedule::PLANNING_LEAD;
use super::states::{CampaignState, Late};
use super::store::{self, Broadcast, Campaign, Next, What};
use crate::audience::topic;
use crate::base::time::to_db;
use crate::base::wake::{self, Job};
use crate::base::zone;
use crate::content::letter::Letter;
use crate::delivery::render::{self, Because, Rendered, Templates, TipText, samples};

pub use opening::{of_opening, tell_of_openings};
pub(super) use plan::{hold_line, slice};

/// So many recipients are named before a broadcast is made.
const NAMED: i64 = 10;

/// Whom an operator wants to write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// The topic of this name or slug.
    Topic(String),
    /// Those who wait for the program of this slug.
    Waitlist(String),
}

/// What is done with what is late, as for every campaign.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// What is done with deliveries that are late.
    pub late: Late,
    /// How late a delivery may be.
    pub tolerance: SignedDuration,
    /// How long after it was due a delivery is tried.
    pub deadline: SignedDuration,
}

/// What a new broadcast is made of.
#[derive(Debug, Clone, Copy)]
pub struct NewBroadcast<'a> {
    /// What operators will call it.
    pub name: &'a str,
    /// Whom it goes to.
    pub to: &'a To,
    /// What it says.
    pub letter: &'a Letter,
    /// When it goes out; none: at once.
    pub at: Option<Timestamp>,
    /// The IANA zone that its edition is dated in.
    pub zone: &'a str,
    /// What is done with what is late.
    pub terms: Terms,
}

/// What a broadcast would come to.
#[derive(Debug)]
pub struct Preview {
    /// Who would get it.
    pub tally: Tally,
    /// The mail, to nobody in particular.
    pub mail: Rendered,
}

/// Makes a broadcast; one that is due at once is opened by the sweep that is woken here.
pub async fn create(
    conn: &mut PgConnection,
    templates: &Templates,
    new: NewBroadcast<'_>,
    now: Timestamp,
) -> Result<Campaign, CampaignError> {
    let mut tx = conn.begin().await?;
    let found = check(&mut tx, templates, &new, now).await?;
    if new.at.is_none() && tally(&mut tx, found.recipients, now, 0).await?.recipients == 0 {
        return Err(CampaignError::Nobody(found.typed()));
    }
    let starts_at = new.at.unwrap_or(now);
    let run_at = starts_at.checked_sub(PLANNING_LEAD).unwrap_or(starts_at);
    let draft = Draft { name: new.name, zone: new.zone, terms: new.terms, letter: new.letter };
    let campaign = insert(&mut tx, &draft, (found.recipients, &found.slug), (starts_at, run_at), now).await?;
    store::record_act(&mut tx, "create", &campaign, Some(&found.typed()), now).await?;
    tx.commit().await?;
    Ok(campaign)
}

/// What a broadcast would come to; nothing is written, and what would be refused is refused.
pub async fn preview(
    conn: &mut PgConnection,
    templates: &Templates,
    new: NewBroadcast<'_>,
    now: Timestamp,
) -> Result<Preview, CampaignError> {
    let found = check(conn, templates, &new, now).await?;
    let tally = tally(conn, found.recipients, new.at.unwrap_or(now), NAMED).await?;
    Ok(Preview { tally, mail: rendered(templates, new.letter, &found)? })
}

/// Lets a broadcast that was to go out while it was paused go out now. The caller holds its row.
pub(super) async fn put_off(conn: &mut PgConnection, campaign_id: i64, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE campaigns SET starts_at = $2, next_run_at = $2 WHERE id = $1 AND next_run_at IS NOT NULL AND starts_at < $2",
        campaign_id,
        to_db(now)
    )
    .execute(conn)
    .await
    .map(drop)
}

impl std::str::FromStr for To {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("topic", name)) if !name.is_empty() => Ok(Self::Topic(name.to_owned())),
            Some(("waitlist", slug)) if !slug.is_empty() => Ok(Self::Waitlist(slug.to_owned())),
            _ => Err(format!("`{}` names no recipients: expected topic:NAME or waitlist:PROGRAM", text.escape_debug())),
        }
    }
}

/// Whom a broadcast goes to, looked up.
struct Found {
    recipients: Recipients,
    name: String,
    slug: String,
}

impl Found {
    fn typed(&self) -> String {
        format!("{}:{}", self.recipients.kind(), self.slug)
    }
}

async fn check(conn: &mut PgConnection, templates: &Templates, new: &NewBroadcast<'_>, now: Timestamp) -> Result<Found, CampaignError> {
    let name = valid_name(new.name)?;
    zone::find(new.zone)?;
    if let Some(at) = new.at.filter(|at| *at <= now) {
        return Err(CampaignError::Past { name: name.to_owned(), at });
    }
    if sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM campaigns WHERE name = $1) AS "taken!""#, name).fetch_one(&mut *conn).await? {
        return Err(CampaignError::NameTaken(name.to_owned()));
    }
    let found = find(conn, new.to).await?;
    rendered(templates, new.letter, &found)?;
    Ok(found)
}

async fn find(conn: &mut PgConnection, to: &To) -> Result<Found, CampaignError> {
    let slug = match to {
        To::Topic(name) => {
            let topic = topic::find(conn, name).await?;
            return Ok(Found { recipients: Recipients::Topic(topic.id), name: topic.name, slug: topic.slug });
        }
        To::Waitlist(slug) => slug.trim(),
    };
    let program = sqlx::query!("SELECT id, name, slug FROM programs WHERE slug = $1", slug).fetch_optional(&mut *conn).await?;
    if let Some(program) = program {
        return Ok(Found { recipients: Recipients::Waitlist(program.id), name: program.name, slug: program.slug });
    }
    let existing = sqlx::query_scalar!("SELECT slug FROM programs ORDER BY slug LIMIT 20").fetch_all(conn).await?;
    Err(CampaignError::UnknownProgram { slug: slug.to_owned(), existing })
}

// With links that lead nowhere: what fails here would fail for everyone.
fn rendered(templates: &Templates, letter: &Letter, found: &Found) -> Result<Rendered, CampaignError> {
    let Letter { subject, preheader, markdown } = letter.clone();
    let text = templates.ready_tip(&TipText { subject, preheader, markdown, ..TipText::default() })?;
    let because = match found.recipients {
        Recipients::Topic(_) => Because::Topic { name: &found.name, unsubscribe_url: samples::UNSUBSCRIBE_URL },
        Recipients::Waitlist(_) | Recipients::Opening { .. } => Because::Waitlist { program: &found.name, entry_url: samples::ENTRY_URL },
    };
    let mail = render::Broadcast { text: &text, because, name: None, preferences_url: samples::PREFERENCES_URL };
    Ok(templates.render_broadcast(&mail)?)
}

struct Draft<'a> {
    name: &'a str,
    zone: &'a str,
    terms: Terms,
    letter: &'a Letter,
}

async fn insert(
    conn: &mut PgConnection,
    draft: &Draft<'_>,
    (recipients, slug): (Recipients, &str),
    (starts_at, run_at): (Timestamp, Timestamp),
    now: Timestamp,
) -> Result<Campaign, CampaignError> {
    let zone = zone::find(draft.zone)?;
    let mut campaign = Campaign {
        id: 0,
        name: draft.name.to_owned(),
        state: CampaignState::Scheduled,
        reason: None,
        zone: zone.iana_name().unwrap_or(draft.zone).to_owned(),
        late: draft.terms.late,
        tolerance: draft.terms.tolerance,
        deadline: draft.terms.deadline,
        next: Some(Next { occurrence: zone.to_datetime(starts_at).date(), run_at }),
        created_at: now,
        what: What::Broadcast(Broadcast { recipients, slug: slug.to_owned(), starts_at, subject: draft.letter.subject.clone() }),
    };
    campaign.id = store::insert(conn, &campaign).await?;
    sqlx::query!(
        "INSERT INTO broadcasts (campaign_id, subject, preheader, markdown) VALUES ($1, $2, $3, $4)",
        campaign.id,
        draft.letter.subject,
        draft.letter.preheader,
        draft.letter.markdown
    )
    .execute(&mut *conn)
    .await?;
    wake::enqueue(conn, &Job::Sweep).await?;
    Ok(campaign)
}
