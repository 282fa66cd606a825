-- What belongs to the installation as a whole.

CREATE TABLE installation (
    only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    -- Id of the key that signs links and hashes addresses now; the key itself never stands in the database.
    current_key_id  text,
    -- Part of every Message-ID, so that two installations of one domain never make the same.
    label           text NOT NULL DEFAULT left(replace(gen_random_uuid()::text, '-', ''), 8),
    created_at      timestamptz NOT NULL DEFAULT now()
);
INSERT INTO installation DEFAULT VALUES;

-- Every act of an operator that changes what is sent or to whom, with the words that were given for it.
CREATE TABLE operator_acts (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL,
    act         text NOT NULL,
    subject     text NOT NULL,          -- campaign, edition, delivery, subscriber, suppression, tip
    subject_id  bigint,
    detail      text
);
CREATE INDEX operator_acts_subject ON operator_acts (subject, subject_id);
