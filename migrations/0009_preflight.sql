-- Pre-flight: every mail of an edition is rendered and checked before it may leave.

-- Deliveries are checked in the order of their ids, which planning gives in the order of its slices. One above cleared_up_to is
-- claimed by nobody; it follows checked_up_to as long as nothing was found that blocks.
ALTER TABLE editions
    ADD COLUMN checked_up_to bigint NOT NULL DEFAULT 0,     -- the last delivery whose mail was looked at
    ADD COLUMN cleared_up_to bigint NOT NULL DEFAULT 0,     -- the last that may leave
    ADD COLUMN checked       bigint NOT NULL DEFAULT 0,     -- mails that were looked at
    ADD COLUMN checked_at    timestamptz,                   -- when the last one was; null: some are to be looked at
    ADD COLUMN accepted_at   timestamptz;                   -- an operator let it go whatever was found

-- What was planned before there was a pre-flight goes as it would have gone.
UPDATE editions SET checked_at = now(), cleared_up_to = 9223372036854775807 WHERE state <> 'planning';

-- What was found in an edition's mails, by its kind. Examples name subscribers by their numbers: an address stands in one place.
CREATE TABLE preflight_findings (
    edition_id  bigint NOT NULL REFERENCES editions,
    kind        text NOT NULL,
    severity    text NOT NULL CHECK (severity IN ('blocking', 'warning')),
    recipients  bigint NOT NULL CHECK (recipients >= 0),
    examples    jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_array_length(examples) <= 3),  -- [{subscriber_id, tip_revision_id, says}]
    CONSTRAINT preflight_findings_key PRIMARY KEY (edition_id, kind)
);

-- Whether something that was found keeps an edition from being sent.
CREATE FUNCTION edition_blocked(edition bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT accepted_at IS NULL AND EXISTS (SELECT FROM preflight_findings f WHERE f.edition_id = edition AND f.severity = 'blocking')
    FROM editions WHERE id = edition
$$;
