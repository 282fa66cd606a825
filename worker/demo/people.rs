//! The demo's subscribers: generated, at example.org and example.com, in zones all around the world.
//!
//! Owns who is special from the start (addresses that are refused, one who paused, one who has had all tips but one) and
//! creates the campaign that they subscribe to. Every step may be repeated: a demo that was ended in here goes on.

use super::{
    CAMPAIGN, SUBSCRIBERS,
    articles::{self, SERIES},
    screen::Screen,
    stage::Stage,
    weeks::PLACE,
};
use crate::{
    audience::{
        import::{self, Heard, Map, Options, Table},
        topic,
    },
    base::time::to_db,
    campaigns::{
        CampaignError,
        campaign::{self, NewWeekly},
        states::{FirstTip, Late},
        store,
    },
};
use anyhow::Context;
use jiff::SignedDuration;
use std::{collections::HashSet, io::Cursor};

/// Zones from east to west, and how many of 20 subscribers live in each; none: the campaign's.
const ZONES: [(&str, u32); 12] = [
    ("Pacific/Auckland", 1),
    ("Australia/Sydney", 1),
    ("Asia/Tokyo", 1),
    ("Asia/Kolkata", 2),
    ("Africa/Nairobi", 1),
    ("Europe/Berlin", 3),
    ("Europe/London", 3),
    ("", 2),
    ("America/Sao_Paulo", 1),
    ("America/New_York", 3),
    ("America/Los_Angeles", 1),
    ("Pacific/Honolulu", 1),
];
const NAMES: [&str; 24] = [
    "Ada", "Ben", "Chiara", "Dilek", "Emeka", "Fatima", "Goran", "Hana", "Ines", "Jonas", "Keiko", "Lars", "Maya", "Noor", "Olga", "Priya",
    "Quentin", "Rosa", "Sanjay", "Tomás", "Uma", "Vera", "Wren", "Zoë",
];
const BECAUSE: &str = "made up by the demo";

/// Makes sure that there are articles, subscribers and the campaign.
pub(super) async fn gather(stage: &Stage, wanted: Option<u32>, screen: &Screen) -> anyhow::Result<()> {
    let pool = &stage.db().pool;
    let found = store::find(&mut *pool.acquire().await?, CAMPAIGN).await;
    let is_new = match found {
        Err(CampaignError::Unknown { .. }) => true,
        found => found.map(|_| false)?,
    };
    if is_new {
        articles::import(stage, screen).await?;
    }
    let count = wanted.unwrap_or(if is_new { SUBSCRIBERS } else { 0 });
    if count > 0 {
        subscribe(stage, count, screen).await?;
    }
    if is_new {
        set_apart(stage).await?;
        create_campaign(stage, screen).await?;
    }
    Ok(())
}

/// How many of `subscribers` do what few people do: leave in a week, have an address that is no more.
pub(super) fn a_few(subscribers: u32) -> u32 {
    1 + subscribers / 150
}

async fn subscribe(stage: &Stage, count: u32, screen: &Screen) -> anyhow::Result<()> {
    let pool = &stage.db().pool;
    let topic = topic::find(&mut *pool.acquire().await?, SERIES).await?;
    let file = csv(count);
    let bar = screen.bar("people", file.len() as u64);
    let progress = |heard: Heard<'_>| {
        if let Heard::Read(read) = heard {
            bar.at(read, file.len() as u64, "bytes of subscribers.csv");
        }
    };
    let mut table = Table::open(Cursor::new(file.as_bytes()), "subscribers.csv", Map::default())?;
    let options = Options { topic: Some(&topic), because: Some(BECAUSE) };
    let imported = import::import(pool, &stage.app.setup.keyring, &mut table, options, stage.now(), progress).await?;
    drop(bar);
    let new = imported.counts.new;
    if new > 0 {
        let zones: HashSet<&str> = (1..=count).map(zone_of).filter(|zone| !zone.is_empty()).collect();
        screen.line(format_args!("people    {new} subscribers in {} time zones, imported from a CSV file", zones.len()));
    }
    Ok(())
}

fn csv(count: u32) -> String {
    let mut file = String::from("email,name,zone\n");
    let gone = a_few(count).min(count);
    for number in 1..=count {
        let zone = zone_of(number);
        if number > count - gone {
            file += &format!("gone.{number}@example.com,,{zone}\n");
            continue;
        }
        let name = NAMES[(number + number / 20 * 5) as usize % NAMES.len()];
        let plain = name.to_lowercase().replace('á', "a").replace('ë', "e");
        let host = if number.is_multiple_of(3) { "example.com" } else { "example.org" };
        // Some gave no name.
        let said = if number.is_multiple_of(5) { "" } else { name };
        file += &format!("{plain}{number}@{host},{said},{zone}\n");
    }
    file
}

// 7 and 20 have no common divisor: twenty subscribers in a row live where the table says, and not in its order.
fn zone_of(number: u32) -> &'static str {
    let mut place = number * 7 % 20;
    for (zone, share) in ZONES {
        if place < share {
            return zone;
        }
        place -= share;
    }
    ""
}

// Written straight into the tables: the pause is to last over two editions, whatever day it is, and what people had before they
// came here was sent by another system. So not everybody is at the same tip.
async fn set_apart(stage: &Stage) -> anyhow::Result<()> {
    let pool = &stage.db().pool;
    let until = stage.now() + SignedDuration::from_hours(24 * 15);
    sqlx::query!(
        "UPDATE subscribers SET paused_until = $1 WHERE id = (SELECT id FROM subscribers ORDER BY id LIMIT 1 OFFSET 1)",
        to_db(until)
    )
    .execute(pool)
    .await?;
    sqlx::query!(
        "WITH people AS (SELECT id, row_number() OVER (ORDER BY id) AS number FROM subscribers),
        way AS (
            SELECT segment_id, row_number() OVER (ORDER BY position) AS place, count(*) OVER () AS tips FROM tips WHERE state = 'approved'
        )
        INSERT INTO segments_given (subscriber_id, segment_id)
        SELECT people.id, way.segment_id FROM people
        JOIN way ON place <= CASE number WHEN 3 THEN tips - 1 ELSE number / 3 % 4 * 3 END
        ON CONFLICT DO NOTHING"
    )
    .execute(pool)
    .await?;
    Ok(())
}

async fn create_campaign(stage: &Stage, screen: &Screen) -> anyhow::Result<()> {
    let delivery = &stage.app.config.delivery;
    let weekly = NewWeekly {
        name: CAMPAIGN,
        series: SERIES,
        at: Some("Tue 09:00"),
        cron: None,
        zone: PLACE,
        subscriber_zone: true,
        late: Late::Ask,
        tolerance: SignedDuration::try_from(delivery.tolerance).context("delivery.tolerance")?,
        deadline: SignedDuration::try_from(delivery.deadline).context("delivery.deadline")?,
        first_tip: FirstTip::AtOnce,
    };
    campaign::create(&mut *stage.db().pool.acquire().await?, weekly, stage.now()).await?;
    screen.line(format_args!("campaign  `{CAMPAIGN}`: Tuesdays at 09:00, where each subscriber lives"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audience::subscriber::NewSubscriber;
    use std::collections::HashMap;

    #[test]
    fn every_generated_row_is_a_person_of_her_own() {
        let file = csv(500);
        let mut addresses = HashSet::new();
        for line in file.lines().skip(1) {
            let [email, name, zone] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let person = NewSubscriber::read(email, name, zone, "").unwrap();
            assert!(addresses.insert(person.address.key().to_owned()), "{line}");
        }
        assert_eq!(addresses.len(), 500);
        assert_eq!(csv(1).lines().count(), 2);
    }

    #[test]
    fn zones_are_shared_as_the_table_says() {
        let mut found: HashMap<&str, u32> = HashMap::new();
        (1..=20).for_each(|number| *found.entry(zone_of(number)).or_default() += 1);
        assert_eq!(found, HashMap::from(ZONES));
    }
}
