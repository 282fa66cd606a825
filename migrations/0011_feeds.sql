-- Feeds of articles: which version of each was brought in last, when the next is looked for, and how it fared.

CREATE TABLE feeds (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url            text NOT NULL CHECK (url LIKE 'https://%'),
    series         text NOT NULL DEFAULT '',        -- empty: the one that each article names, else `tips`
    -- What the server said of the version that was brought in; sent again only to the address that said it.
    version_from   text,
    etag           text,
    last_modified  text,
    -- The last try, and the last that brought it in or found it unchanged.
    tried_at       timestamptz,
    succeeded_at   timestamptz,
    items          integer NOT NULL DEFAULT 0 CHECK (items >= 0),
    refused        jsonb NOT NULL DEFAULT '[]',     -- [{item, why}] of the version that was brought in
    failures       integer NOT NULL DEFAULT 0 CHECK (failures >= 0),    -- in a row
    error          text,
    -- For feeds of the settings: the cron line and zone that next_run_at was reckoned by.
    schedule       text,
    next_run_at    timestamptz,
    claimed_until  timestamptz,                     -- by the clock of the database; a worker that died holds it no longer
    CONSTRAINT feeds_url_series_key UNIQUE (url, series),
    CHECK ((failures = 0) = (error IS NULL)),
    CHECK ((schedule IS NULL) = (next_run_at IS NULL)),
    CHECK (version_from IS NOT NULL OR (etag IS NULL AND last_modified IS NULL)),
    CHECK (succeeded_at <= tried_at),
    CHECK (jsonb_typeof(refused) = 'array')
);
