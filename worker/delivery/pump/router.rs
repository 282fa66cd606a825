//! The router: which outlet a claimed delivery goes to, and how many may be claimed.
//!
//! Owned by the feeder, the only one that puts deliveries into the lanes. Pinned mail goes to the outlets that it is pinned to; of those
//! that are up the lowest priority is used, each in proportion to its weight.

use super::{
    super::{
        ledger::claim::Claimed,
        pace::{Admission, Pace, Pass},
    },
    Outlet,
    health::Trouble,
    lane::{Held, Lane, Room, Standing},
    pacing,
};
use jiff::{SignedDuration, Timestamp};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{sync::Notify, time::Instant};

/// How often is looked whether a lane keeps the others of its priority waiting.
const LOOK: Duration = Duration::from_secs(1);
/// So many looks in a row have to agree: a database that halts for a moment makes everyone idle.
const AGREE: u32 = 3;
/// A transactional mail whose own relay is out is not claimed before then.
const TRIED_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// What decides where a mail may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// It has no edition, and is no test mail, which goes where what it tests would.
    transactional: bool,
    topic_id: Option<i64>,
}

impl Kind {
    /// Every transactional mail's.
    pub(super) const TRANSACTIONAL: Self = Self { transactional: true, topic_id: None };

    /// The mails' of an edition.
    pub(super) fn of_topic(topic_id: Option<i64>) -> Self {
        Self { transactional: false, topic_id }
    }

    fn of(claimed: &Claimed) -> Self {
        match (claimed.edition_id, claimed.subscriber_id) {
            (None, Some(_)) => Self::TRANSACTIONAL,
            _ => Self::of_topic(claimed.topic_id),
        }
    }
}

/// What becomes of a claimed delivery.
pub(super) enum Way {
    /// Into this lane, with leave of the pace.
    Go(usize, Pass),
    /// Not before then, for this reason; no attempt is counted.
    Later(Timestamp, String),
    /// No outlet takes it now.
    Back,
}

/// The lanes, and whose turn it is.
pub(super) struct Router {
    lanes: Vec<Arc<Lane>>,
    /// By lane: the one with the most is next.
    credits: Vec<i64>,
    /// Lanes whose weight is not waited for.
    behind: Vec<bool>,
    /// The lane that kept a claim smaller than the others had room for.
    kept_by: Option<usize>,
    looked_at: Instant,
    /// The lane that was found to keep others idle at the last looks, and at how many.
    suspect: Option<(usize, u32)>,
    /// The slugs of pinned topics that exist.
    topics: HashMap<i64, String>,
}

/// The lanes that a mail may go to now.
#[derive(Debug, Default)]
pub(super) struct Tier {
    up: Vec<usize>,
    trial: Option<usize>,
}

impl Tier {
    /// Whether no relay takes it.
    pub(super) fn is_out(&self) -> bool {
        self.up.is_empty() && self.trial.is_none()
    }
}

impl Router {
    /// A lane for each outlet; `size` deliveries in all that are not transactional.
    pub(super) fn new(outlets: &[Arc<Outlet>], size: u16, room: &Arc<Notify>) -> Self {
        let lanes: Vec<_> =
            outlets.iter().map(|outlet| Arc::new(Lane::new(outlet.clone(), share(outlet, outlets, size), room.clone()))).collect();
        let (credits, behind) = (vec![0; lanes.len()], vec![false; lanes.len()]);
        Self { lanes, credits, behind, kept_by: None, looked_at: Instant::now(), suspect: None, topics: HashMap::new() }
    }

    pub(super) fn lanes(&self) -> &[Arc<Lane>] {
        &self.lanes
    }

    /// The slugs of all topics that are pinned to a relay.
    pub(super) fn pinned_topics(&self) -> Vec<String> {
        self.lanes.iter().flat_map(|lane| lane.outlet.topics.iter().cloned()).collect()
    }

    /// Whether all of them are known to exist.
    pub(super) fn knows_all_topics(&self) -> bool {
        self.lanes.iter().flat_map(|lane| &lane.outlet.topics).all(|slug| self.topics.values().any(|known| known == slug))
    }

    /// Which of the pinned topics exist, by their ids.
    pub(super) fn know_topics(&mut self, topics: impl IntoIterator<Item = (i64, String)>) {
        self.topics = topics.into_iter().collect();
    }

    /// The lanes that mail of this kind may go to now.
    pub(super) fn tier(&self, kind: Kind) -> Tier {
        let pinned: Vec<usize> = (0..self.lanes.len()).filter(|&i| self.is_pinned(i, kind)).collect();
        if pinned.is_empty() {
            return self.best((0..self.lanes.len()).filter(|&i| !self.lanes[i].outlet.only));
        }
        let tier = self.best(pinned.iter().copied());
        match tier.is_out() && pinned.iter().any(|&i| self.lanes[i].outlet.fall_back) {
            true => self.best((0..self.lanes.len()).filter(|i| !self.lanes[*i].outlet.only && !pinned.contains(i))),
            false => tier,
        }
    }

    /// Why no outlet takes mail of this kind; the trouble of one whose login was refused goes before others.
    pub(super) fn trouble(&self, kind: Kind) -> Option<(&str, Trouble)> {
        let any_pinned = (0..self.lanes.len()).any(|i| self.is_pinned(i, kind));
        let takes = |i: usize| if any_pinned { self.is_pinned(i, kind) } else { !self.lanes[i].outlet.only };
        let troubles = (0..self.lanes.len()).filter(|&i| takes(i));
        let troubles = troubles.filter_map(|i| Some((self.lanes[i].outlet.name.as_str(), self.lanes[i].trouble()?)));
        troubles.max_by_key(|(_, trouble)| trouble.refused_us)
    }

    /// How many there is room for. The weights hold: a lane that is full keeps the others of its priority from being filled beyond
    /// their share, unless it is behind.
    pub(super) fn room(&mut self, tier: &Tier) -> Room {
        let rooms: Vec<(usize, Room)> = tier.up.iter().map(|&i| (i, self.lanes[i].room())).collect();
        let total: usize = rooms.iter().filter(|(i, _)| !self.behind[*i]).map(|(i, _)| self.weight(*i)).sum();
        let keeping_up = rooms.iter().filter(|(i, _)| !self.behind[*i]).map(|(i, room)| (room.others * total / self.weight(*i), *i)).min();
        let beside: usize = rooms.iter().filter(|(i, _)| self.behind[*i]).map(|(_, room)| room.others).sum();
        let trial = usize::from(tier.trial.is_some());
        self.kept_by = keeping_up.filter(|_| rooms.len() > 1).map(|(_, i)| i);
        Room {
            urgent: rooms.iter().map(|(_, room)| room.urgent).sum::<usize>() + trial,
            others: keeping_up.map_or(0, |(room, _)| room) + beside + trial,
        }
    }

    /// Whether so much room is worth the statements of a claim: half of what there is when nothing waits.
    pub(super) fn is_worth(&self, tier: &Tier, room: Room) -> bool {
        let keeping_up = || tier.up.iter().copied().filter(|&i| !self.behind[i]);
        let total: usize = keeping_up().map(|i| self.weight(i)).sum();
        let most = keeping_up().map(|i| self.lanes[i].whole() * total / self.weight(i)).min().unwrap_or(0);
        room.others >= (most / 2).max(1)
    }

    /// The names of the relays that mail may go to now.
    pub(super) fn names(&self, tier: &Tier) -> Vec<&str> {
        tier.up.iter().chain(&tier.trial).map(|&i| self.lanes[i].outlet.name.as_str()).collect()
    }

    /// Chooses an outlet for a delivery and puts it there; else says what is to become of it.
    pub(super) fn route(&mut self, mut held: Held, pace: &Pace, now: Timestamp) -> Result<(), (Held, Way)> {
        // Of one that came back: it is asked for anew.
        held.pass = Pass::default();
        match self.way(&held.claimed, pace, now) {
            Way::Go(lane, pass) => self.lanes[lane].put(Held { pass, ..held }).map_err(|held| (held, Way::Back)),
            way => Err((held, way)),
        }
    }

    /// Where a delivery goes, and whether the pace of the relay and of its recipient's provider lets it go now.
    fn way(&mut self, claimed: &Claimed, pace: &Pace, now: Timestamp) -> Way {
        let tier = self.tier(Kind::of(claimed));
        // No edition keeps it back: it would be claimed again at once.
        if tier.is_out() && claimed.edition_id.is_none() {
            return Way::Later(now + TRIED_AGAIN, "the relay that it is pinned to is down".to_owned());
        }
        let Some(lane) = self.choose(&tier, claimed.edition_id.is_none()) else { return Way::Back };
        match pace.admit(&self.lanes[lane].outlet.name, pacing::mail(claimed), now) {
            Admission::Go(pass) => Way::Go(lane, pass),
            Admission::Later(until, reason) => Way::Later(until, reason),
        }
    }

    // Smooth and weighted: each gains its weight, the one with the most is chosen and pays for all.
    fn choose(&mut self, tier: &Tier, urgent: bool) -> Option<usize> {
        if tier.trial.is_some() {
            return tier.trial;
        }
        if let [only] = tier.up[..] {
            return Some(only);
        }
        let total: i64 = tier.up.iter().map(|&i| i64::from(self.lanes[i].outlet.weight)).sum();
        for &i in &tier.up {
            // What a lane cannot take is not saved up for long.
            self.credits[i] = (self.credits[i] + i64::from(self.lanes[i].outlet.weight)).min(total);
        }
        let has_room = |i: &usize| {
            let room = self.lanes[*i].room();
            if urgent { room.urgent > 0 } else { room.others > 0 }
        };
        let chosen = tier.up.iter().copied().filter(has_room).max_by_key(|&i| (self.credits[i], std::cmp::Reverse(i)))?;
        self.credits[chosen] -= total;
        Some(chosen)
    }

    /// Once in a while: a lane that makes another of its tier idle for nine tenths of the time is behind, and its weight no longer keeps the
    /// others; one that was seen empty keeps up again.
    pub(super) fn look_who_is_behind(&mut self) {
        let passed = self.looked_at.elapsed();
        if passed < LOOK {
            return;
        }
        self.looked_at = Instant::now();
        let seen: Vec<(Duration, bool)> = self.lanes.iter().map(|lane| lane.idled()).collect();
        for (i, (_, was_empty)) in seen.iter().enumerate().filter(|(_, (_, was_empty))| *was_empty) {
            if std::mem::replace(&mut self.behind[i], !was_empty) {
                self.lanes[i].keep_short(false);
            }
        }
        let slow = self.kept_by.filter(|&slow| !seen[slow].1 && self.idles_beside(slow, &seen, passed));
        self.suspect = match (slow, self.suspect) {
            (Some(slow), Some((suspect, looks))) if slow == suspect => Some((slow, looks + 1)),
            (slow, _) => slow.map(|slow| (slow, 1)),
        };
        if let Some((slow, AGREE..)) = self.suspect {
            tracing::debug!(relay = self.lanes[slow].outlet.name, "this relay is slow for its weight: the others do not wait for it");
            self.behind[slow] = true;
            self.lanes[slow].keep_short(true);
        }
    }

    fn idles_beside(&self, slow: usize, seen: &[(Duration, bool)], passed: Duration) -> bool {
        let priority = self.lanes[slow].outlet.priority;
        let same = |i: usize| i != slow && self.lanes[i].outlet.priority == priority && self.lanes[i].standing() == Standing::Up;
        (0..seen.len()).any(|i| same(i) && seen[i].0 * 10 >= passed * 9)
    }

    fn is_pinned(&self, i: usize, kind: Kind) -> bool {
        let outlet = &self.lanes[i].outlet;
        match kind.topic_id {
            _ if kind.transactional => outlet.transactional,
            Some(id) => self.topics.get(&id).is_some_and(|slug| outlet.topics.contains(slug)),
            None => false,
        }
    }

    fn best(&self, among: impl Iterator<Item = usize>) -> Tier {
        let mut tier = Tier::default();
        let mut lowest = u16::MAX;
        let mut tried = u16::MAX;
        for i in among {
            let priority = self.lanes[i].outlet.priority;
            match self.lanes[i].standing() {
                Standing::Up if tier.up.is_empty() || priority < lowest => (tier.up, lowest) = (vec![i], priority),
                Standing::Up if priority == lowest => tier.up.push(i),
                Standing::Trial if tier.trial.is_none() || priority < tried => (tier.trial, tried) = (Some(i), priority),
                _ => {}
            }
        }
        // One that stands by is not tried while a better one is up.
        if !tier.up.is_empty() && tried > lowest {
            tier.trial = None;
        }
        tier
    }

    fn weight(&self, i: usize) -> usize {
        usize::from(self.lanes[i].outlet.weight)
    }
}

// As its weight is among those of its priority; enough for all of its connections to have something to do.
fn share(outlet: &Outlet, outlets: &[Arc<Outlet>], size: u16) -> usize {
    let total: u32 = outlets.iter().filter(|other| other.priority == outlet.priority).map(|other| u32::from(other.weight)).sum();
    let share = u32::from(size) * u32::from(outlet.weight) / total.max(1);
    usize::try_from(share).unwrap_or(1).max(usize::from(outlet.connections)).min(usize::from(size)).max(1)
}

#[cfg(test)]
mod tests;
