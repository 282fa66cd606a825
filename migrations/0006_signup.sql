-- What people do with their own standing, and operators with many people at once: sign-ups, limits, preferences, imports.

ALTER TABLE topics
    ADD COLUMN description text NOT NULL DEFAULT '',
    ADD COLUMN open boolean NOT NULL DEFAULT true;     -- offered on the sign-up page and on the preferences page

ALTER TABLE subscribers
    ADD COLUMN weekday smallint CHECK (weekday BETWEEN 1 AND 7),     -- her own day, 1 = Monday; null: the campaign's
    ADD COLUMN hour    smallint CHECK (hour BETWEEN 0 AND 23);       -- her own hour on her clock; null: the campaign's

-- Whether the first tip comes with the welcome or on the next regular day.
ALTER TABLE campaigns ADD COLUMN first_tip text NOT NULL DEFAULT 'next' CHECK (first_tip IN ('at_once', 'next'));

-- A wish to subscribe, until it is confirmed, refused or too old. What it says of her waits here too: a stranger who
-- types her address changes nothing about her.
CREATE TABLE signups (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscriber_id  bigint NOT NULL REFERENCES subscribers,
    topics         bigint[] NOT NULL,
    wording        text,            -- the exact words agreed to; null once it is forgotten
    name           text,
    zone           text,
    stage_date     date,
    source         text NOT NULL,   -- page, api, import
    origin_hash    bytea,           -- keyed hash of the address of the request
    asked_at       timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    reminded_at    timestamptz,     -- when it was decided about the one reminder, whether it went or not
    outcome        text CHECK (outcome IN ('confirmed', 'refused', 'expired')),
    closed_at      timestamptz,
    CHECK ((outcome IS NULL) = (closed_at IS NULL))
);
CREATE UNIQUE INDEX signups_open_key ON signups (subscriber_id) WHERE outcome IS NULL;
CREATE INDEX signups_open ON signups (expires_at) WHERE outcome IS NULL;
CREATE INDEX signups_to_remind ON signups (asked_at) WHERE outcome IS NULL AND reminded_at IS NULL;
CREATE INDEX signups_subscriber ON signups (subscriber_id);
CREATE INDEX signups_to_forget ON signups (asked_at) WHERE outcome IN ('refused', 'expired') AND wording IS NOT NULL;

-- When mails were sent to an address because somebody typed it in, whoever that was: by keyed hash, and kept when the
-- sign-up and the person are gone.
CREATE TABLE asked_mails (
    address_hash  bytea PRIMARY KEY CHECK (length(address_hash) = 32),
    mailed_at     timestamptz[] NOT NULL
);

-- Requests that may cause a mail, counted in windows of time: by host, by network, by key of an operator, in all.
CREATE TABLE request_counts (
    scope      text NOT NULL CHECK (scope IN ('host', 'network', 'key', 'all')),
    origin     bytea NOT NULL,      -- keyed hash; empty for all
    starts_at  timestamptz NOT NULL,
    requests   integer NOT NULL,
    CONSTRAINT request_counts_key PRIMARY KEY (scope, origin, starts_at)
);

-- Operators' keys for the API. Only the hash of a secret is kept.
CREATE TABLE api_keys (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text NOT NULL CONSTRAINT api_keys_name_key UNIQUE CHECK (name <> ''),
    scope         text NOT NULL CHECK (scope IN ('subscribe')),
    secret_hash   bytea NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    created_at    timestamptz NOT NULL,
    last_used_at  timestamptz,
    revoked_at    timestamptz
);

-- Every change of what a person prefers. The values go when she is erased, the acts stay.
CREATE TABLE subscriber_events (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscriber_id  bigint NOT NULL REFERENCES subscribers,
    at             timestamptz NOT NULL,
    what           text NOT NULL,   -- zone, weekday and hour, stage date, language, name, pause, data exported, erased
    source         text NOT NULL,   -- page, operator, import
    before         text,
    after          text
);
CREATE INDEX subscriber_events_subscriber ON subscriber_events (subscriber_id);
CREATE TRIGGER subscriber_events_append_only BEFORE UPDATE OR DELETE ON subscriber_events
    FOR EACH ROW WHEN (current_setting('tidings.erasing', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION refuse_change();

-- One file that was imported: it is undone as a whole.
CREATE TABLE imports (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file_name    text NOT NULL,
    file_hash    bytea NOT NULL,    -- of the file and of how it was asked to be read: the same again goes on where it was
    topic_id     bigint REFERENCES topics,
    because      text,              -- how these people confirmed; null: they came in unconfirmed
    started_at   timestamptz NOT NULL,
    rows_done    bigint NOT NULL DEFAULT 0,
    counts       jsonb NOT NULL DEFAULT '{}',
    finished_at  timestamptz,
    ask_per_hour integer CHECK (ask_per_hour > 0),     -- confirmations are being asked for at this rate; null: they are not
    ask_next_at  timestamptz,       -- when the next may be asked for
    ask_after    bigint NOT NULL DEFAULT 0,     -- the last subscriber who was looked at
    undoing_at   timestamptz,       -- its undoing began
    undone_at    timestamptz,
    CHECK (undone_at IS NULL OR undoing_at IS NOT NULL)
);
CREATE UNIQUE INDEX imports_unfinished_key ON imports (file_hash) WHERE finished_at IS NULL AND undone_at IS NULL;

-- What an import changed about each person, so that it can be undone.
CREATE TABLE import_changes (
    import_id        bigint NOT NULL REFERENCES imports,
    subscriber_id    bigint NOT NULL REFERENCES subscribers,
    created          boolean NOT NULL,     -- she came with this import
    standing_before  text,                 -- null: none with this topic
    filled           text[] NOT NULL DEFAULT '{}',  -- particulars that were not known before
    undo             text CHECK (undo IN ('undone', 'left')),   -- left: she acted herself since
    CONSTRAINT import_changes_key PRIMARY KEY (import_id, subscriber_id)
);

-- Those whom an import brought in unconfirmed and who may be asked: nobody who left, is suppressed, or was asked since.
CREATE VIEW import_unasked AS
SELECT c.import_id, c.subscriber_id
FROM import_changes c
JOIN imports i ON i.id = c.import_id
JOIN subscribers s ON s.id = c.subscriber_id AND s.erased_at IS NULL
JOIN subscriptions p ON p.subscriber_id = c.subscriber_id AND p.topic_id = i.topic_id AND p.standing = 'unconfirmed'
WHERE c.undo IS NULL
    AND NOT EXISTS (SELECT FROM suppressions x WHERE x.subscriber_id = c.subscriber_id AND x.lifted_at IS NULL)
    AND NOT EXISTS (SELECT FROM signups g WHERE g.subscriber_id = c.subscriber_id
        AND (g.outcome IS NULL OR i.topic_id = ANY (g.topics) AND g.asked_at >= i.started_at));

-- Whoever is erased is looked for among the few deliveries of tests, which are nobody's.
CREATE INDEX deliveries_tests ON deliveries (id) WHERE basis = 'test';

-- What became of an edition's recipients, kept when its deliveries are too old to be kept.
CREATE TABLE edition_counts (
    edition_id  bigint NOT NULL REFERENCES editions,
    state       text NOT NULL,
    reason      text NOT NULL DEFAULT '',
    deliveries  bigint NOT NULL,
    PRIMARY KEY (edition_id, state, reason)
);

-- The keys this database was ever used with: a start without one of them is refused.
CREATE TABLE used_keys (
    key_id      text PRIMARY KEY,
    first_used  timestamptz NOT NULL DEFAULT now()
);
INSERT INTO used_keys (key_id) SELECT current_key_id FROM installation WHERE current_key_id IS NOT NULL
    UNION SELECT key_id FROM suppressions;

-- Whoever left everything or was erased may ask for a confirmation; confirming lifts that. Nothing else goes to them.
CREATE OR REPLACE VIEW delivery_refusals AS
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
        AND NOT (d.basis = 'confirmation' AND kind IN ('unsubscribe_all', 'erased'))
    ORDER BY id LIMIT 1
) x ON true;
