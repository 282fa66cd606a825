//! Turning the clock: from one instant at which something is due to the next, until so many editions are over.
//!
//! Nothing is skipped over: each delivery leaves at its own minute, and the clock stands still until the worker has come to rest.
//! Called by `demo::run`.

use super::{CAMPAIGN, happenings, newcomers, screen::Screen, stage::Stage};
use crate::{
    base::{
        clock::Clock,
        time::{from_db, to_db},
        zone,
    },
    campaigns::{
        report::{self, EditionReport},
        states::CampaignState,
        store,
    },
    jobs,
};
use anyhow::{Context, bail};
use jiff::Timestamp;
use std::time::Duration;

/// The zone in which the campaign's editions are dated.
pub(super) const PLACE: &str = "Europe/London";

/// A worker that is busy for longer at one turn of the clock hangs.
const PATIENCE: Duration = Duration::from_secs(300);
const GLANCE: Duration = Duration::from_millis(10);

/// Plays what is left of an open edition, then `weeks` more.
pub(super) async fn turn(stage: &Stage, weeks: u32, screen: &Screen) -> anyhow::Result<()> {
    settle(stage).await?;
    let next = next_opening(stage).await?;
    if next_instant(stage).await?.is_some_and(|at| at < next) {
        play_out(stage, next, screen, "resumed").await?;
    }
    for week_of_run in 0..weeks {
        let opening = next_opening(stage).await?;
        stage.clock.set(opening);
        settle(stage).await?;
        happenings::after_planning(stage, screen).await?;
        let week = format!("week {}", happenings::editions(stage).await?);
        play_out(stage, next_opening(stage).await?, screen, &week).await?;
        happenings::after_sending(stage, screen).await?;
        if week_of_run == 0 {
            newcomers::sign_up(stage, screen).await?;
        }
    }
    Ok(())
}

/// The latest edition, as the report counts it.
pub(super) async fn latest(stage: &Stage) -> anyhow::Result<EditionReport> {
    let mut report = report::report(&mut *stage.db().pool.acquire().await?, CAMPAIGN, None).await?;
    report.editions.pop().context("the campaign has no edition yet")
}

impl Stage {
    /// The instant that the clock shows.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

// From one due instant to the next, up to the opening of the next edition.
async fn play_out(stage: &Stage, until: Timestamp, screen: &Screen, what: &str) -> anyhow::Result<()> {
    let bar = screen.bar(what, 1);
    while let Some(at) = next_instant(stage).await?.filter(|at| *at < until) {
        let edition = latest(stage).await?;
        let planned = edition.counts.planned.unwrap_or(edition.counted);
        bar.at((planned - edition.counts.to_do).unsigned_abs(), planned.unsigned_abs(), whose_turn(stage, at).await?);
        stage.clock.set(at);
        settle(stage).await?;
    }
    drop(bar);
    let EditionReport { edition, state, counts, counted, .. } = latest(stage).await?;
    let planned = counts.planned.unwrap_or(counted);
    let ends = [
        ("sent", counts.sent),
        ("failed", counts.failed),
        ("skipped", counts.skipped),
        ("unconfirmed", counts.unconfirmed),
        ("to do", counts.to_do),
    ];
    let ends: Vec<String> = ends.iter().filter(|(_, number)| *number > 0).map(|(end, number)| format!("{number} {end}")).collect();
    screen.line(format_args!("{what:<9} edition of {edition} is {state}: {planned} planned, {}", ends.join(", ")));
    Ok(())
}

/// Waits until the worker has done all that is due at this instant.
pub(super) async fn settle(stage: &Stage) -> anyhow::Result<()> {
    let at_rest = async {
        while !jobs::is_idle(&stage.app).await? {
            // Between two looks at the ledger; the patience below is the limit.
            tokio::time::sleep(GLANCE).await;
        }
        anyhow::Ok(())
    };
    let rested = tokio::time::timeout(PATIENCE, at_rest).await;
    rested.with_context(|| {
        format!(
            "the demo's worker is busy for {} minutes at one turn of the clock: RUST_LOG=debug tells with what",
            PATIENCE.as_secs() / 60
        )
    })?
}

async fn next_opening(stage: &Stage) -> anyhow::Result<Timestamp> {
    let campaign = store::find(&mut *stage.db().pool.acquire().await?, CAMPAIGN).await?;
    match (campaign.state, campaign.next) {
        (CampaignState::Scheduled | CampaignState::Running, Some(next)) => Ok(next.run_at),
        (CampaignState::Paused, _) => bail!(
            "the demo's campaign is paused ({}): start over with --fresh",
            campaign.reason.as_deref().unwrap_or("no reason was given")
        ),
        (state, _) => bail!("the demo's campaign is {state} and has no next edition: start over with --fresh"),
    }
}

async fn next_instant(stage: &Stage) -> anyhow::Result<Option<Timestamp>> {
    let at = sqlx::query_scalar!(
        "SELECT min(at) FROM (
            SELECT starts_at FROM editions WHERE state IN ('planning', 'scheduled')
            UNION ALL SELECT d.ready_at FROM deliveries d JOIN editions e ON e.id = d.edition_id WHERE e.state IN ('scheduled', 'running')
        ) AS due (at) WHERE at > $1",
        to_db(stage.now())
    );
    Ok(at.fetch_one(&stage.db().pool).await?.map(from_db))
}

// The time of day at `at` where those live to whom mails are due then: at nine it is their turn, everywhere.
async fn whose_turn(stage: &Stage, at: Timestamp) -> anyhow::Result<String> {
    let zones = sqlx::query_scalar!(
        r#"SELECT DISTINCT coalesce(s.zone, $2) AS "zone!" FROM deliveries d JOIN subscribers s ON s.id = d.subscriber_id WHERE d.ready_at = $1"#,
        to_db(at),
        PLACE
    );
    let mut turns = Vec::new();
    for name in zones.fetch_all(&stage.db().pool).await? {
        let city = name.rsplit('/').next().unwrap_or(&name).replace('_', " ");
        turns.push(format!("{} in {city}", at.to_zoned(zone::find(&name)?).strftime("%H:%M")));
    }
    Ok(if turns.is_empty() { "nobody is due yet".to_owned() } else { turns.join(", ") })
}
