//! Pace: how fast each relay and each provider of recipients is given mail, shared by all workers.
//!
//! The feeder asks for permits for a whole claim at once ([`Pace::prepare`], one transaction), and then each mail is let go or told when
//! there will be room, in memory ([`Pace::admit`]). `terms` is the arithmetic of rates, `reserve` takes permits out of a row, `trouble`
//! slows a pace down that the answers speak against, `groups` knows domains, `local` is a worker's part, `store` the rows, `standing` what
//! operators see. Where nothing is limited nothing is asked.

mod groups;
mod local;
pub mod reserve;
pub mod standing;
pub mod store;
pub mod terms;
#[cfg(test)]
mod tests;
pub mod trouble;

pub use groups::Name;

use super::reply::ReplyText;
use crate::base::config::{Config, DEFAULT_GROUP};
use groups::Groups;
use jiff::{SignedDuration, Timestamp};
use local::{Local, UnderWay};
use sqlx::PgConnection;
use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};
use store::{Ask, Granted, Places};
use terms::{Terms, window_of};
use trouble::Trouble;

/// A worker's part of a pace that it has not asked for in this time is forgotten.
const FORGOTTEN: SignedDuration = SignedDuration::from_mins(10);
/// Where nothing is known of a group that may have so many hand-overs at once: one of them takes so long.
const A_HAND_OVER: u64 = 24 * 3_600 * 4;

/// The pace of one process.
#[derive(Debug)]
pub struct Pace {
    groups: Groups,
    terms: HashMap<Name, Terms>,
    default: Terms,
    relays: HashMap<String, Name>,
    limited: bool,
    /// Whether anything is limited, by the settings or by trouble.
    on: AtomicBool,
    desk: Mutex<Desk>,
}

#[derive(Debug, Default)]
struct Desk {
    worker: i64,
    locals: HashMap<Name, Local>,
    troubles: HashMap<Name, Trouble>,
    alarms: HashMap<Name, String>,
}

/// Leave to hand a mail over. To be kept until its answer is there.
#[derive(Debug, Default)]
pub struct Pass {
    group: Option<Name>,
    #[expect(dead_code, reason = "it is the dropping that counts")]
    under_way: Option<UnderWay>,
}

/// What is to be written once in a while.
#[derive(Debug)]
pub struct Chores {
    unused: Vec<Ask>,
    alarms: HashMap<Name, String>,
}

/// What becomes of a mail.
#[derive(Debug)]
pub enum Admission {
    /// It may go now.
    Go(Pass),
    /// It may be asked for again at this time; the reason goes into the ledger.
    Later(Timestamp, String),
}

/// A mail that is to be handed over.
#[derive(Debug, Clone, Copy)]
pub struct Mail<'a> {
    /// Its recipient.
    pub address: &'a str,
    /// Whether it is counted and never waits: one that answers a person's act. A confirmation is a mail to one who is waiting for it; there
    /// are few of them, and they are those that providers like best, so that not even a plan by day keeps one back.
    pub urgent: bool,
}

impl Pace {
    /// As the settings say.
    pub fn new(config: &Config) -> Self {
        let mut terms: HashMap<Name, Terms> = HashMap::new();
        let mut relays = HashMap::new();
        for (name, relay) in &config.relays {
            let of = Terms::of_relay(relay);
            if of.limit() {
                let pace: Name = format!("relay:{name}").into();
                relays.insert(name.clone(), pace.clone());
                terms.insert(pace, of);
            }
        }
        let groups = config.pace.iter().filter(|(name, _)| *name != DEFAULT_GROUP);
        terms.extend(groups.map(|(name, group)| (format!("group:{name}").into(), Terms::of_group(group))));
        let default = config.pace.get(DEFAULT_GROUP).map(Terms::of_group).unwrap_or_default();
        let limited = default.limit() || terms.values().any(Terms::limit);
        Self { groups: Groups::new(&config.pace), terms, default, relays, limited, on: AtomicBool::new(limited), desk: Mutex::default() }
    }

    /// Begins with a worker's number, under which it holds what it is given.
    pub fn begin(&self, worker: i64) {
        let mut desk = self.desk();
        desk.worker = worker;
        desk.locals.values_mut().for_each(|local| local.held = 0);
    }

    /// Gets permits for all these mails, which may go through any of these relays alike. To be called before [`Pace::admit`] is for each of
    /// them; `at`: the instant to reckon with, where it is not the database's clock's.
    pub async fn prepare<'a>(
        &self,
        conn: &mut PgConnection,
        relays: &[&str],
        mails: impl Iterator<Item = Mail<'a>>,
        now: Timestamp,
        at: Option<Timestamp>,
    ) -> sqlx::Result<()> {
        if !self.is_on() {
            return Ok(());
        }
        let asks = self.asks(relays, mails, now);
        self.ask(conn, asks, now, at).await
    }

    /// Whether a mail may go now through this relay.
    pub fn admit(&self, relay: &str, mail: Mail<'_>, now: Timestamp) -> Admission {
        let group = self.groups.of(mail.address);
        if !self.is_on() {
            return Admission::Go(Pass { group, under_way: None });
        }
        let mut desk = self.desk();
        let limits: Vec<(Name, bool, bool)> = [self.relays.get(relay), group.as_ref()]
            .into_iter()
            .flatten()
            .filter_map(|pace| {
                let (permits, places) = self.limits(&desk, pace, now)?;
                Some((pace.clone(), permits, places))
            })
            .collect();
        let full = |desk: &Desk, (pace, permits, places): &(Name, bool, bool)| {
            !desk.locals.get(pace).is_some_and(|local| local.has_room(*permits, *places, now))
        };
        if !mail.urgent {
            let mut later = None;
            for limit in &limits {
                if full(&desk, limit) {
                    let slot = desk.locals.entry(limit.0.clone()).or_default().next_slot(now);
                    later = later.max(Some((slot, limit.0.clone())));
                }
            }
            if let Some((slot, pace)) = later {
                drop(desk);
                metrics::counter!("tidings_pace_put_off_total", "pace" => shown(&pace)).increment(1);
                return Admission::Later(slot, reason(&pace));
            }
        }
        let mut under_way = None;
        for (pace, permits, places) in limits {
            let local = desk.locals.entry(pace).or_default();
            if permits {
                local.take(now);
            }
            if places {
                under_way = Some(local.begin());
            }
        }
        Admission::Go(Pass { group, under_way })
    }

    /// Hears what a relay answered to a mail.
    pub fn answered(&self, pass: &Pass, reply: &ReplyText, now: Timestamp) {
        let Some(group) = &pass.group else { return };
        let mut desk = self.desk();
        let local = desk.locals.entry(group.clone()).or_default();
        if let Some((many, of)) = local.hear(reply.code, now) {
            let text: String = reply.to_string().chars().take(120).collect();
            desk.alarms.insert(group.clone(), format!("{many} of the last {of} answers put a mail off, the last one with `{text}`"));
        }
    }

    /// Whether there may be rows about trouble to be read: something is limited, or somebody said so.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Somebody else backs off, or nobody does.
    pub fn heard(&self, of_trouble: bool) {
        if of_trouble {
            self.on.store(true, Ordering::Relaxed);
        }
    }

    /// Once a second: what is to be written, if anything; `all`: whatever is held, at the end.
    pub fn chores(&self, all: bool, now: Timestamp) -> Option<Chores> {
        let chores = Chores { unused: self.unused(all, now), alarms: std::mem::take(&mut self.desk().alarms) };
        (!chores.unused.is_empty() || !chores.alarms.is_empty()).then_some(chores)
    }

    /// Gives back what was not used, and slows down what is to back off.
    pub async fn tend(&self, conn: &mut PgConnection, chores: Chores, now: Timestamp, at: Option<Timestamp>) -> sqlx::Result<()> {
        self.ask(conn, chores.unused, now, at).await?;
        let mut changed = false;
        for (pace, because) in chores.alarms {
            let basis = self.basis(&pace, now);
            if store::slow_down(conn, &pace, basis, &because, now).await? {
                tracing::warn!(pace = shown(&pace), "the pace is halved: {because}");
                changed = true;
            }
        }
        if changed {
            self.learn(conn, now).await?;
        }
        Ok(())
    }

    /// Every few seconds, where anything is limited: learns what backs off.
    pub async fn learn(&self, conn: &mut PgConnection, now: Timestamp) -> sqlx::Result<()> {
        let mut troubles = store::troubles(conn).await?;
        let over: Vec<(Name, Timestamp)> =
            troubles.iter().filter(|(_, trouble)| trouble.per_day(now).is_none()).map(|(pace, of)| (pace.clone(), of.changed_at)).collect();
        for (pace, changed_at) in over {
            if store::recovered(conn, &pace, changed_at).await? {
                tracing::info!(pace = shown(&pace), "the pace is whole again");
            }
            troubles.remove(&pace);
        }
        self.on.store(self.limited || !troubles.is_empty(), Ordering::Relaxed);
        self.desk().troubles = troubles;
        Ok(())
    }

    async fn ask(&self, conn: &mut PgConnection, asks: Vec<Ask>, now: Timestamp, at: Option<Timestamp>) -> sqlx::Result<()> {
        if asks.is_empty() {
            return Ok(());
        }
        let worker = self.desk().worker;
        match store::take(conn, worker, &asks, at).await {
            Ok((at, granted)) => self.note(granted, now, at),
            Err(error) => {
                let mut desk = self.desk();
                for ask in asks {
                    desk.locals.entry(ask.pace).or_default().doubt(&ask.wish);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn note(&self, granted: Vec<Granted>, now: Timestamp, at: Timestamp) {
        let mut desk = self.desk();
        for Granted { pace, grant, held } in granted {
            let local = desk.locals.entry(pace).or_default();
            local.held = held;
            local.note(grant, now, at);
        }
    }

    fn asks<'a>(&self, relays: &[&str], mails: impl Iterator<Item = Mail<'a>>, now: Timestamp) -> Vec<Ask> {
        let mut wanted: HashMap<Name, u64> = HashMap::new();
        let mut all = 0;
        for mail in mails.filter(|mail| !mail.urgent) {
            all += 1;
            if let Some(group) = self.groups.of(mail.address) {
                *wanted.entry(group).or_default() += 1;
            }
        }
        let limited = relays.iter().filter_map(|relay| self.relays.get(*relay));
        let each = u64::div_ceil(all, u64::try_from(relays.len()).unwrap_or(1).max(1));
        wanted.extend(limited.map(|pace| (pace.clone(), each)).filter(|(_, mails)| *mails > 0));
        let mut desk = self.desk();
        let mut asks: Vec<Ask> = wanted.into_iter().filter_map(|(pace, mails)| self.ask_for(&mut desk, pace, mails, now)).collect();
        asks.sort_by(|a, b| a.pace.cmp(&b.pace));
        asks
    }

    // None where there is enough, or no limit.
    fn ask_for(&self, desk: &mut Desk, pace: Name, mails: u64, now: Timestamp) -> Option<Ask> {
        self.limits(desk, &pace, now)?;
        let wish = desk.locals.entry(pace.clone()).or_default().wish(mails, now);
        let ask = self.made(desk, pace, wish, u32::try_from(mails).unwrap_or(u32::MAX), now);
        let enough = ask.places.is_none_or(|places| places.under_way + places.more <= desk.locals[&ask.pace].held);
        (ask.wish != store::NOTHING || !enough).then_some(ask)
    }

    fn made(&self, desk: &mut Desk, pace: Name, wish: reserve::Wish, more: u32, now: Timestamp) -> Ask {
        let terms = self.terms(&pace).clone();
        let trouble = desk.troubles.get(&pace);
        let slowed = trouble.and_then(|trouble| trouble.per_day(now));
        let per_day = [terms.per_day(), slowed].into_iter().flatten().min();
        let seconds = window_of(terms.per_day().or(trouble.map(|trouble| trouble.whole)).unwrap_or(u64::MAX / 60));
        let local = desk.locals.entry(pace.clone()).or_default();
        let places = terms.connections.map(|connections| Places { connections, under_way: local.under_way(), more });
        let seen = local.seen(now);
        let flow = if seen > 0 { seen } else { u64::from(terms.connections.unwrap_or(1)) * A_HAND_OVER };
        Ask { pace, per_day, seconds, warm_up: terms.warm_up, flow, wish, places }
    }

    fn unused(&self, all: bool, now: Timestamp) -> Vec<Ask> {
        let mut desk = self.desk();
        desk.locals.retain(|_, local| !local.is_idle(now - FORGOTTEN));
        let idle: Vec<(Name, reserve::Wish)> =
            desk.locals.iter_mut().filter_map(|(pace, local)| Some((pace.clone(), local.give_back(all, now)?))).collect();
        let mut asks: Vec<Ask> = idle.into_iter().map(|(pace, wish)| self.made(&mut desk, pace, wish, 0, now)).collect();
        asks.sort_by(|a, b| a.pace.cmp(&b.pace));
        asks
    }

    // What is halved: the rate of the settings, else what was seen.
    fn basis(&self, pace: &Name, now: Timestamp) -> (Option<u64>, u64) {
        let seen = self.desk().locals.get_mut(pace).map_or(0, |local| local.seen(now));
        (self.terms(pace).per_day(), seen)
    }

    // Whether it has permits, and whether it has places; None: neither.
    fn limits(&self, desk: &Desk, pace: &Name, now: Timestamp) -> Option<(bool, bool)> {
        let terms = self.terms(pace);
        let slowed = desk.troubles.get(pace).is_some_and(|trouble| trouble.per_day(now).is_some());
        let permits = terms.rate.is_some() || terms.warm_up.is_some() || slowed;
        let places = terms.connections.is_some();
        (permits || places).then_some((permits, places))
    }

    fn terms(&self, pace: &Name) -> &Terms {
        self.terms.get(pace).unwrap_or(&self.default)
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().expect("no holder panics")
    }
}

/// A pace as an operator reads it: `gmail`, `example.org`, `relay main`.
pub fn plain(pace: &str) -> String {
    match pace.split_once(':') {
        Some(("relay", name)) => format!("relay {name}"),
        Some((_, name)) => name.to_owned(),
        None => pace.to_owned(),
    }
}

// Without a recipient's domain, which may be that of one person and would outlive her erasure.
fn reason(pace: &str) -> String {
    if pace.starts_with("domain:") { "pace: the recipient's domain".to_owned() } else { format!("pace: {}", plain(pace)) }
}

/// A pace in logs and as a label of a metric: there may be any number of domains, and one may be that of a person.
fn shown(pace: &str) -> String {
    if pace.starts_with("domain:") { "other".to_owned() } else { plain(pace) }
}
