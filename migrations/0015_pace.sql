-- Pace: how much of what a relay or a recipient's provider takes was taken, shared by all workers.

-- The slot that the pace named last: who waited for it is not late before its tolerance ran from there, whatever comes between.
ALTER TABLE deliveries ADD COLUMN put_off_until timestamptz;

-- A row for each pace that was asked for: a relay, a group of domains, or a domain. A worker takes permits for a whole claim at once,
-- so a row is written some times a second however many mails go. All of it may be lost: the worst is one window twice over.
CREATE TABLE paces (
    pace            text PRIMARY KEY CHECK (pace ~ '^(relay|group|domain):.'),
    window_start    timestamptz NOT NULL DEFAULT 'epoch',
    taken           bigint NOT NULL DEFAULT 0 CHECK (taken >= 0),   -- permits of the window
    day             date NOT NULL DEFAULT 'epoch',              -- in UTC
    today           bigint NOT NULL DEFAULT 0 CHECK (today >= 0),   -- permits of the day, counted where there is a plan by day
    promised_until  timestamptz NOT NULL DEFAULT 'epoch'        -- slots before it were named to mails that wait
) WITH (fillfactor = 50);

-- Hand-overs at the same time: how many of a pace's each worker may have under way. Those of a worker that is gone are free.
CREATE TABLE pace_slots (
    pace       text NOT NULL,
    worker_id  bigint NOT NULL REFERENCES workers,
    held       bigint NOT NULL CHECK (held >= 0),
    CONSTRAINT pace_slots_key PRIMARY KEY (pace, worker_id)
) WITH (fillfactor = 50);

-- Where answers say to slow down. What holds now follows from the row and the clock, so recovering writes nothing.
CREATE TABLE pace_troubles (
    pace        text PRIMARY KEY,
    since       timestamptz NOT NULL,
    changed_at  timestamptz NOT NULL CHECK (changed_at >= since),   -- when it was slowed down last
    whole       bigint NOT NULL CHECK (whole > 0),                  -- mails a day before it
    slowed_to   bigint NOT NULL CHECK (slowed_to BETWEEN 1 AND whole),
    because     text NOT NULL
);
