//! What the stories under fire begin and end with: a program in a database that real workers share, watchers in that database
//! which judge every commit, and what must be true when all is over.
//!
//! The processes go by the system's clock. Where time is to pass for an offer, its hand-over is put back instead.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tidings::base::clock::{Clock, SystemClock};
use tidings::waitlist::opening::{self, NewOpening};
use tidings::waitlist::program::{self, Particulars};
use tidings::waitlist::report;
use tidings::waitlist::states::AfterExpiry;
use tokio::time::Instant;

use super::stage::{SLUG, new_opening, particulars};
use crate::support::relay::FaultyRelay;
use crate::support::story::Story;

/// A program, its story and the relay that its mails go to.
pub(crate) struct Fire {
    pub(crate) story: Story,
    pub(crate) relay: FaultyRelay,
    pub(crate) program_id: i64,
}

impl Fire {
    /// A program that nobody waits for. Workers look every second, whether or not they are woken.
    pub(crate) async fn new(rule: AfterExpiry, relay: FaultyRelay) -> Fire {
        let mut story = Story::new().await;
        story.app.may_leave_work();
        story.set("TIDINGS_RELAYS__MAIN__URL", &relay.url());
        let mut fire = Fire { story, relay, program_id: 0 };
        fire.begin(rule).await;
        fire
    }

    /// The same in the story's database as it is now.
    pub(crate) async fn begin(&mut self, rule: AfterExpiry) {
        for (key, value) in [("RELAYS__MAIN__CONNECTIONS", "2"), ("DATABASE__CONNECTIONS", "4"), ("DELIVERY__LEASE", "2s")] {
            self.story.set(&format!("TIDINGS_{key}"), value);
        }
        self.story.set("TIDINGS_JOBS__SWEEP", "* * * * * *");
        let terms = Particulars { after_expiry: rule, ..particulars() };
        self.program_id = program::create(&mut *self.story.conn().await, SLUG, &terms, now()).await.expect("a program").id;
        for statement in WATCHERS {
            self.story.tamper(statement).await;
        }
    }

    /// `n` people who wait, in the order of their numbers, which are those of the subscribers.
    pub(crate) async fn people(&self, n: usize) {
        let waits = format!(
            "WITH people AS (INSERT INTO subscribers (address, address_key, created_at)
                SELECT 'person-' || n || '@example.org', 'person-' || n || '@example.org', now() FROM generate_series(1, {n}) n RETURNING id)
            INSERT INTO entries (program_id, subscriber_id, state, asked_at, joined_at, confirmed_at)
            SELECT {}, id, 'waiting', at, at, at FROM people, LATERAL (SELECT now() - interval '1 day' + id * interval '1 second' AS at) a",
            self.program_id
        );
        self.story.tamper(&waits).await;
    }

    /// An opening that begins now. Its offers hold for a minute, the shortest that there is.
    pub(crate) async fn open(&self, seats: i32) {
        let (offer_for, remind_before) = (jiff::SignedDuration::from_secs(60), jiff::SignedDuration::from_secs(20));
        let new = NewOpening { seats, offer_for, remind_before, ..new_opening(now()) };
        opening::create(&mut *self.story.conn().await, SLUG, &new, now()).await.expect("an opening");
    }

    /// Lets so many seconds pass for the offer of an entry, if its mail was handed over.
    pub(crate) async fn pass(&self, entry_id: i64, seconds: i64) {
        let back = format!(
            "UPDATE transactional SET handed_over_at = handed_over_at - interval '{seconds} seconds' WHERE kind = 'offer' AND handed_over_at IS NOT NULL
            AND owner IN (SELECT 'offer:' || id FROM offers WHERE entry_id = {entry_id} AND state = 'open')"
        );
        self.story.tamper(&back).await;
    }

    pub(crate) async fn numbers(&self, statement: &str) -> Vec<i64> {
        sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_all(&mut *self.story.conn().await).await.expect("numbers")
    }

    /// Accepts every offer until the opening is full or nobody is left who can be offered a seat; the workers give the offers.
    pub(crate) async fn fill(&self) {
        let begun = Instant::now();
        loop {
            let open = self.numbers("SELECT id FROM offers WHERE state = 'open' ORDER BY id").await;
            let mut conn = self.story.conn().await;
            for offer_id in &open {
                tidings::waitlist::offer::accept(&mut conn, *offer_id, now()).await.expect("an answer");
            }
            if open.is_empty() && opening::due(&mut conn, now()).await.expect("programs").is_empty() {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "the opening does not fill: {:?}", self.story.texts(STANDING).await);
            // Between two looks at what the workers have offered.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What must be true when nothing is left to do.
    pub(crate) async fn assert_true(&self) {
        assert_eq!(self.story.texts("SELECT what FROM wrongs ORDER BY at").await, [""; 0], "a commit was wrong");
        self.assert_sums().await;
        for (what, statement) in NEVER {
            assert_eq!(self.story.number(statement).await, 0, "{what}");
        }
        self.assert_mails().await;
    }

    async fn assert_sums(&self) {
        let report = report::report(&mut *self.story.conn().await, SLUG, None, now()).await.expect("a report");
        let offers = report.open + report.accepted + report.given_back + report.declined + report.expired + report.revoked;
        assert_eq!((report.offers, report.offers), (offers, self.story.number("SELECT count(*) FROM offers").await), "{report:?}");
        assert_eq!(i64::from(report.opening.seats), report.accepted + report.held + report.free - report.excess, "{report:?}");
        assert!(report.free == 0 || report.waiting == 0, "a seat is free and somebody waits for it: {report:?}");
        assert_eq!(report.open, 0, "everybody answered: {report:?}");
        let told: Value = serde_json::from_str(&self.story.tidings(&["opening", "report", SLUG, "--json"]).await).expect("JSON");
        assert_eq!((told["accepted"].as_i64(), told["offers"].as_i64()), (Some(report.accepted), Some(report.offers)));
    }

    // The relay's log against the ledger: what is sent came once; what is in doubt, twice at most; all else never.
    async fn assert_mails(&self) {
        let mut came: BTreeMap<i64, usize> = BTreeMap::new();
        for (message_id, _) in self.relay.accepted() {
            let id = message_id.split('.').nth(1).and_then(|id| id.parse().ok()).expect("a number");
            *came.entry(id).or_default() += 1;
        }
        let of = |state: &str, more: &str| format!("SELECT id FROM deliveries WHERE state {state} {more}");
        let sent: BTreeSet<i64> = self.numbers(&of("= 'sent'", "")).await.into_iter().collect();
        let in_doubt: BTreeSet<i64> =
            self.numbers("SELECT id FROM deliveries WHERE repeated_at IS NOT NULL OR state = 'unconfirmed'").await.into_iter().collect();
        let twice: Vec<_> = came.iter().filter(|(id, times)| **times > 1 + usize::from(in_doubt.contains(id))).collect();
        assert!(twice.is_empty(), "mails came more often than they may: {twice:?}");
        let missing: Vec<_> = sent.iter().filter(|id| !came.contains_key(id)).collect();
        assert!(missing.is_empty(), "sent, and the relay does not have them: {missing:?}");
        let uncounted: Vec<_> = came.keys().filter(|id| !sent.contains(id) && !in_doubt.contains(id)).collect();
        assert!(uncounted.is_empty(), "the relay has them, and the ledger does not say so: {uncounted:?}");
    }
}

/// The present instant, as the processes see it.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

const STANDING: &str = "SELECT format('%s entries %s', count(*), state) FROM entries GROUP BY state
    UNION ALL SELECT format('%s offers %s', count(*), state) FROM offers GROUP BY state
    UNION ALL SELECT format('opening: %s, %s seats', state, seats) FROM openings";

/// What nothing is to be counted of at the end.
const NEVER: [(&str, &str); 7] = [
    ("an entry is offered a seat if and only if it has an open offer", "SELECT count(*) FROM entries e WHERE (state = 'offered') <> EXISTS (SELECT FROM offers f WHERE f.entry_id = e.id AND f.state = 'open')"),
    (
        "an entry is seated if and only if it has an accepted offer",
        "SELECT count(*) FROM entries e WHERE (state = 'seated') <> EXISTS (SELECT FROM offers f WHERE f.entry_id = e.id AND f.state = 'accepted' AND f.given_back_at IS NULL)",
    ),
    (
        "each offer has its mail, and each that was accepted or ran out another",
        "SELECT count(*) FROM offers f WHERE (SELECT count(*) FROM transactional t WHERE t.owner = 'offer:' || f.id AND t.kind <> 'offer_reminder')
            <> 1 + (f.state IN ('accepted', 'expired'))::integer AND f.reason IS DISTINCT FROM 'the opening was closed'",
    ),
    (
        "each step of an offer is recorded once",
        "SELECT count(*) FROM offers f WHERE (SELECT count(*) FROM entry_events v WHERE v.offer_id = f.id AND v.what IN ('offered', f.state, 'given_back'))
            <> 2 - (f.state = 'open')::integer + (f.given_back_at IS NOT NULL)::integer",
    ),
    ("no mail of an offer that is over waits to be sent", "SELECT count(*) FROM deliveries WHERE template IN ('offer', 'offer_reminder') AND state IN ('queued', 'claimed', 'deferred', 'handing_over')"),
    ("the counts of the line are the line", "SELECT abs((SELECT coalesce(sum(waiting), 0) FROM line_counts) - (SELECT count(*) FROM entries WHERE state = 'waiting'))::bigint"),
    ("a seat that nobody has or may have is free in no opening that says it is full", "SELECT count(*) FROM openings o WHERE (state = 'full') <> (seats <= (SELECT count(*) FROM offers f WHERE f.opening_id = o.id AND f.state = 'accepted' AND f.given_back_at IS NULL))"),
];

/// Tables and triggers that judge each commit apart from the code that is judged.
const WATCHERS: [&str; 7] = [
    "CREATE TABLE wrongs (at timestamptz DEFAULT clock_timestamp(), what text)",
    // Held by each commit in turn; what is counted after that is what stands.
    "CREATE TABLE taken_before (opening_id bigint PRIMARY KEY, taken bigint NOT NULL)",
    "CREATE FUNCTION watch_seats() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE opening bigint := CASE TG_TABLE_NAME WHEN 'openings' THEN to_jsonb(NEW)->>'id' ELSE to_jsonb(NEW)->>'opening_id' END; before bigint; held bigint; has integer;
    BEGIN
        INSERT INTO taken_before VALUES (opening, 0) ON CONFLICT DO NOTHING;
        SELECT taken INTO before FROM taken_before WHERE opening_id = opening FOR UPDATE;
        SELECT count(*) INTO held FROM offers WHERE opening_id = opening AND given_back_at IS NULL AND (state = 'accepted' OR state = 'open' AND reserving);
        SELECT seats INTO has FROM openings WHERE id = opening;
        IF held > has AND held > before THEN
            INSERT INTO wrongs (what) VALUES (format('%s seats taken after %s, of %s', held, before, has));
        END IF;
        UPDATE taken_before SET taken = held WHERE opening_id = opening;
        RETURN NULL;
    END $$",
    "CREATE CONSTRAINT TRIGGER watch_offers AFTER INSERT OR UPDATE ON offers DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION watch_seats()",
    "CREATE CONSTRAINT TRIGGER watch_openings AFTER INSERT OR UPDATE ON openings DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION watch_seats()",
    // Whoever stands before somebody who is offered a seat is offered one too, or is named with a reason that is true.
    "CREATE FUNCTION watch_order() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO wrongs (what)
        SELECT format('entry %s was offered a seat before entry %s, which waits', a.entry_id, b.id)
        FROM added a JOIN entries e ON e.id = a.entry_id
        JOIN entries b ON b.program_id = e.program_id AND b.state = 'waiting' AND (-b.priority, b.joined_at, b.id) < (-e.priority, e.joined_at, e.id)
        -- An offer by hand passes over many, and keeps a hundred of them by name.
        WHERE a.passed_over_in_all <= 100 AND NOT EXISTS (SELECT FROM added other WHERE other.entry_id = b.id)
            AND NOT EXISTS (SELECT FROM jsonb_array_elements(a.passed_over) p WHERE (p->>'entry')::bigint = b.id);
        -- Confirming and lifting hold no lock of the line: who was passed over for these may just have become able.
        INSERT INTO wrongs (what)
        SELECT format('entry %s was passed over: %s, and is: %s', l.entry_id, p->>'why', coalesce(l.passed_over, 'eligible'))
        FROM added a CROSS JOIN jsonb_array_elements(a.passed_over) p
        JOIN opening_line l ON l.opening_id = a.opening_id AND l.program_id = a.program_id AND l.entry_id = (p->>'entry')::bigint
        WHERE NOT a.by_hand AND p->>'why' NOT IN ('unconfirmed', 'her offer could not be delivered', 'became able a moment later') AND p->>'why' NOT LIKE 'suppressed:%' AND l.passed_over IS DISTINCT FROM p->>'why'
            AND coalesce(l.passed_over, '') NOT LIKE 'suppressed:%';
        RETURN NULL;
    END $$",
    "CREATE TRIGGER watch_order AFTER INSERT ON offers REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION watch_order()",
];
