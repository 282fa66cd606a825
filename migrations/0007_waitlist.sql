-- Programs that fill up: openings with seats, the line of those who wait, and the offers that hold seats for them.
--
-- What a constraint can hold stands here; the rest is done while all openings of the program are locked, lowest id first,
-- before anything else of it (waitlist/store.rs, `hold`).

CREATE TABLE programs (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slug               text NOT NULL CONSTRAINT programs_slug_key UNIQUE CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(slug) <= 60),
    name               text NOT NULL CHECK (name <> ''),
    description        text NOT NULL DEFAULT '',
    state              text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
    -- What becomes of someone who let her offer run out: to the back of the line, her place kept, or out after so many.
    after_expiry       text NOT NULL DEFAULT 'back' CHECK (after_expiry ~ '^(back|keep|out:[1-9][0-9]?)$'),
    next_text          text NOT NULL DEFAULT '',    -- told to whoever accepted a seat
    next_link          text,
    enrolment_ends_at  timestamptz,
    starts_at          timestamptz,
    created_at         timestamptz NOT NULL,
    closed_at          timestamptz,
    CONSTRAINT programs_closed CHECK ((state = 'closed') = (closed_at IS NOT NULL))
);

CREATE TABLE openings (
    id                     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    program_id             bigint NOT NULL REFERENCES programs,
    number                 integer NOT NULL CHECK (number > 0),
    -- offers: a seat is held for each; notify-all: everyone is told at once; last-call: offers that hold no seat, first come.
    mode                   text NOT NULL CHECK (mode IN ('offers', 'notify-all', 'last-call')),
    seats                  integer NOT NULL CHECK (seats >= 0),
    state                  text NOT NULL DEFAULT 'scheduled' CHECK (state IN ('scheduled', 'open', 'full', 'closed')),
    opens_at               timestamptz NOT NULL,
    ends_at                timestamptz,
    zone                   text NOT NULL,
    offer_for_seconds      integer NOT NULL CHECK (offer_for_seconds >= 60),
    remind_before_seconds  integer NOT NULL CHECK (remind_before_seconds >= 0),   -- 0: no reminder
    after_expiry           text CHECK (after_expiry ~ '^(back|keep|out:[1-9][0-9]?)$'),    -- null: the program's
    created_at             timestamptz NOT NULL,
    closed_at              timestamptz,
    closed_because         text,
    filled_at              timestamptz,        -- when every seat was accepted for the first time
    CONSTRAINT openings_program_number_key UNIQUE (program_id, number),
    CONSTRAINT openings_program_id_key UNIQUE (program_id, id),
    CONSTRAINT openings_ends_after_it_opens CHECK (ends_at > opens_at),
    CONSTRAINT openings_closed CHECK ((state = 'closed') = (closed_at IS NOT NULL) AND (closed_at IS NULL) = (closed_because IS NULL))
);
CREATE INDEX openings_to_tend ON openings (program_id) WHERE state <> 'closed';

CREATE TABLE entries (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    program_id     bigint NOT NULL REFERENCES programs,
    subscriber_id  bigint NOT NULL REFERENCES subscribers,
    state          text NOT NULL CHECK (state IN ('unconfirmed', 'waiting', 'offered', 'seated', 'withdrawn', 'removed')),
    priority       smallint NOT NULL DEFAULT 0 CHECK (priority BETWEEN -1000 AND 1000),     -- the higher goes first
    asked_at       timestamptz NOT NULL,            -- the first request
    joined_at      timestamptz NOT NULL,            -- her place: the first request, or when she went to the back of the line
    confirmed_at   timestamptz,
    misses         smallint NOT NULL DEFAULT 0,     -- offers that she let run out
    -- Why she is offered nothing although she waits; a suppression is looked up where it stands.
    barred         text CHECK (barred IN ('undeliverable', 'not sent', 'revoked')),
    barred_at      timestamptz,
    barred_in      bigint REFERENCES openings,
    closed_at      timestamptz,
    CONSTRAINT entries_program_id_key UNIQUE (program_id, id),
    CONSTRAINT entries_confirmed CHECK (state NOT IN ('waiting', 'offered', 'seated') OR confirmed_at IS NOT NULL),
    CONSTRAINT entries_closed CHECK ((state IN ('withdrawn', 'removed')) = (closed_at IS NOT NULL)),
    CONSTRAINT entries_barred CHECK ((barred IS NULL) = (barred_at IS NULL) AND (barred IS NULL) = (barred_in IS NULL)),
    CONSTRAINT entries_barred_waits CHECK (barred IS NULL OR state = 'waiting')
);
CREATE UNIQUE INDEX entries_live_key ON entries (program_id, subscriber_id) WHERE state IN ('unconfirmed', 'waiting', 'offered', 'seated');
-- The line in its order, so that whoever stands before somebody is one range.
CREATE INDEX entries_line ON entries (program_id, (-priority), joined_at, id) WHERE state = 'waiting';
CREATE INDEX entries_unconfirmed ON entries (program_id, (-priority), joined_at, id) WHERE state = 'unconfirmed';
CREATE INDEX entries_joined ON entries (program_id, joined_at);
CREATE INDEX entries_subscriber ON entries (subscriber_id);
CREATE INDEX entries_not_sent ON entries (barred_in) WHERE barred = 'not sent';
-- Whoever is out of the line stays in this table, and the line is counted by what is done to single rows.
CREATE FUNCTION entries_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'entries are ended, never deleted' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER entries_stay BEFORE DELETE OR TRUNCATE ON entries FOR EACH STATEMENT EXECUTE FUNCTION entries_stay();

CREATE TABLE offers (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    program_id          bigint NOT NULL,
    opening_id          bigint NOT NULL,
    entry_id            bigint NOT NULL,
    state               text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'accepted', 'declined', 'expired', 'revoked')),
    reserving           boolean NOT NULL,       -- holds a seat while it is open: not in a last call
    by_hand             boolean NOT NULL,
    offered_at          timestamptz NOT NULL,
    rank                integer NOT NULL CHECK (rank > 0),      -- her place in the line when it was made
    passed_over         jsonb NOT NULL,         -- the first of those before her who got none, each with why
    passed_over_in_all  integer NOT NULL CHECK (passed_over_in_all >= 0),
    closed_at           timestamptz,
    reason              text,
    given_back_at       timestamptz,            -- an accepted seat that is free again
    CONSTRAINT offers_opening_fkey FOREIGN KEY (program_id, opening_id) REFERENCES openings (program_id, id),
    CONSTRAINT offers_entry_fkey FOREIGN KEY (program_id, entry_id) REFERENCES entries (program_id, id),
    CONSTRAINT offers_closed CHECK ((state = 'open') = (closed_at IS NULL)),
    CONSTRAINT offers_given_back CHECK (given_back_at IS NULL OR state = 'accepted'),
    CONSTRAINT offers_revoked_because CHECK (state <> 'revoked' OR reason IS NOT NULL)
);
CREATE UNIQUE INDEX offers_open_key ON offers (entry_id) WHERE state = 'open';
CREATE UNIQUE INDEX offers_seat_key ON offers (entry_id) WHERE state = 'accepted' AND given_back_at IS NULL;
CREATE INDEX offers_open ON offers (program_id) WHERE state = 'open';
CREATE INDEX offers_opening ON offers (opening_id, state);
CREATE INDEX offers_taken ON offers (opening_id) WHERE given_back_at IS NULL AND (state = 'accepted' OR state = 'open' AND reserving);
CREATE INDEX offers_ended ON offers (opening_id, closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX offers_entry ON offers (entry_id, opening_id);

-- What happened to an entry, by whom and why.
CREATE TABLE entry_events (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entry_id  bigint NOT NULL REFERENCES entries,
    offer_id  bigint REFERENCES offers,
    at        timestamptz NOT NULL,
    what      text NOT NULL CHECK (what IN ('joined', 'confirmed', 'offered', 'accepted', 'declined', 'given_back', 'expired', 'revoked',
                  'withdrawn', 'removed', 'prioritised', 'readmitted')),
    by        text NOT NULL CHECK (by IN ('person', 'operator', 'rule')),
    reason    text,
    priority  smallint,
    CONSTRAINT entry_events_prioritised CHECK ((what = 'prioritised') = (priority IS NOT NULL) AND (what <> 'prioritised' OR reason IS NOT NULL))
);
CREATE INDEX entry_events_entry ON entry_events (entry_id);
CREATE TRIGGER entry_events_append_only BEFORE UPDATE OR DELETE ON entry_events
    FOR EACH ROW WHEN (current_setting('tidings.erasing', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION refuse_change();

-- An offer that was closed is history: only an accepted seat can still be given back, once, and an erasure takes words out of a reason.
CREATE FUNCTION offers_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('tidings.erasing', true) = 'on' AND (to_jsonb(OLD) - 'reason') = (to_jsonb(NEW) - 'reason') THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND (OLD.state = 'open' OR (OLD.state = 'accepted' AND OLD.given_back_at IS NULL AND NEW.given_back_at IS NOT NULL))
        AND (to_jsonb(OLD) - ARRAY['state', 'closed_at', 'reason', 'given_back_at']) = (to_jsonb(NEW) - ARRAY['state', 'closed_at', 'reason', 'given_back_at'])
        AND (OLD.state = 'open' OR (NEW.state, NEW.closed_at, NEW.reason) IS NOT DISTINCT FROM (OLD.state, OLD.closed_at, OLD.reason)) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'offer % is history', OLD.id USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER offers_history BEFORE UPDATE OR DELETE ON offers FOR EACH ROW EXECUTE FUNCTION offers_history();

-- No offer and no acceptance raises the seats that are taken above the seats that there are. The lock sees to it; this is
-- for a statement that came past the lock. (Fewer seats leave more taken than there are: nothing is raised by that.)
CREATE FUNCTION offers_within_seats() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM (SELECT DISTINCT opening_id FROM added WHERE reserving OR state = 'accepted') a JOIN openings o ON o.id = a.opening_id
               WHERE o.seats < (SELECT count(*) FROM offers f WHERE f.opening_id = o.id AND f.given_back_at IS NULL
                    AND (f.state = 'accepted' OR f.state = 'open' AND f.reserving))) THEN
        RAISE EXCEPTION 'more seats would be taken than there are' USING ERRCODE = 'check_violation', CONSTRAINT = 'offers_within_seats';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER offers_within_seats AFTER INSERT ON offers
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION offers_within_seats();
CREATE FUNCTION last_call_within_seats() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT seats FROM openings WHERE id = NEW.opening_id)
        < (SELECT count(*) FROM offers WHERE opening_id = NEW.opening_id AND state = 'accepted' AND given_back_at IS NULL) THEN
        RAISE EXCEPTION 'more seats would be taken than there are' USING ERRCODE = 'check_violation', CONSTRAINT = 'offers_within_seats';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER last_call_within_seats AFTER UPDATE OF state ON offers FOR EACH ROW
    WHEN (NEW.state = 'accepted' AND OLD.state = 'open' AND NOT NEW.reserving) EXECUTE FUNCTION last_call_within_seats();

-- How many wait, by priority and by the hour in which they joined: a place in a line of 100,000 is a sum of some hundreds.
CREATE TABLE line_counts (
    program_id  bigint NOT NULL,
    priority    smallint NOT NULL,
    hour        timestamptz NOT NULL,
    waiting     bigint NOT NULL CHECK (waiting >= 0),
    CONSTRAINT line_counts_key PRIMARY KEY (program_id, priority, hour)
) WITH (fillfactor = 50);

CREATE FUNCTION joining_hour(joined_at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS
    $$ SELECT to_timestamp(floor(extract(epoch FROM joined_at) / 3600) * 3600) $$;

CREATE FUNCTION count_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO line_counts AS l (program_id, priority, hour, waiting)
        SELECT program_id, priority, joining_hour(joined_at), count(*) FROM now_so WHERE state = 'waiting' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (program_id, priority, hour) DO UPDATE SET waiting = l.waiting + excluded.waiting;
        RETURN NULL;
    END IF;
    -- More and fewer apart: a row of an INSERT must not be negative, not even where it is only to be added.
    INSERT INTO line_counts AS l (program_id, priority, hour, waiting)
    SELECT program_id, priority, joining_hour(joined_at), 0 FROM now_so WHERE state = 'waiting' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT DO NOTHING;
    UPDATE line_counts l SET waiting = l.waiting + change.by FROM (
        SELECT program_id, priority, hour, sum(n) AS by FROM (
            SELECT program_id, priority, joining_hour(joined_at) AS hour, 1 AS n FROM now_so WHERE state = 'waiting'
            UNION ALL SELECT program_id, priority, joining_hour(joined_at), -1 FROM was_so WHERE state = 'waiting') both_sides
        GROUP BY 1, 2, 3 HAVING sum(n) <> 0) change
    WHERE l.program_id = change.program_id AND l.priority = change.priority AND l.hour = change.hour;
    RETURN NULL;
END $$;
CREATE TRIGGER entries_counted_in AFTER INSERT ON entries REFERENCING NEW TABLE AS now_so FOR EACH STATEMENT EXECUTE FUNCTION count_line();
CREATE TRIGGER entries_counted AFTER UPDATE ON entries
    REFERENCING OLD TABLE AS was_so NEW TABLE AS now_so FOR EACH STATEMENT EXECUTE FUNCTION count_line();

-- The clock of each offer. It starts when the mail is handed over, is never written down, and ends with the enrolment.
--
-- Each mail is looked up by itself (LIMIT 1): joined as a whole, ten thousand open offers had the planner read all deliveries.
CREATE VIEW offer_terms AS
SELECT f.id AS offer_id, f.program_id, f.opening_id, f.entry_id, e.subscriber_id, f.state, f.reserving, f.offered_at, t.handed_over_at, u.ends_at,
    CASE WHEN t.handed_over_at IS NOT NULL THEN v.lapses_at END AS expires_at,
    -- From when on it holds no longer, swept or not: unsent after a day, run out, or undone by what stands against it.
    CASE WHEN w.undeliverable IS NOT NULL OR x.suppressed IS NOT NULL THEN '-infinity' ELSE v.lapses_at END AS over_at,
    -- And what it is then. A mail that was never taken by a relay is not held against her.
    CASE WHEN x.suppressed IS NULL AND w.undeliverable IS NULL AND t.handed_over_at IS NOT NULL
            AND (d.state NOT IN ('queued', 'claimed', 'deferred', 'skipped') OR d.repeated_at IS NOT NULL) IS NOT FALSE
        THEN 'expired' ELSE 'revoked' END AS then,
    w.undeliverable, x.suppressed,
    -- Whether it is the address that the relay refused, and not us, our mail, or this hour: no such mailbox or domain, or a closed one.
    w.undeliverable IS NOT NULL AND d.reply_code >= 500 AND d.enhanced_code IN ('5.1.1', '5.1.2', '5.1.3', '5.1.10', '5.2.1') IS TRUE AS no_address,
    (SELECT true FROM transactional r WHERE r.owner = 'offer:' || f.id AND r.kind = 'offer_reminder' LIMIT 1) AS reminded
FROM offers f
JOIN openings o ON o.id = f.opening_id
JOIN programs p ON p.id = f.program_id
JOIN entries e ON e.id = f.entry_id
LEFT JOIN LATERAL (SELECT m.period, m.delivery_id, m.handed_over_at FROM transactional m WHERE m.owner = 'offer:' || f.id AND m.kind = 'offer' LIMIT 1) t ON true
LEFT JOIN LATERAL (SELECT m.state, m.reason, m.repeated_at, m.reply_code, m.enhanced_code FROM deliveries m
    WHERE m.period = t.period AND m.id = t.delivery_id LIMIT 1) d ON true
CROSS JOIN LATERAL (SELECT least(o.ends_at, p.enrolment_ends_at, p.starts_at) AS ends_at) u
CROSS JOIN LATERAL (SELECT least(u.ends_at, CASE WHEN t.handed_over_at IS NULL THEN f.offered_at + interval '24 hours'
    ELSE t.handed_over_at + make_interval(secs => o.offer_for_seconds) END) AS lapses_at) v
-- An unconfirmed hand-over counts, and goes on counting while the mail is sent once more, unless an operator knows better. One
-- that came too late to be handed over is unsent, whether or not a claim has met it since.
CROSS JOIN LATERAL (SELECT CASE WHEN d.state IN ('failed', 'skipped', 'cancelled') AND d.reason IS DISTINCT FROM 'expired'
    AND (d.repeated_at IS NULL OR d.reply_code >= 500 OR d.reason = 'failed by an operator''s word') THEN coalesce(d.reason, d.state) END AS undeliverable) w
LEFT JOIN LATERAL (SELECT s.kind AS suppressed FROM suppressions s WHERE s.subscriber_id = e.subscriber_id AND s.lifted_at IS NULL
    ORDER BY s.id LIMIT 1) x ON true;

-- When the relay last took the mail of an offer of an opening, later than `since`; null: never.
CREATE FUNCTION offer_mail_taken_at(opening bigint, since timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT max(t.handed_over_at) FROM offers f
    CROSS JOIN LATERAL (SELECT m.period, m.delivery_id, m.handed_over_at FROM transactional m WHERE m.owner = 'offer:' || f.id AND m.kind = 'offer' LIMIT 1) t
    CROSS JOIN LATERAL (SELECT m.state, m.repeated_at FROM deliveries m WHERE m.period = t.period AND m.id = t.delivery_id LIMIT 1) d
    WHERE f.opening_id = opening AND (f.closed_at IS NULL OR f.closed_at > since) AND t.handed_over_at > since
        AND (d.state IN ('sent', 'unconfirmed') OR d.repeated_at IS NOT NULL AND d.state IN ('queued', 'claimed', 'handing_over', 'deferred'))
$$;

-- Those to whom nothing is offered in an opening because a mail did not leave, until another does; not after three such offers.
CREATE VIEW not_sent AS
SELECT e.id AS entry_id, e.program_id, e.barred_in AS opening_id, e.barred_at
FROM entries e JOIN openings o ON o.id = e.barred_in
WHERE e.barred = 'not sent' AND o.state IN ('open', 'full') AND (SELECT count(*) FROM offers f WHERE f.entry_id = e.id AND f.opening_id = e.barred_in
    AND f.state = 'revoked' AND f.reason LIKE 'undeliverable: %') < 3;

-- Until when an opening offers nothing by itself: its last ten offers all ended because their mails did not leave, and none has
-- left since. Then one is tried, an hour after the one before. Null: it goes on. (One fault of a relay would burn the whole line.)
CREATE FUNCTION opening_halted_until(opening bigint) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN count(*) = 10 AND bool_and(ended.unsent) THEN
        CASE WHEN offer_mail_taken_at(opening, min(ended.closed_at) - interval '1 microsecond') IS NULL THEN
            greatest(max(ended.closed_at), (SELECT max(f.offered_at) FROM offers f WHERE f.opening_id = opening)) + interval '1 hour' END END
    FROM (SELECT f.closed_at, f.state = 'revoked' AND f.reason LIKE 'undeliverable: %' AS unsent FROM offers f
        WHERE f.opening_id = opening AND f.closed_at IS NOT NULL ORDER BY f.closed_at DESC, f.id DESC LIMIT 10) ended
$$;

CREATE INDEX suppressions_lifted ON suppressions (subscriber_id, lifted_at) WHERE lifted_at IS NOT NULL;

-- Everyone in the line of each opening, with why she is passed over; null: a seat can be offered to her.
CREATE VIEW opening_line AS
SELECT o.id AS opening_id, e.program_id, e.id AS entry_id, e.subscriber_id, e.state, e.priority, -e.priority AS turn, e.joined_at,
    CASE
        WHEN e.state = 'unconfirmed' THEN 'unconfirmed'
        WHEN EXISTS (SELECT FROM suppressions s WHERE s.subscriber_id = e.subscriber_id AND s.lifted_at IS NULL) THEN
            (SELECT 'suppressed: ' || s.kind FROM suppressions s WHERE s.subscriber_id = e.subscriber_id AND s.lifted_at IS NULL ORDER BY s.id LIMIT 1)
        WHEN e.barred = 'revoked' THEN 'an operator revoked her offer'
        WHEN e.barred = 'not sent' AND e.barred_in = o.id THEN 'her offer in this opening was not sent'
        -- A suppression that was lifted since was the cause, and is gone.
        WHEN coalesce(e.barred, '') = 'undeliverable' AND NOT EXISTS (
            SELECT FROM suppressions s WHERE s.subscriber_id = e.subscriber_id AND s.lifted_at >= e.barred_at) THEN 'her offer could not be delivered'
        WHEN coalesce(o.after_expiry, p.after_expiry) = 'keep' AND EXISTS (
            SELECT FROM offers f WHERE f.entry_id = e.id AND f.opening_id = o.id AND f.state = 'expired') THEN 'let her offer in this opening run out'
        WHEN o.mode = 'last-call' AND EXISTS (SELECT FROM offers f WHERE f.entry_id = e.id AND f.opening_id = o.id) THEN 'had this last call already'
    END AS passed_over
FROM openings o
JOIN programs p ON p.id = o.program_id
JOIN entries e ON e.program_id = o.program_id
WHERE e.state IN ('unconfirmed', 'waiting');

-- Until when the mail of an offer, or its reminder, holds true: that of an offer that is over or closed is not handed over.
CREATE FUNCTION offer_mail_over_at(mail bigint) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN o.state = 'open' THEN o.over_at ELSE '-infinity' END
    FROM transactional t JOIN offer_terms o ON o.offer_id = CASE WHEN t.owner ~ '^offer:[0-9]+$' THEN substr(t.owner, 7)::bigint END
    WHERE t.delivery_id = mail AND t.kind IN ('offer', 'offer_reminder')
$$;

-- A campaign without a rule goes out once: a broadcast to a topic or to those who wait for a program, and the news of an opening
-- that tells everyone at once, of which there is one for each opening, whoever makes it and however often.
ALTER TABLE campaigns ALTER COLUMN topic_id DROP NOT NULL;
ALTER TABLE campaigns
    ADD COLUMN program_id bigint REFERENCES programs,       -- to those who wait for it
    ADD COLUMN opening_id bigint CONSTRAINT campaigns_opening_key UNIQUE REFERENCES openings,
    ADD COLUMN starts_at timestamptz,                       -- when it goes out
    ADD CONSTRAINT campaigns_one_kind_of_recipients CHECK (num_nonnulls(topic_id, program_id) = 1 AND (kind <> 'weekly' OR topic_id IS NOT NULL)),
    ADD CONSTRAINT campaigns_rule_or_instant CHECK ((kind = 'weekly') = (starts_at IS NULL)),
    ADD CONSTRAINT campaigns_tell_of_an_opening CHECK ((kind = 'opening') = (opening_id IS NOT NULL) AND (opening_id IS NULL OR program_id IS NOT NULL));

-- What such a campaign says, frozen when it is made.
CREATE TABLE broadcasts (
    campaign_id  bigint PRIMARY KEY REFERENCES campaigns,
    subject      text NOT NULL CHECK (char_length(subject) BETWEEN 1 AND 150),
    preheader    text NOT NULL,
    markdown     text NOT NULL CHECK (markdown <> '')
);
CREATE TRIGGER broadcasts_frozen BEFORE UPDATE OR DELETE ON broadcasts FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- The line as it stood when the planning of an edition to a waitlist began: slices follow it, though the line moves meanwhile.
-- Its rows go when the edition is planned; no key to editions, which are never deleted: row by row it would be half of the time.
CREATE TABLE edition_line (
    edition_id     bigint NOT NULL,
    n              bigint NOT NULL,         -- from 1, in the order of the line
    subscriber_id  bigint NOT NULL,
    entry_id       bigint NOT NULL,
    CONSTRAINT edition_line_key PRIMARY KEY (edition_id, n)
);

-- Why a mail of an edition to a waitlist is not sent now: she left it, or what it tells of is over by an operator's word.
CREATE FUNCTION broadcast_refusal(edition bigint, entry bigint) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN (SELECT state FROM entries WHERE id = entry) IN ('withdrawn', 'removed') THEN 'left the waitlist'
        WHEN (SELECT o.state FROM editions e JOIN campaigns c ON c.id = e.campaign_id JOIN openings o ON o.id = c.opening_id WHERE e.id = edition)
            = 'closed' THEN 'the opening is closed'
    END
$$;

-- And from when on, because that is over by the clock.
CREATE FUNCTION broadcast_over_at(edition bigint) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT least(o.ends_at, p.enrolment_ends_at, p.starts_at)
    FROM editions e JOIN campaigns c ON c.id = e.campaign_id JOIN openings o ON o.id = c.opening_id JOIN programs p ON p.id = o.program_id
    WHERE e.id = edition
$$;

-- As before, and from when on what the mail tells is no longer so: claim and mark compare it with their own clock.
CREATE OR REPLACE VIEW delivery_refusals AS
SELECT d.period, d.id, s.paused_until,
    CASE
        WHEN d.basis = 'test' THEN NULL
        WHEN s.erased_at IS NOT NULL THEN 'suppressed: erased'
        WHEN x.kind IS NOT NULL THEN 'suppressed: ' || x.kind
        WHEN d.basis = 'topic' AND p.standing IS DISTINCT FROM 'confirmed' THEN coalesce(p.standing, 'unsubscribed')
        WHEN d.basis = 'waitlist' AND d.edition_id IS NOT NULL THEN broadcast_refusal(d.edition_id, (d.context ->> 'entry')::bigint)
    END AS refusal,
    CASE WHEN d.basis <> 'waitlist' THEN NULL WHEN d.edition_id IS NULL THEN offer_mail_over_at(d.id) ELSE broadcast_over_at(d.edition_id) END AS over_at
FROM deliveries d
LEFT JOIN subscribers s ON s.id = d.subscriber_id
LEFT JOIN subscriptions p ON p.subscriber_id = d.subscriber_id AND p.topic_id = d.topic_id
LEFT JOIN LATERAL (
    SELECT kind FROM suppressions
    WHERE subscriber_id = d.subscriber_id AND lifted_at IS NULL
        AND NOT (d.basis = 'confirmation' AND kind IN ('unsubscribe_all', 'erased'))
    ORDER BY id LIMIT 1
) x ON true;
-- One sign-up asks for topics, for places on waitlists, or for both: one mail asks about all of it.
ALTER TABLE signups ADD COLUMN programs bigint[] NOT NULL DEFAULT '{}';
ALTER TABLE signups ADD CONSTRAINT signups_ask_for_something CHECK (topics <> '{}' OR programs <> '{}');

-- A consent is about one topic, about the waitlist of one program, or, where both are null, about everything.
ALTER TABLE consents ADD COLUMN program_id bigint REFERENCES programs;
ALTER TABLE consents ADD CONSTRAINT consents_about_one CHECK (topic_id IS NULL OR program_id IS NULL);

