//! Whether a relay is fit to be given mail: up, out, or on trial after it was out.
//!
//! Pure; time is passed in. Each [`super::lane::Lane`] holds one, and its connections tell it what they met.

use std::time::Duration;
use tokio::time::Instant;

/// Results that are remembered.
const REMEMBERED: u32 = 50;
/// Fewer say nothing.
const LEAST: u32 = 20;
/// Waits between two tries of a relay that is out: doubled from the first to the last.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_secs(60);

/// What an answer says of the relay that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It works, whatever it said of this one mail.
    Well,
    /// It broke off, sent us away, or said that it cannot take any mail now.
    Unwell,
}

/// Why a relay is out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// In a sentence.
    pub(super) why: String,
    /// It refused our login: an operator has to act.
    pub(super) refused_us: bool,
}

/// When a relay that is out is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextTry {
    /// Then.
    At(Instant),
    /// Somebody does so now.
    UnderWay,
}

/// Up, out or on trial.
#[derive(Debug)]
pub(super) struct Health {
    standing: Standing,
    /// The last results, the newest in the lowest bit; 1: unwell.
    recent: u64,
    results: u32,
    wait: Duration,
}

#[derive(Debug)]
enum Standing {
    Up,
    Out {
        trouble: Trouble,
        again_at: Instant,
        trying: bool,
        by_rate: bool,
    },
    /// It lets itself be connected to again; one mail shows whether it takes any.
    Trial {
        trouble: Trouble,
    },
}

impl Health {
    /// A relay is taken to be up until it shows otherwise.
    pub(super) fn new() -> Self {
        Self { standing: Standing::Up, recent: 0, results: 0, wait: FIRST_WAIT }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.standing, Standing::Up)
    }

    pub(super) fn is_on_trial(&self) -> bool {
        matches!(self.standing, Standing::Trial { .. })
    }

    /// What is wrong with it; none when it is up.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        match &self.standing {
            Standing::Up => None,
            Standing::Out { trouble, .. } | Standing::Trial { trouble } => Some(trouble),
        }
    }

    /// When it is tried next; none unless it is out.
    pub(super) fn next_try(&self) -> Option<NextTry> {
        match &self.standing {
            Standing::Out { trying: true, .. } => Some(NextTry::UnderWay),
            Standing::Out { again_at, .. } => Some(NextTry::At(*again_at)),
            _ => None,
        }
    }

    /// Whether the caller is to try it now; nobody else is before it says what came of it.
    pub(super) fn try_now(&mut self, now: Instant) -> bool {
        match &mut self.standing {
            Standing::Out { again_at, trying, .. } if !*trying && *again_at <= now => {
                *trying = true;
                true
            }
            _ => false,
        }
    }

    /// It could not be connected to while it served nobody else.
    pub(super) fn cannot_connect(&mut self, trouble: Trouble, now: Instant) {
        let by_rate = match &self.standing {
            // Several connections may find out at once.
            Standing::Out { trying: false, .. } => return,
            Standing::Out { by_rate, .. } => *by_rate,
            Standing::Trial { .. } | Standing::Up => false,
        };
        self.go_out(trouble, by_rate, now);
    }

    /// The try found it: up, or on trial where it was out for what it said to mails.
    pub(super) fn connected(&mut self) {
        if let Standing::Out { trouble, trying: true, by_rate, .. } = &self.standing {
            match by_rate {
                true => self.standing = Standing::Trial { trouble: trouble.clone() },
                false => self.come_up(),
            }
        }
    }

    /// What came of a mail; `why` says what is wrong with the relay, when this is what takes it out.
    pub(super) fn met(&mut self, sign: Sign, now: Instant, why: impl FnOnce(u32, u32) -> String) {
        match (&self.standing, sign) {
            (Standing::Out { .. }, _) => {}
            (Standing::Trial { .. }, Sign::Well) => self.come_up(),
            (Standing::Trial { trouble }, Sign::Unwell) => self.go_out(trouble.clone(), true, now),
            (Standing::Up, _) => {
                self.recent = self.recent << 1 | u64::from(sign == Sign::Unwell);
                self.results = (self.results + 1).min(REMEMBERED);
                let unwell = (self.recent & ((1 << self.results) - 1)).count_ones();
                if self.results >= LEAST && unwell * 2 >= self.results {
                    let trouble = Trouble { why: why(unwell, self.results), refused_us: false };
                    self.go_out(trouble, true, now);
                } else if sign == Sign::Well {
                    self.wait = FIRST_WAIT;
                }
            }
        }
    }

    fn go_out(&mut self, trouble: Trouble, by_rate: bool, now: Instant) {
        self.standing = Standing::Out { trouble, again_at: now + self.wait, trying: false, by_rate };
        self.wait = (self.wait * 2).min(LAST_WAIT);
        (self.recent, self.results) = (0, 0);
    }

    fn come_up(&mut self) {
        self.standing = Standing::Up;
        (self.recent, self.results) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(unwell: u32, of: u32) -> String {
        format!("{unwell} of {of}")
    }

    fn refusal() -> Trouble {
        Trouble { why: "cannot be reached".to_owned(), refused_us: false }
    }

    fn again_at(health: &Health) -> Instant {
        match health.next_try() {
            Some(NextTry::At(at)) => at,
            other => panic!("it is out and waits: {other:?}"),
        }
    }

    #[tokio::test]
    async fn a_relay_is_out_when_half_of_its_answers_say_so_and_not_before_twenty() {
        let now = Instant::now();
        let mut health = Health::new();
        for _ in 0..19 {
            health.met(Sign::Unwell, now, words);
            assert!(health.is_up());
        }
        health.met(Sign::Unwell, now, words);
        assert_eq!(health.trouble().map(|trouble| trouble.why.as_str()), Some("20 of 20"));
        let mut mixed = Health::new();
        (0..500).for_each(|i| mixed.met(if i % 5 < 3 { Sign::Well } else { Sign::Unwell }, now, words));
        assert!(mixed.is_up(), "two in five are no reason");
        (0..25).for_each(|_| mixed.met(Sign::Unwell, now, words));
        assert!(!mixed.is_up(), "the last fifty count");
    }

    #[tokio::test]
    async fn one_tries_and_the_waits_double_up_to_a_minute() {
        let mut now = Instant::now();
        let mut health = Health::new();
        health.cannot_connect(refusal(), now);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let again = again_at(&health);
            waits.push((again - now).as_secs());
            assert!(!health.try_now(now), "not before its time");
            now = again;
            assert!(health.try_now(now) && !health.try_now(now), "one at a time");
            health.cannot_connect(refusal(), now);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        now = again_at(&health);
        assert!(health.try_now(now));
        health.connected();
        assert!(health.is_up() && health.trouble().is_none());
        health.met(Sign::Well, now, words);
        health.cannot_connect(refusal(), now);
        assert_eq!(again_at(&health), now + FIRST_WAIT, "a mail that it took begins the waits anew");
    }

    #[tokio::test]
    async fn what_was_out_for_its_answers_shows_with_one_mail_that_it_is_well() {
        let now = Instant::now();
        let mut health = Health::new();
        (0..20).for_each(|_| health.met(Sign::Unwell, now, words));
        let tried = |health: &mut Health, sign| {
            let at = again_at(health);
            assert!(health.try_now(at));
            health.connected();
            assert!(health.is_on_trial() && !health.is_up());
            health.met(sign, at, words);
        };
        tried(&mut health, Sign::Unwell);
        again_at(&health);
        tried(&mut health, Sign::Well);
        assert!(health.is_up());
    }
}
