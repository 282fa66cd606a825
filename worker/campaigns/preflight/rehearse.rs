//! Pre-flight by an operator's word: what it would find in the next edition of a campaign, or finds in the one under way.
//!
//! An edition that is only to come is opened and planned by planning's own statements in a transaction that is rolled back, so that
//! nothing is changed and nobody can be planned otherwise later. One that findings hold is planned anew in the same way, as `release`
//! would do. What is left of it is who gets what, a few numbers for each; their mails are made portion by portion.

use std::sync::Arc;

use jiff::Timestamp;
use sqlx::{Acquire, PgConnection};

use super::inspect::{Tally, inspect};
use super::kind::Kind;
use super::standing::{Preflight, told};
use super::store::{PORTION, Standing, Whole};
use super::{look_at_whole, store, word};
use crate::base::time::{civil_from_db, civil_to_db, from_db};
use crate::campaigns::CampaignError;
use crate::campaigns::campaign::refused;
use crate::campaigns::edition::{self, NewEdition};
use crate::campaigns::planning::{advance, lost};
use crate::campaigns::store::{self as campaigns, Campaign, What};
use crate::campaigns::{broadcast, weekly};
use crate::delivery::Key;
use crate::delivery::ledger::claim::Claimed;
use crate::delivery::ledger::contents;
use crate::delivery::pump::letter::Letters;
use crate::delivery::versions::store as versions;

/// So often it is begun anew when somebody else's planning came between.
const TRIES: usize = 5;

/// Makes and looks at every mail of a campaign's edition under way, or else of its next one. Nothing is sent or changed. `seen` is told
/// again and again how many mails of how many were looked at.
pub async fn rehearse(
    conn: &mut PgConnection,
    letters: &Arc<Letters>,
    name: &str,
    now: Timestamp,
    seen: impl Fn(i64, usize),
) -> anyhow::Result<Preflight> {
    let campaign = campaigns::find(conn, name).await?;
    let cast = cast(conn, letters, &campaign, now).await?;
    let mut tally = Tally::default();
    for roles in cast.roles.chunks(PORTION as usize) {
        let mails = mails(conn, &cast, roles).await?;
        tally.add(inspect(letters, mails).await?);
        seen(tally.checked, cast.roles.len());
    }
    if cast.planned {
        look_at_whole(&mut tally, letters, &cast.whole);
    }
    let edition = cast.edition;
    if edition.late == "ask" && edition.anew_at.is_none() && edition.starts_at + edition.tolerance < now {
        tally.of_edition(Kind::StartInThePast);
    }
    Ok(Preflight {
        campaign: campaign.name,
        edition: edition.occurrence,
        state: cast.opened.then_some(edition.state),
        starts_at: edition.starts_at,
        recipients: cast.whole.planned,
        checked: tally.checked,
        done: cast.planned,
        accepted: edition.accepted_at.is_some(),
        keeps_templates: cast.tried,
        findings: told(conn, tally).await?,
    })
}

/// Who gets what in an edition.
struct Cast {
    edition: Standing,
    /// It stands in the database, and is not only rehearsed.
    opened: bool,
    /// A mail of it was tried.
    tried: bool,
    /// Of the templates.
    version: String,
    /// Everyone's part is known.
    planned: bool,
    whole: Whole,
    topic_id: Option<i64>,
    template: &'static str,
    roles: Vec<Role>,
}

/// What somebody gets.
struct Role {
    delivery_id: i64,
    subscriber_id: i64,
    tip_revision_id: Option<i64>,
    entry: Option<i64>,
    due_at: chrono::DateTime<chrono::Utc>,
}

async fn cast(conn: &mut PgConnection, letters: &Letters, campaign: &Campaign, now: Timestamp) -> anyhow::Result<Cast> {
    let mut tries = 0;
    loop {
        tries += 1;
        match try_cast(conn, letters, campaign, now).await {
            Err(error) if tries < TRIES && error.downcast_ref().is_some_and(lost) => {}
            outcome => return outcome,
        }
    }
}

async fn try_cast(conn: &mut PgConnection, letters: &Letters, campaign: &Campaign, now: Timestamp) -> anyhow::Result<Cast> {
    let open = store::latest(conn, campaign.id, true).await?;
    if open.is_none() {
        ensure_partition(conn, campaign).await?;
    }
    let mut tx = conn.begin().await?;
    sqlx::raw_sql("SET LOCAL jit = off; SET LOCAL plan_cache_mode = force_custom_plan").execute(&mut *tx).await?;
    let (opened, planned_anew) = (open.is_some(), open.as_ref().is_none_or(|edition| edition.held));
    let edition = match open {
        Some(edition) if !edition.held => edition,
        Some(edition) => {
            let now_planning = "UPDATE editions SET state = 'planning', resume_to = NULL, reason = NULL WHERE id = $1";
            sqlx::query(now_planning).bind(edition.id).execute(&mut *tx).await?;
            word::begin_anew(&mut tx, edition.id, now).await?;
            edition
        }
        None => {
            opened_for_a_look(&mut tx, campaign, now).await?;
            store::latest(&mut tx, campaign.id, true).await?.ok_or(sqlx::Error::RowNotFound)?
        }
    };
    if planned_anew {
        plan(&mut tx, campaign, edition.id, now).await?;
    }
    // As it would be begun: no other connection sees what was taken back here.
    let version = versions::of_edition(&mut tx, edition.id).await?.unwrap_or_else(|| letters.newest_version());
    let broadcast = match campaign.weekly() {
        Some(_) => None,
        None => Some(contents::broadcast(&mut tx, edition.id).await?),
    };
    let tried = store::tried(&mut tx, edition.id).await?;
    let roles = roles(&mut tx, &edition).await?;
    let whole = store::whole(&mut tx, edition.id).await?;
    tx.rollback().await?;
    if let Some(broadcast) = broadcast {
        letters.know_broadcast(edition.id, &version, broadcast).await?;
    }
    let (topic_id, template) = match &campaign.what {
        What::Weekly(weekly) => (Some(weekly.topic_id), "weekly_tip"),
        What::Broadcast(broadcast) => (broadcast.recipients.topic_id(), "broadcast"),
    };
    Ok(Cast { planned: planned_anew || edition.planned.is_some(), edition, opened, tried, version, whole, topic_id, template, roles })
}

// Apart from the rehearsal, as planning does it: attaching a partition waits for transactions that write.
async fn ensure_partition(conn: &mut PgConnection, campaign: &Campaign) -> anyhow::Result<()> {
    let Some(next) = campaign.next else { return Ok(()) };
    sqlx::query!("SELECT ensure_deliveries_partition($1)", civil_to_db(next.occurrence.first_of_month())).fetch_one(conn).await?;
    Ok(())
}

/// Inserts the next edition of a campaign in a transaction that its caller rolls back; its id.
pub(in crate::campaigns) async fn opened_for_a_look(
    conn: &mut PgConnection,
    campaign: &Campaign,
    now: Timestamp,
) -> Result<i64, CampaignError> {
    let Some(next) = campaign.next else { return Err(refused(campaign, "no edition of it is to come")) };
    let starts_at = match &campaign.what {
        What::Weekly(_) => campaign.schedule()?.starts_at(next.occurrence),
        What::Broadcast(broadcast) => broadcast.starts_at,
    };
    let opened = edition::insert(conn, campaign, &NewEdition::of_rule(next.occurrence, starts_at), now).await?;
    opened.ok_or_else(|| refused(campaign, "its next edition is being opened at this moment: try again"))
}

async fn plan(conn: &mut PgConnection, campaign: &Campaign, edition_id: i64, now: Timestamp) -> sqlx::Result<()> {
    loop {
        let slice = match &campaign.what {
            What::Weekly(_) => weekly::slice(conn, edition_id, now).await?,
            What::Broadcast(_) => broadcast::slice(conn, edition_id, now).await?,
        };
        let Some(slice) = slice else { return Ok(()) };
        advance(conn, edition_id, &slice).await?;
        if slice.done {
            return Ok(());
        }
    }
}

async fn roles(conn: &mut PgConnection, edition: &Standing) -> sqlx::Result<Vec<Role>> {
    sqlx::query_as!(
        Role,
        r#"SELECT id AS delivery_id, subscriber_id AS "subscriber_id!", tip_revision_id, (context ->> 'entry')::bigint AS entry, due_at
        FROM deliveries WHERE period = $1 AND edition_id = $2 AND ready_at IS NOT NULL ORDER BY id"#,
        edition.period,
        edition.id
    )
    .fetch_all(conn)
    .await
}

async fn mails(conn: &mut PgConnection, cast: &Cast, roles: &[Role]) -> sqlx::Result<Vec<Claimed>> {
    let ids: Vec<i64> = roles.iter().map(|role| role.subscriber_id).collect();
    let people = sqlx::query!(
        r#"SELECT s.address, s.name FROM unnest($1::bigint[]) WITH ORDINALITY AS w (id, n) LEFT JOIN subscribers s ON s.id = w.id ORDER BY n"#,
        &ids
    );
    let people = people.fetch_all(conn).await?;
    let mail = roles.iter().zip(people).map(|(role, person)| Claimed {
        key: Key { period: civil_from_db(cast.edition.period), id: role.delivery_id },
        fence: 0,
        attempts: 0,
        breaks: 0,
        edition_id: Some(cast.edition.id),
        template_version: Some(cast.version.clone()),
        subscriber_id: Some(role.subscriber_id),
        topic_id: cast.topic_id,
        tip_revision_id: role.tip_revision_id,
        template: cast.template.to_owned(),
        context: role.entry.map(|entry| serde_json::json!({ "entry": entry })),
        address: person.address.unwrap_or_default(),
        name: person.name,
        handed_over_at: None,
        due_at: from_db(role.due_at),
        deadline: Timestamp::MAX,
    });
    // Whoever was erased since gets nothing.
    Ok(mail.filter(|mail| !mail.address.is_empty()).collect())
}
