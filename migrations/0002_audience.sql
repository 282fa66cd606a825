-- Who is mailed, for what, by which consent, and who must not be.

CREATE TABLE topics (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slug        text NOT NULL CONSTRAINT topics_slug_key UNIQUE CHECK (slug <> ''),
    name        text NOT NULL CHECK (name <> ''),
    -- The label of the List-Id: says nothing about the topic, never changes (RFC 2919).
    list_label  text NOT NULL UNIQUE DEFAULT left(replace(gen_random_uuid()::text, '-', ''), 16),
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE subscribers (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    address       text,                 -- the spelling given: mail goes here
    address_key   text CONSTRAINT subscribers_address_key_key UNIQUE,
    key_version   smallint NOT NULL DEFAULT 1,
    name          text,
    zone          text,                 -- IANA name; null: the campaign's
    stage_date    date,
    language      text,
    paused_until  timestamptz,
    erased_at     timestamptz,
    created_at    timestamptz NOT NULL,
    CHECK ((erased_at IS NULL) = (address IS NOT NULL)),
    CHECK ((address IS NULL) = (address_key IS NULL))
);

CREATE TABLE subscriptions (
    subscriber_id  bigint NOT NULL REFERENCES subscribers,
    topic_id       bigint NOT NULL REFERENCES topics,
    standing       text NOT NULL CHECK (standing IN ('unconfirmed', 'confirmed', 'unsubscribed')),
    changed_at     timestamptz NOT NULL,
    PRIMARY KEY (subscriber_id, topic_id)
);
CREATE INDEX subscriptions_confirmed ON subscriptions (topic_id, subscriber_id) WHERE standing = 'confirmed';

-- The recorded acts: what was agreed to, when, from where, how it was confirmed; and withdrawals.
CREATE TABLE consents (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscriber_id  bigint NOT NULL REFERENCES subscribers,
    topic_id       bigint REFERENCES topics,     -- null: everything
    act            text NOT NULL CHECK (act IN ('asked', 'confirmed', 'withdrawn', 'restored')),
    wording        text,                         -- the exact words agreed to, or the evidence given by an operator
    source         text NOT NULL,                -- operator, import, page, one_click, api, mailto
    origin_hash    bytea,                        -- keyed hash of the address of the request
    at             timestamptz NOT NULL
);
CREATE INDEX consents_subscriber ON consents (subscriber_id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER consents_append_only BEFORE UPDATE OR DELETE ON consents
    FOR EACH ROW WHEN (current_setting('tidings.erasing', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION refuse_change();

-- Addresses that must not be mailed. An address is known by its keyed hash alone, so that it outlives an erasure;
-- subscriber_id is filled for whoever is a subscriber, and is what the ledger looks at.
CREATE TABLE suppressions (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    address_hash   bytea NOT NULL CHECK (length(address_hash) = 32),
    key_id         text NOT NULL,
    subscriber_id  bigint REFERENCES subscribers,
    kind           text NOT NULL CHECK (kind IN ('hard_bounce', 'complaint', 'unsubscribe_all', 'manual', 'erased')),
    reason         text NOT NULL,
    at             timestamptz NOT NULL,
    lifted_at      timestamptz,
    lifted_reason  text,
    CHECK ((lifted_at IS NULL) = (lifted_reason IS NULL))
);
CREATE UNIQUE INDEX suppressions_live_key ON suppressions (address_hash, key_id, kind) WHERE lifted_at IS NULL;
CREATE INDEX suppressions_live_subscriber ON suppressions (subscriber_id) WHERE lifted_at IS NULL;
