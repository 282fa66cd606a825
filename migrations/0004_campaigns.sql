-- What an operator schedules.

CREATE TABLE campaigns (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name               text NOT NULL CONSTRAINT campaigns_name_key UNIQUE CHECK (name <> ''),
    kind               text NOT NULL CHECK (kind IN ('weekly', 'broadcast', 'opening')),
    state              text NOT NULL CHECK (state IN ('draft', 'scheduled', 'running', 'paused', 'finished', 'cancelled')),
    topic_id           bigint NOT NULL REFERENCES topics,
    series_id          bigint REFERENCES series,
    at                 text,            -- "Tue 09:00"
    cron               text,            -- 5 fields, 1 = Monday
    zone               text NOT NULL,   -- IANA name
    subscriber_zone    boolean NOT NULL DEFAULT false,
    late               text NOT NULL DEFAULT 'ask' CHECK (late IN ('fire', 'skip', 'ask')),
    tolerance_seconds  integer NOT NULL CHECK (tolerance_seconds >= 0),
    deadline_seconds   integer NOT NULL CHECK (deadline_seconds > 0),
    next_occurrence    date,            -- local date of the next edition by the rule
    next_run_at        timestamptz,     -- when the planning of that edition opens
    reason             text,            -- why it is paused
    created_at         timestamptz NOT NULL,
    CHECK ((at IS NULL) <> (cron IS NULL) OR kind <> 'weekly'),
    CHECK (series_id IS NOT NULL OR kind <> 'weekly'),
    CHECK ((next_run_at IS NULL) = (next_occurrence IS NULL)),
    CHECK (state <> 'paused' OR reason IS NOT NULL)
);
CREATE INDEX campaigns_due ON campaigns (next_run_at) WHERE next_run_at IS NOT NULL;
