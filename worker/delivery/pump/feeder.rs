//! The feeder keeps the lanes filled: transactional deliveries first, then the running editions in turn.
//!
//! It looks once a second, when the bell rings, and as soon as there is room again; a moment after a look it only goes on where it was.
//! What came back from a relay that went out it routes anew, or gives back to the ledger.

use super::{
    super::ledger::{
        claim::{self, Claimed},
        look::{self, Due},
        mark, outages,
    },
    Bell, Setup,
    connection::{not_begun, put_off},
    lane::Held,
    lease::Lease,
    line::{Line, within},
    pacing,
    pressure::Pressure,
    router::{Kind, Router, Tier, Way},
    scribe::Scribe,
};
use crate::delivery::pace::Pass;
use jiff::Timestamp;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// So long after a look, what it found is claimed on without another one.
const GO_ON: Duration = Duration::from_millis(250);

/// What the feeder works with.
pub(super) struct Feeder {
    pub(super) setup: Arc<Setup>,
    pub(super) lease: Lease,
    pub(super) router: Router,
    pub(super) scribe: Scribe,
    pub(super) pressure: Pressure,
    /// There is room in a lane, or its relay's standing changed.
    pub(super) room: Arc<Notify>,
    /// Something new may be due.
    pub(super) bell: Bell,
    /// Results were recorded, which may let more of an edition go.
    pub(super) recorded: Bell,
    /// Whether results are worth a ring.
    pub(super) hungry: Arc<AtomicBool>,
    pub(super) halted: watch::Receiver<bool>,
}

/// What has woken it, and so what it looks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Woken {
    /// Everything.
    ByTime,
    /// There is room for what is known to be there.
    ByRoom,
}

pub(super) async fn run(mut feeder: Feeder) {
    let mut line = Line::new();
    let mut outlook = feeder.setup.db.outage.outlook();
    let mut claiming = false;
    let mut known = Known::default();
    let mut woken = Woken::ByTime;
    while !*feeder.halted.borrow() {
        // The commit of a claim may be done though its answer was lost: what it took is in nobody's hands, and is given back
        // when this worker leaves. So the pump ends as soon as that can be written, and another one begins.
        if claiming && line.get(&feeder.setup).await.is_ok() {
            return;
        }
        feeder.route_what_came_back().await;
        feeder.router.look_who_is_behind();
        let again = match feeder.look(&mut line, &mut claiming, &mut known, woken).await {
            Ok(None) => false,
            Ok(Some(fed)) => {
                outlook.well();
                fed
            }
            Err(error) => {
                line.cut();
                outlook.failed(&error);
                false
            }
        };
        woken = feeder.wait(again, known.at_once).await;
    }
}

/// What the ledger was told, and told us.
#[derive(Default)]
struct Known {
    /// Whether those topics that are pinned and do not exist were named.
    topics_named: bool,
    /// There was still much room when something was claimed.
    at_once: bool,
    /// By lane: why it is out, as it stands in the ledger.
    outages: Vec<Option<String>>,
    /// The editions that have something to send, and how far they were claimed.
    due: Vec<Due>,
    /// When that was looked for; none while transactional deliveries may be left.
    looked_at: Option<Instant>,
}

impl Feeder {
    async fn wait(&mut self, again: bool, at_once: bool) -> Woken {
        if again && at_once {
            return Woken::ByRoom;
        }
        let mut halted = self.halted.clone();
        tokio::select! {
            _ = halted.wait_for(|halted| *halted) => Woken::ByTime,
            () = self.room.notified() => if again { Woken::ByRoom } else { Woken::ByTime },
            // What somebody waits for is never behind an edition that fills the lanes.
            () = self.bell.heard() => Woken::ByTime,
            () = self.recorded.heard(), if !again => Woken::ByTime,
            // What only time makes due rings no bell.
            () = tokio::time::sleep(LOOK_AGAIN) => Woken::ByTime,
        }
    }

    // Whether anything was claimed, so that it is worth looking again as soon as there is room; `None`: nothing may be claimed
    // now. `claiming` is true while a claim is under way, and stays so when its answer is lost.
    async fn look(&mut self, line: &mut Line, claiming: &mut bool, known: &mut Known, woken: Woken) -> sqlx::Result<Option<bool>> {
        if *claiming || !self.lease.is_fresh() {
            return Ok(None);
        }
        let now = self.setup.clock.now();
        self.exchange_news(line, known).await?;
        known.at_once = false;
        let mut fed = false;
        if woken == Woken::ByTime || known.looked_at.is_none_or(|at| at.elapsed() > GO_ON) {
            let urgent = self.feed_transactional(line, claiming, now).await?;
            fed = urgent == Some(true);
            known.looked_at = (urgent == Some(false)).then(Instant::now);
            within(look::start_due(line.get(&self.setup).await?, now)).await?;
            known.due = within(look::editions_due(line.get(&self.setup).await?, now)).await?;
            // Set before the claims: an answer recorded in between must ring.
            self.hungry.store(!known.due.is_empty(), Ordering::Release);
        }
        let editions = known.due.len();
        for (edition, left) in known.due.iter_mut().zip((1..=editions).rev()) {
            let kind = Kind::of_topic(edition.topic_id);
            let claimed = self.feed_edition(line, claiming, (edition, kind), left, woken, now).await?;
            let tier = self.router.tier(kind);
            let room = self.router.room(&tier);
            known.at_once |= claimed && self.router.is_worth(&tier, room);
            fed |= claimed;
        }
        Ok(Some(fed))
    }

    // Whether any were claimed; `None`: there was no room to look.
    async fn feed_transactional(&mut self, line: &mut Line, claiming: &mut bool, now: Timestamp) -> sqlx::Result<Option<bool>> {
        let tier = self.router.tier(Kind::TRANSACTIONAL);
        let room = self.router.room(&tier).urgent.min(self.pressure.portion());
        if room == 0 {
            return Ok(None);
        }
        let conn = line.get(&self.setup).await?;
        *claiming = true;
        let began = Instant::now();
        let done = within(claim::transactional(conn, self.lease.worker, now, limit(room))).await;
        let claim = settled(claiming, done)?;
        self.pressure.took(began.elapsed());
        let fed = !claim.taken.is_empty();
        self.route(line, &tier, claim.taken, now).await;
        Ok(Some(fed))
    }

    async fn feed_edition(
        &mut self,
        line: &mut Line,
        claiming: &mut bool,
        (edition, kind): (&mut Due, Kind),
        left: usize,
        woken: Woken,
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let tier = self.router.tier(kind);
        if tier.is_out() && self.pause_if_refused(line, kind, edition.id).await? {
            return Ok(false);
        }
        let room = self.router.room(&tier);
        // More is on its way out than is worth a claim: what is due is still there when there is room.
        if !tier.is_out() && (room.others == 0 || (woken == Woken::ByRoom && !self.router.is_worth(&tier, room))) {
            return Ok(true);
        }
        // Each its share: a big edition that a slow relay keeps busy must not make the next one late. None for one that no relay takes
        // now: the claim then looks only whether it is late.
        let share = if tier.is_out() { 0 } else { (room.others / left).max(1).min(self.pressure.portion()) };
        let conn = line.get(&self.setup).await?;
        *claiming = true;
        let began = Instant::now();
        let done = within(claim::edition(conn, self.lease.worker, (edition.id, edition.first), now, limit(share))).await;
        let claim = settled(claiming, done)?;
        edition.first = claim.reached.unwrap_or(edition.first);
        self.pressure.took(began.elapsed());
        let fed = claim.ended > 0 || !claim.taken.is_empty();
        self.route(line, &tier, claim.taken, now).await;
        Ok(fed)
    }

    // Every relay that takes this kind is out, and one because it refused our login: that does not pass by itself.
    async fn pause_if_refused(&self, line: &mut Line, kind: Kind, edition_id: i64) -> sqlx::Result<bool> {
        let Some((relay, trouble)) = self.router.trouble(kind).filter(|(_, trouble)| trouble.refused_us) else { return Ok(false) };
        let reason = format!("relay `{relay}` refused our authentication: {}", trouble.why);
        within(mark::pause_edition(line.get(&self.setup).await?, edition_id, &reason)).await?;
        Ok(true)
    }

    // Which of the pinned topics exist by now; and for others to know, which relays are out here.
    async fn exchange_news(&mut self, line: &mut Line, known: &mut Known) -> sqlx::Result<()> {
        if !self.router.knows_all_topics() {
            let slugs = self.router.pinned_topics();
            let topics = within(look::topics(line.get(&self.setup).await?, &slugs)).await?;
            for slug in slugs.iter().filter(|slug| !known.topics_named && !topics.iter().any(|(_, known)| known == *slug)) {
                tracing::warn!("relays: topic `{slug}` is pinned to a relay, and there is no such topic: `tidings topic list` shows all");
            }
            known.topics_named = true;
            self.router.know_topics(topics);
        }
        known.outages.resize(self.router.lanes().len(), None);
        for (lane, told) in self.router.lanes().iter().zip(&mut known.outages) {
            let why = lane.trouble().map(|trouble| trouble.why);
            if why != *told {
                let conn = line.get(&self.setup).await?;
                within(outages::tell(conn, self.lease.worker, &lane.outlet.name, why.as_deref(), self.setup.clock.now())).await?;
                *told = why;
            }
        }
        Ok(())
    }

    async fn route_what_came_back(&mut self) {
        let came_back: Vec<Held> = self.router.lanes().iter().flat_map(|lane| lane.came_back()).collect();
        for held in came_back {
            self.send_on(held).await;
        }
    }

    async fn route(&mut self, line: &mut Line, tier: &Tier, taken: Vec<Claimed>, now: Timestamp) {
        let since = Instant::now();
        if !taken.is_empty() && self.setup.pace.is_on() {
            let relays = self.router.names(tier);
            pacing::prepare(&self.setup, line, &relays, taken.iter().map(pacing::mail), now).await;
        }
        for claimed in taken {
            self.send_on(Held { claimed: Box::new(claimed), since, pass: Pass::default() }).await;
        }
    }

    async fn send_on(&mut self, held: Held) {
        let record = match self.router.route(held, &self.setup.pace, self.setup.clock.now()) {
            Ok(()) => return,
            Err((held, Way::Later(until, reason))) => put_off(&held.claimed, until, reason),
            Err((held, Way::Go(..) | Way::Back)) => not_begun(&held.claimed, None),
        };
        self.scribe.record(record).await;
    }
}

fn limit(room: usize) -> i64 {
    i64::try_from(room).unwrap_or(i64::MAX)
}

// A refusal by the server itself is no lost answer, for it did not commit; but being ended by it (57P01 and its like) may come
// between the commit and the answer.
fn is_refusal(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|e| e.code()).is_some_and(|code| !code.starts_with("57P"))
}

fn settled<T>(claiming: &mut bool, done: sqlx::Result<T>) -> sqlx::Result<T> {
    *claiming = done.as_ref().is_err_and(|error| !is_refusal(error));
    done
}
