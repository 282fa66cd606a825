//! A schedule's acts done to Postgres through the domain's functions, and what is there after each.

use jiff::{SignedDuration, Timestamp};
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tidings::waitlist::opening::{self, NewOpening};
use tidings::waitlist::program::{self, Particulars};
use tidings::waitlist::states::AfterExpiry;
use tidings::waitlist::{WaitlistError, entry, line, offer};

use super::acts::{Act, Opens, PEOPLE, Post};
use crate::waitlist::stage::{Stage, new_opening, no_such_mailbox, particulars, put_off, refused, unanswered};

/// The people of one schedule, a program of their own.
pub(super) struct Real<'a> {
    stage: &'a Stage,
    slug: String,
    program_id: i64,
    people: Vec<i64>,
}

impl Real<'_> {
    pub(super) async fn new(stage: &Stage, number: usize, policy: AfterExpiry) -> Real<'_> {
        let slug = format!("program-{number}");
        let terms = Particulars { after_expiry: policy, ..particulars() };
        let program = program::create(&mut *stage.conn().await, &slug, &terms, stage.now()).await.expect("a program");
        let mut people = Vec::new();
        for n in 0..PEOPLE {
            people.push(stage.person(number * 1_000 + n).await);
        }
        Real { stage, slug, program_id: program.id, people }
    }

    async fn open(&self, opens: Opens) {
        let now = self.stage.now();
        let opens_at = now + SignedDuration::from_mins(opens.in_minutes);
        let new = NewOpening {
            seats: opens.seats,
            mode: opens.mode,
            opens_at,
            ends_at: opens.for_hours.map(|hours| opens_at + SignedDuration::from_hours(hours)),
            after_expiry: opens.rule,
            ..new_opening(now)
        };
        let mut conn = self.stage.conn().await;
        let made = opening::create(&mut conn, &self.slug, &new, now).await;
        is_over(conn).await;
        match made {
            // One that would be over when it begins is invalid.
            Ok(_) | Err(WaitlistError::ProgramClosed(_) | WaitlistError::Invalid(_)) => {}
            Err(error) => panic!("an opening: {error}"),
        }
    }

    async fn edit(&self, change: impl FnOnce(&mut Particulars)) {
        let mut conn = self.stage.conn().await;
        let mut particulars = program::find(&mut conn, &self.slug).await.expect("a program").particulars();
        change(&mut particulars);
        program::edit(&mut conn, &self.slug, &particulars, self.stage.now()).await.expect("an edit");
    }

    async fn entry(&self, person: usize) -> i64 {
        let (program_id, subscriber_id) = (self.program_id, self.people[person]);
        let latest =
            format!("SELECT coalesce(max(id), 0) FROM entries WHERE program_id = {program_id} AND subscriber_id = {subscriber_id}");
        self.stage.number(&latest).await
    }

    async fn join(&self, person: usize) {
        let subscriber_id = self.people[person];
        let there = format!("SELECT count(*) FROM subscribers WHERE id = {subscriber_id} AND erased_at IS NULL");
        if self.stage.number(&there).await == 0 {
            return;
        }
        match entry::join(&mut *self.stage.conn().await, self.program_id, subscriber_id, self.stage.now()).await {
            Ok(_) | Err(WaitlistError::ProgramClosed(_)) => {}
            Err(error) => panic!("an entry: {error}"),
        }
    }

    async fn post(&self, post: Post) {
        let (person, ending) = match post {
            Post::Goes => return self.stage.post().await,
            Post::Bounces(p) => (p, no_such_mailbox()),
            Post::Refused(p) => (p, refused()),
            Post::Deferred(p) => (p, put_off(self.stage.now() + SignedDuration::from_mins(5))),
            Post::Unanswered(p) => (p, unanswered()),
        };
        let to_her = self.stage.offer_of(self.entry(person).await).await;
        self.stage.post_with(|offer| if offer == Some(to_her) { ending.clone() } else { Default::default() }).await;
    }

    // Whether an act is refused is seen in what it leaves, which is compared after it.
    pub(super) async fn act(&self, act: &Act) {
        let (stage, now) = (self.stage, self.stage.now());
        let mut conn = stage.conn().await;
        match *act {
            Act::Join(p) => self.join(p).await,
            Act::Open(opens) => self.open(opens).await,
            Act::Seats(by) => drop(opening::change_seats(&mut conn, &self.slug, None, by, now).await),
            Act::CloseOpening => drop(opening::close(&mut conn, &self.slug, None, now).await),
            Act::CloseProgram => program::close(&mut conn, &self.slug, now).await.map(drop).expect("a program"),
            Act::Rule(rule) => self.edit(|terms| terms.after_expiry = rule).await,
            Act::Enrolment(hours) => {
                let end = hours.map(|hours| now + SignedDuration::from_hours(hours));
                self.edit(|terms| terms.enrolment_ends_at = end).await;
            }
            Act::Forget => drop(entry::forget_unconfirmed(&mut conn, now, now).await.expect("entries")),
            Act::Advance => opening::advance(&mut conn, self.program_id, now).await.map(drop).expect("an advance"),
            Act::Wait(minutes) => stage.app.wait(SignedDuration::from_mins(minutes)),
            Act::Post(post) => self.post(post).await,
            Act::Suppress(p) | Act::Lift(p) | Act::Erase(p) => self.stop(act, p, self.entry(p).await).await,
            Act::Accept(p) | Act::Decline(p) | Act::GiveBack(p) | Act::Revoke(p) => {
                self.answer(act, stage.offer_of(self.entry(p).await).await, now).await;
            }
            Act::Confirm(p) | Act::Withdraw(p) | Act::Remove(p) | Act::Readmit(p) | Act::Prioritise(p, _) | Act::Give(p) => {
                self.move_entry(act, self.entry(p).await, now).await;
            }
        }
        is_over(conn).await;
    }

    async fn answer(&self, act: &Act, offer_id: i64, now: Timestamp) {
        if offer_id == 0 {
            return;
        }
        let mut conn = self.stage.conn().await;
        match act {
            Act::Accept(_) => offer::accept(&mut conn, offer_id, now).await.map(drop).expect("an answer"),
            Act::Decline(_) => offer::decline(&mut conn, offer_id, now).await.map(drop).expect("an answer"),
            Act::GiveBack(_) => offer::give_back(&mut conn, offer_id, now).await.map(drop).expect("an answer"),
            _ => drop(offer::revoke(&mut conn, offer_id, "a test", now).await),
        }
        is_over(conn).await;
    }

    async fn move_entry(&self, act: &Act, entry_id: i64, now: Timestamp) {
        if entry_id == 0 {
            return;
        }
        let mut conn = self.stage.conn().await;
        match *act {
            Act::Confirm(_) => entry::confirm(&mut conn, entry_id, now).await.map(drop).expect("an answer"),
            Act::Withdraw(_) => entry::withdraw(&mut conn, entry_id, now).await.map(drop).expect("an answer"),
            Act::Remove(_) => entry::remove(&mut conn, entry_id, "a test", now).await.map(drop).expect("an answer"),
            Act::Readmit(_) => entry::readmit(&mut conn, entry_id, "a test", now).await.map(drop).expect("an answer"),
            Act::Prioritise(_, priority) => drop(entry::prioritise(&mut conn, entry_id, priority, "a test", now).await),
            _ => drop(offer::give(&mut conn, &self.slug, None, entry_id, "a test", now).await),
        }
        is_over(conn).await;
    }

    async fn stop(&self, act: &Act, person: usize, entry_id: i64) {
        let (stage, subscriber_id) = (self.stage, self.people[person]);
        let stands = format!("SELECT count(*) FROM suppressions WHERE subscriber_id = {subscriber_id} AND lifted_at IS NULL");
        match act {
            _ if entry_id == 0 => {}
            Act::Suppress(_) if stage.number(&stands).await > 0 => {}
            Act::Suppress(_) => stage.suppress(entry_id).await,
            Act::Lift(_) => stage.lift(entry_id).await,
            _ => {
                entry::on_erased(&mut *stage.conn().await, subscriber_id, stage.now()).await.expect("an erasure");
                let blank =
                    format!("UPDATE subscribers SET address = NULL, address_key = NULL, erased_at = now() WHERE id = {subscriber_id}");
                stage.run(&blank).await.expect("an erasure");
            }
        }
    }

    pub(super) async fn state(&self) -> String {
        let (id, people) = (self.program_id, &self.people);
        let read = format!(
            "SELECT coalesce(string_agg(line, E'\\n' ORDER BY kind, n), '') FROM (
                SELECT 1 AS kind, o.number::bigint AS n, format('opening %s: %s, %s seats', o.number, o.state, o.seats) AS line
                FROM openings o WHERE o.program_id = {id}
                UNION ALL SELECT 2, e.id, format('entry of %s: %s, priority %s, since %s, misses %s, %s', array_position(ARRAY{people:?}::bigint[], e.subscriber_id) - 1,
                    e.state, e.priority, (extract(epoch FROM e.joined_at) * 1000000)::bigint, e.misses, coalesce(e.barred, 'free'))
                FROM entries e WHERE e.program_id = {id}
                UNION ALL SELECT 3, f.id, format('offer to %s in %s: %s%s, %s, rank %s, mail %s (%s), passed over %s: %s',
                    array_position(ARRAY{people:?}::bigint[], e.subscriber_id) - 1, o.number,
                    f.state, CASE WHEN f.given_back_at IS NOT NULL THEN ' and given back' ELSE '' END, coalesce(split_part(f.reason, ':', 1), '-'), f.rank,
                    d.state, (SELECT string_agg(t.kind, ' ' ORDER BY t.kind) FROM transactional t WHERE t.owner = 'offer:' || f.id), f.passed_over_in_all,
                    (SELECT string_agg(format('%s %s', array_position(ARRAY{people:?}::bigint[], pe.subscriber_id) - 1, p.who->>'why'), ', ' ORDER BY p.n)
                        FROM jsonb_array_elements(f.passed_over) WITH ORDINALITY p (who, n) JOIN entries pe ON pe.id = (p.who->>'entry')::bigint))
                FROM offers f JOIN entries e ON e.id = f.entry_id JOIN openings o ON o.id = f.opening_id
                JOIN transactional m ON m.owner = 'offer:' || f.id AND m.kind = 'offer' JOIN deliveries d ON d.period = m.period AND d.id = m.delivery_id
                WHERE f.program_id = {id}) l"
        );
        let state = self.stage.text(&read).await;
        let waiting = format!(
            "SELECT id FROM entries WHERE program_id = {id} AND state = 'waiting' ORDER BY array_position(ARRAY{people:?}::bigint[], subscriber_id)"
        );
        let mut places = Vec::new();
        let waiting = self.stage.numbers(&waiting).await;
        let mut conn = self.stage.conn().await;
        for entry_id in waiting {
            places.push(line::place(&mut conn, entry_id).await.expect("a place").expect("she waits").to_string());
        }
        format!("{state}\nthose who wait stand at {}", places.join(" "))
    }

    /// No act leaves more seats taken than there are, unless they were taken away; `reduced` says of which openings.
    pub(super) async fn assert_within_seats(&self, reduced: &[i32]) -> Result<(), String> {
        let over = format!(
            "SELECT count(*) FROM openings o WHERE program_id = {} AND number <> ALL (ARRAY{reduced:?}::integer[]) AND seats < (SELECT count(*) FROM offers f
            WHERE f.opening_id = o.id AND f.given_back_at IS NULL AND (f.state = 'accepted' OR f.state = 'open' AND f.reserving))",
            self.program_id
        );
        match self.stage.number(&over).await {
            0 => Ok(()),
            _ => Err("more seats are taken than there are, and none were taken away".to_owned()),
        }
    }
}

// What a refused act holds is given up when its connection is used again; until then the post passes over it.
async fn is_over(mut conn: PoolConnection<Postgres>) {
    sqlx::query("SELECT").execute(&mut *conn).await.expect("an answer");
}
