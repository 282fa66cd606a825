//! A lane: what waits for the connections of one outlet, and how its relay fares. The router puts deliveries in, connections take them.
//!
//! Transactional deliveries have a stock of their own, which is emptied first. When the relay goes out, what waited goes back to the
//! router. The lock is held for moments and over no await.

use super::{
    super::{ledger::claim::Claimed, pace::Pass},
    Outlet,
    health::{Health, NextTry, Sign, Trouble},
};
use std::{
    collections::VecDeque,
    mem,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// Transactional deliveries that may wait in one lane.
const URGENT: usize = 50;
/// A relay that took a mail so lately is not out because it lets nobody else in.
const LATELY: Duration = Duration::from_secs(10);

/// A claimed delivery and when it was claimed, by the monotonic clock.
pub(super) struct Held {
    pub(super) claimed: Box<Claimed>,
    pub(super) since: Instant,
    /// The pace's leave, until it is answered.
    pub(super) pass: Pass,
}

/// The stock of one outlet.
pub(super) struct Lane {
    pub(super) outlet: Arc<Outlet>,
    whole: usize,
    inner: Mutex<Inner>,
    /// Something came, or the relay's standing changed.
    news: Notify,
    /// Wakes the feeder: there is room, the standing changed, or something came back.
    room: Arc<Notify>,
}

struct Inner {
    /// How many others than transactional ones may wait.
    size: usize,
    urgent: VecDeque<Held>,
    others: VecDeque<Held>,
    /// What waited when the relay went out, or could not be begun: to be routed anew.
    back: Vec<Held>,
    health: Health,
    /// Sessions that are open now, and when one was opened or a mail was answered last.
    sessions: u16,
    well_at: Option<Instant>,
    /// Which connection tries the relay, and has its trial.
    tries: Option<u16>,
    /// A mail is on its way that shows how the relay fares.
    trial_given: bool,
    /// Mails that connections are busy with.
    busy: u16,
    /// Since when nothing waits and no connection has anything to do; how long it was so before.
    idle_since: Option<Instant>,
    idle: Duration,
    was_empty: bool,
}

/// What a connection is to do.
pub(super) enum Turn {
    /// Hand this over.
    Serve(Held),
    /// Close its session: the relay is out.
    Leave(NextTry),
}

/// How much there is room for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Room {
    pub(super) urgent: usize,
    pub(super) others: usize,
}

/// How the router finds a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Up,
    /// It takes one mail, which shows how it fares.
    Trial,
    Out,
}

impl Lane {
    /// `size`: how many others than transactional ones may wait in it.
    pub(super) fn new(outlet: Arc<Outlet>, size: usize, room: Arc<Notify>) -> Self {
        metrics::gauge!("tidings_relay_up", "relay" => outlet.name.clone()).set(1);
        let inner = Inner {
            size,
            urgent: VecDeque::new(),
            others: VecDeque::with_capacity(size),
            back: Vec::new(),
            health: Health::new(),
            sessions: 0,
            well_at: None,
            tries: None,
            trial_given: false,
            busy: 0,
            idle_since: Some(Instant::now()),
            idle: Duration::ZERO,
            was_empty: true,
        };
        Self { outlet, whole: size, inner: Mutex::new(inner), news: Notify::new(), room }
    }

    /// How many others than transactional ones may wait in it when it keeps up.
    pub(super) fn whole(&self) -> usize {
        self.whole
    }

    /// No more waits in one that is behind than its connections take soon; what is too much goes back to the router.
    pub(super) fn keep_short(&self, short: bool) {
        let inner = &mut *self.inner();
        inner.size = if short { (2 * usize::from(self.outlet.connections)).min(self.whole) } else { self.whole };
        let from = inner.size.min(inner.others.len());
        if from < inner.others.len() {
            inner.back.extend(inner.others.drain(from..));
            self.room.notify_one();
        }
    }

    pub(super) fn room(&self) -> Room {
        let inner = self.inner();
        match standing(&inner) {
            Standing::Up => {
                Room { urgent: URGENT.saturating_sub(inner.urgent.len()), others: inner.size.saturating_sub(inner.others.len()) }
            }
            Standing::Trial => Room { urgent: 1, others: 1 },
            Standing::Out => Room::default(),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        standing(&self.inner())
    }

    /// Why it gets no mail, or hardly any.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.inner().health.trouble().cloned()
    }

    /// How long it had nothing to do since this was asked last, and whether it ever had.
    pub(super) fn idled(&self) -> (Duration, bool) {
        let inner = &mut *self.inner();
        let since = inner.idle_since;
        inner.idle_since = since.map(|_| Instant::now());
        let idle = mem::take(&mut inner.idle) + since.map_or(Duration::ZERO, |since| since.elapsed());
        let empty = inner.others.is_empty();
        (idle, mem::replace(&mut inner.was_empty, empty))
    }

    /// Puts a delivery in; it comes back when the relay is out or there is no room.
    pub(super) fn put(&self, held: Held) -> Result<(), Held> {
        let mut inner = self.inner();
        match standing(&inner) {
            Standing::Up => {}
            Standing::Trial => inner.trial_given = true,
            Standing::Out => return Err(held),
        }
        let (on_trial, urgent) = (inner.health.is_on_trial(), held.claimed.edition_id.is_none());
        let full = if urgent { inner.urgent.len() >= URGENT } else { inner.others.len() >= inner.size };
        if full && !on_trial {
            return Err(held);
        }
        if let Some(since) = inner.idle_since.take() {
            inner.idle += since.elapsed();
        }
        let stock = if urgent { &mut inner.urgent } else { &mut inner.others };
        stock.push_back(held);
        drop(inner);
        match on_trial {
            true => self.news.notify_waiters(),
            false => self.news.notify_one(),
        }
        Ok(())
    }

    /// The next turn of connection `who`. May be dropped at any await: nothing is taken by it then.
    pub(super) async fn turn(&self, who: u16) -> Turn {
        if let Some(turn) = self.look(who) {
            return turn;
        }
        let mut news = pin!(self.news.notified());
        loop {
            // Before looking, so that what comes in between wakes it.
            news.as_mut().enable();
            if let Some(turn) = self.look(who) {
                return turn;
            }
            news.as_mut().await;
            news.set(self.news.notified());
        }
    }

    fn look(&self, who: u16) -> Option<Turn> {
        let mut inner = self.inner();
        if let Some(next) = inner.health.next_try() {
            return Some(Turn::Leave(next));
        }
        if inner.health.is_on_trial() && !self.has_trial(&mut inner, who) {
            return None;
        }
        if let Some(held) = inner.urgent.pop_front() {
            inner.busy += 1;
            if inner.urgent.len() == URGENT / 2 {
                self.room.notify_one();
            }
            return Some(Turn::Serve(held));
        }
        let held = inner.others.pop_front()?;
        inner.busy += 1;
        inner.was_empty |= inner.others.is_empty();
        if inner.others.len() == inner.size / 2 {
            self.room.notify_one();
        }
        Some(Turn::Serve(held))
    }

    /// A connection is done with what it took.
    pub(super) fn done(&self) {
        let mut inner = self.inner();
        inner.busy = inner.busy.saturating_sub(1);
        if inner.busy == 0 && inner.urgent.is_empty() && inner.others.is_empty() {
            inner.idle_since = Some(Instant::now());
        }
    }

    // One connection alone takes what shows how the relay fares. When it asks for more, what it took ended without showing anything.
    fn has_trial(&self, inner: &mut Inner, who: u16) -> bool {
        let mine = inner.tries.is_none_or(|tries| tries == who);
        if mine && inner.urgent.is_empty() && inner.others.is_empty() && mem::take(&mut inner.trial_given) {
            self.room.notify_one();
        }
        mine
    }

    /// Waits until the relay may be tried, or its standing changes.
    pub(super) async fn rest(&self, next: NextTry) {
        let mut news = pin!(self.news.notified());
        news.as_mut().enable();
        match next {
            next if self.inner().health.next_try() != Some(next) => {}
            NextTry::UnderWay => news.await,
            // Err: the time has come.
            NextTry::At(at) => drop(tokio::time::timeout_at(at, news).await),
        }
    }

    /// Whether connection `who` is to try the relay now.
    pub(super) fn try_now(&self, who: u16) -> bool {
        let mut inner = self.inner();
        let tries = inner.health.try_now(Instant::now());
        if tries {
            inner.tries = Some(who);
        }
        tries
    }

    /// A session was opened.
    pub(super) fn opened(&self) {
        self.change(|inner| {
            inner.sessions += 1;
            inner.well_at = Some(Instant::now());
            inner.health.connected();
        });
    }

    /// A session ended, however.
    pub(super) fn closed(&self) {
        let mut inner = self.inner();
        inner.sessions = inner.sessions.saturating_sub(1);
    }

    /// No session could be opened. While it serves others this is the relay's limit and not its end.
    pub(super) fn cannot_connect(&self, trouble: Trouble) {
        self.change(|inner| {
            let serves = inner.sessions > 0 && inner.well_at.is_some_and(|at| at.elapsed() < LATELY);
            if !inner.health.is_up() || !serves || trouble.refused_us {
                inner.health.cannot_connect(trouble, Instant::now());
            }
        });
    }

    /// What came of a mail says something about the relay.
    pub(super) fn met(&self, sign: Sign, said: &str) {
        let why = |unwell, of| format!("{unwell} of its last {of} mails did not get through to it, the last because: {said}");
        self.change(|inner| {
            let now = Instant::now();
            if sign == Sign::Well {
                inner.well_at = Some(now);
            }
            inner.health.met(sign, now, why);
        });
    }

    /// What was taken and not begun comes back to the router.
    pub(super) fn give_back(&self, held: Held) {
        self.inner().back.push(held);
        self.room.notify_one();
    }

    /// What is to be routed anew.
    pub(super) fn came_back(&self) -> Vec<Held> {
        mem::take(&mut self.inner().back)
    }

    // Said once each way, not by each connection at each try.
    fn change(&self, change: impl FnOnce(&mut Inner)) {
        let mut inner = self.inner();
        let before = (inner.health.is_up(), inner.health.next_try());
        change(&mut inner);
        let after = (inner.health.is_up(), inner.health.next_try());
        if before == after {
            return;
        }
        inner.trial_given = false;
        if after.1.is_some() {
            // Nothing waits for a relay that is out.
            let waiting: Vec<Held> = {
                let inner = &mut *inner;
                inner.urgent.drain(..).chain(inner.others.drain(..)).collect()
            };
            inner.back.extend(waiting);
        }
        let trouble = inner.health.trouble().cloned();
        drop(inner);
        match (before.0, trouble) {
            (true, Some(trouble)) => tracing::error!(relay = self.outlet.name, "{}: it is tried again until it answers", trouble.why),
            (false, None) => tracing::info!(relay = self.outlet.name, "the relay answers again"),
            _ => {}
        }
        metrics::gauge!("tidings_relay_up", "relay" => self.outlet.name.clone()).set(f64::from(u8::from(after.0)));
        self.news.notify_waiters();
        self.room.notify_one();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder panics")
    }
}

fn standing(inner: &Inner) -> Standing {
    match (inner.health.is_up(), inner.health.is_on_trial() && !inner.trial_given) {
        (true, _) => Standing::Up,
        (false, true) => Standing::Trial,
        (false, false) => Standing::Out,
    }
}
