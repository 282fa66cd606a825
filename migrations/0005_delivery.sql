-- The ledger: one row for each person and edition, and what became of it.

-- A running worker process. A lease belongs to it, not to rows; seen_at is written and compared with the database's clock.
CREATE TABLE workers (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,     -- the boot id: a restart is another worker
    name        text NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT now(),
    seen_at     timestamptz NOT NULL DEFAULT now(),
    gone_at     timestamptz             -- ended in order, or found dead; its rows are settled
);
CREATE INDEX workers_present ON workers (seen_at) WHERE gone_at IS NULL;

CREATE TABLE editions (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    period             date NOT NULL CHECK (extract(day FROM period) = 1),
    campaign_id        bigint NOT NULL REFERENCES campaigns,
    occurrence         text NOT NULL,   -- the campaign's local date, or the UTC instant of an edition that an operator ran
    by_operator        boolean NOT NULL DEFAULT false,
    state              text NOT NULL CHECK (state IN ('planning', 'scheduled', 'running', 'held', 'paused', 'finished', 'skipped', 'cancelled')),
    resume_to          text CHECK (resume_to IN ('planning', 'scheduled', 'running')),   -- where held or paused goes back to
    reason             text,
    starts_at          timestamptz NOT NULL,    -- the earliest due_at
    -- Recipients that the filter alone found, counted slice by slice, apart from the rows; planned is its final value.
    counted            bigint NOT NULL DEFAULT 0,
    planned            bigint,
    planned_up_to      bigint NOT NULL DEFAULT 0,   -- the cursor: the last subscriber looked at
    accepted           integer NOT NULL DEFAULT 0,  -- counted up to 20: until then at most 20 are in flight,
    opening            bigint[] NOT NULL DEFAULT '{}',  -- which these are
    late               text NOT NULL CHECK (late IN ('fire', 'skip', 'ask')),
    tolerance_seconds  integer NOT NULL CHECK (tolerance_seconds >= 0),
    deadline_seconds   integer NOT NULL CHECK (deadline_seconds > 0),
    anew_at            timestamptz,     -- release and resume start tolerance and deadline anew from here
    created_at         timestamptz NOT NULL,
    finished_at        timestamptz,
    CONSTRAINT editions_campaign_occurrence_key UNIQUE (campaign_id, occurrence),
    CONSTRAINT editions_id_period_key UNIQUE (id, period),
    CHECK ((state IN ('held', 'paused')) = (resume_to IS NOT NULL)),
    CHECK (state NOT IN ('held', 'paused', 'skipped') OR reason IS NOT NULL),
    CHECK (state <> 'finished' OR planned IS NOT NULL),
    CHECK (planned IS NULL OR planned = counted)
);
CREATE INDEX editions_open ON editions (state, starts_at) WHERE state NOT IN ('finished', 'skipped', 'cancelled');

CREATE SEQUENCE delivery_ids;

CREATE TABLE deliveries (
    period           date NOT NULL,
    id               bigint NOT NULL DEFAULT nextval('delivery_ids'),
    edition_id       bigint,
    subscriber_id    bigint,            -- held by deliveries_belong, as edition_id is
    topic_id         bigint,
    series_id        bigint,
    segment_id       bigint,
    tip_revision_id  bigint,
    due_at           timestamptz NOT NULL,
    -- When a claim may take it: null unless queued or deferred. The claim's index hangs on this column and not on
    -- state, so that of the three updates in a delivery's life only the first touches an index.
    ready_at         timestamptz,
    handing_over_at  timestamptz,       -- the last mark
    finished_at      timestamptz,
    valid_until      timestamptz,
    worker_id        bigint,
    fence            integer NOT NULL DEFAULT 0,    -- counts claims and marks: a write under an older one changes nothing
    attempts         smallint NOT NULL DEFAULT 0,   -- conversations that ended with an answer about this mail, or in doubt
    breaks           smallint NOT NULL DEFAULT 0,   -- conversations that broke off before the body: no attempts
    reply_code       smallint,
    basis            text NOT NULL CHECK (basis IN ('topic', 'confirmation', 'waitlist', 'preferences', 'test')),
    template         text NOT NULL,
    state            text NOT NULL CHECK (state IN ('queued', 'claimed', 'handing_over', 'sent', 'deferred', 'failed', 'skipped', 'unconfirmed', 'cancelled')),
    reason           text,
    reply            text,              -- what the relay said, the recipient blanked
    enhanced_code    text,              -- RFC 3463
    repeated_at      timestamptz,       -- unconfirmed once and queued again: never a second time
    address          text,              -- of a test delivery only
    context          jsonb,             -- frozen, for a transactional delivery
    PRIMARY KEY (period, id),
    CONSTRAINT deliveries_edition_subscriber_key UNIQUE (period, edition_id, subscriber_id),
    CONSTRAINT deliveries_ready CHECK ((state IN ('queued', 'deferred')) = (ready_at IS NOT NULL)),
    CONSTRAINT deliveries_worker CHECK (state NOT IN ('claimed', 'handing_over') OR worker_id IS NOT NULL),
    CONSTRAINT deliveries_marked CHECK (state NOT IN ('handing_over', 'sent', 'unconfirmed') OR handing_over_at IS NOT NULL),
    CONSTRAINT deliveries_not_in_silence CHECK (state NOT IN ('deferred', 'failed', 'skipped', 'unconfirmed', 'cancelled') OR reason IS NOT NULL),
    CONSTRAINT deliveries_recipient CHECK ((basis = 'test') = (address IS NOT NULL) AND (basis = 'test') = (subscriber_id IS NULL)),
    CONSTRAINT deliveries_topic CHECK (basis <> 'topic' OR topic_id IS NOT NULL)
) PARTITION BY RANGE (period);
CREATE INDEX deliveries_ready_index ON deliveries (edition_id, ready_at, id) WHERE ready_at IS NOT NULL;
CREATE INDEX deliveries_subscriber ON deliveries (subscriber_id);

-- Why a delivery may not be sent now: the check of its basis, the same for the claim and for the mark. No row's refusal: null.
CREATE VIEW delivery_refusals AS
SELECT d.period, d.id, s.paused_until,
    CASE
        WHEN d.basis = 'test' THEN NULL
        WHEN s.erased_at IS NOT NULL THEN 'suppressed: erased'
        WHEN x.kind IS NOT NULL THEN 'suppressed: ' || x.kind
        WHEN d.basis = 'topic' AND p.standing IS DISTINCT FROM 'confirmed' THEN coalesce(p.standing, 'unsubscribed')
    END AS refusal
FROM deliveries d
LEFT JOIN subscribers s ON s.id = d.subscriber_id
LEFT JOIN subscriptions p ON p.subscriber_id = d.subscriber_id AND p.topic_id = d.topic_id
LEFT JOIN LATERAL (
    SELECT kind FROM suppressions
    WHERE subscriber_id = d.subscriber_id AND lifted_at IS NULL
        -- A person who left everything may still ask for a confirmation; it lifts that.
        AND NOT (d.basis = 'confirmation' AND kind = 'unsubscribe_all')
    ORDER BY id LIMIT 1
) x ON true;

-- What two foreign keys would hold, once for each statement: row by row they are two thirds of the time that it takes
-- to plan an edition (43 s against 17 s for a million). Editions and subscribers are never deleted.
CREATE FUNCTION deliveries_belong() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added WHERE edition_id IS NOT NULL
               AND NOT EXISTS (SELECT FROM editions WHERE editions.id = added.edition_id AND editions.period = added.period)) THEN
        RAISE EXCEPTION 'a delivery of an edition that does not exist in its period' USING ERRCODE = 'foreign_key_violation';
    END IF;
    IF EXISTS (SELECT FROM added WHERE subscriber_id IS NOT NULL
               AND NOT EXISTS (SELECT FROM subscribers WHERE subscribers.id = added.subscriber_id)) THEN
        RAISE EXCEPTION 'a delivery for a subscriber who does not exist' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER deliveries_belong AFTER INSERT ON deliveries
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION deliveries_belong();

-- Nothing older than this can be in a worker's hands: the month of the oldest open edition, or two months ago for what has
-- none and for what was cancelled in the middle.
CREATE FUNCTION oldest_open_period(at timestamptz) RETURNS date LANGUAGE sql STABLE AS $$
    SELECT least((SELECT min(period) FROM editions WHERE state NOT IN ('finished', 'skipped', 'cancelled')),
        (date_trunc('month', at AT TIME ZONE 'UTC') - interval '2 months')::date)
$$;

-- The segments a subscriber was given or is about to be. No key to deliveries: it outlives them.
CREATE TABLE segments_given (
    subscriber_id  bigint NOT NULL,
    segment_id     bigint NOT NULL,
    CONSTRAINT segments_given_key PRIMARY KEY (subscriber_id, segment_id)
);

-- The one place that makes a transactional mail unique: its owner (an offer, a sign-up) and the kind of mail.
CREATE TABLE transactional (
    owner           text NOT NULL,
    kind            text NOT NULL,
    period          date NOT NULL,
    delivery_id     bigint NOT NULL,
    handed_over_at  timestamptz,        -- filled by the first mark
    CONSTRAINT transactional_owner_kind_key PRIMARY KEY (owner, kind)
);
CREATE INDEX transactional_delivery ON transactional (delivery_id);

-- Makes and attaches the partition of a month; safe to call at any time, from anywhere.
CREATE FUNCTION ensure_deliveries_partition(month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first date := date_trunc('month', month)::date;
    name text := 'deliveries_' || to_char(first, 'YYYYMM');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('tidings.deliveries_partition'));
    -- Not by to_regclass again: it remembers that there was none, and waiting for the lock does not make it look anew.
    IF EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'deliveries'::regclass AND c.relname = name) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE deliveries INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
        WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05)', name);
    EXECUTE format('ALTER TABLE deliveries ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        name, first, (first + interval '1 month')::date);
END $$;
