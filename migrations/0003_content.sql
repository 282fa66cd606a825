-- Articles, the segments found in them, and the tips made of those, with every revision kept.

CREATE TABLE series (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL CONSTRAINT series_name_key UNIQUE CHECK (name <> ''),
    topic_id    bigint NOT NULL UNIQUE REFERENCES topics,
    created_at  timestamptz NOT NULL
);

CREATE TABLE articles (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    series_id    bigint NOT NULL REFERENCES series,
    slug         text NOT NULL,
    url          text,
    revision_id  bigint,                -- the revision imported last
    created_at   timestamptz NOT NULL,
    CONSTRAINT articles_series_slug_key UNIQUE (series_id, slug)
);

CREATE TABLE article_revisions (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    article_id    bigint NOT NULL REFERENCES articles,
    number        integer NOT NULL CHECK (number > 0),
    title         text NOT NULL,
    author        text,
    published_on  date,
    format        text NOT NULL,
    source        bytea NOT NULL,       -- as it was read
    fingerprint   text NOT NULL,        -- of the source
    sources       jsonb NOT NULL DEFAULT '[]',   -- the article's list of references
    left_out      jsonb NOT NULL DEFAULT '[]',   -- [{text, reason}]
    imported_at   timestamptz NOT NULL,
    UNIQUE (article_id, number)
);
ALTER TABLE articles ADD FOREIGN KEY (revision_id) REFERENCES article_revisions;

-- The identity that a subscriber is given at most once, whatever becomes of the words.
CREATE TABLE segments (
    id                   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    article_id           bigint NOT NULL REFERENCES articles,
    position             integer NOT NULL,       -- within the article
    heading_path         text[] NOT NULL,
    fingerprint          text NOT NULL,
    article_revision_id  bigint NOT NULL REFERENCES article_revisions,   -- the revision that it was last seen in
    created_at           timestamptz NOT NULL
);
CREATE INDEX segments_article ON segments (article_id);

CREATE TABLE tips (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    series_id    bigint NOT NULL REFERENCES series,
    segment_id   bigint NOT NULL CONSTRAINT tips_segment_key UNIQUE REFERENCES segments,
    position     integer NOT NULL CHECK (position > 0),
    state        text NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'approved', 'retired')),
    revision_id  bigint,
    stage_from   integer CHECK (stage_from >= 0),       -- whole weeks since the stage date: from <= weeks < to
    stage_to     integer,
    tags         text[] NOT NULL DEFAULT '{}',
    note         text,                                  -- why it is a draft again, e.g. "source changed"
    created_at   timestamptz NOT NULL,
    CONSTRAINT tips_series_position_key UNIQUE (series_id, position) DEFERRABLE INITIALLY DEFERRED,
    CHECK ((stage_from IS NULL) = (stage_to IS NULL)),
    CHECK (stage_from < stage_to)
);

CREATE TABLE tip_revisions (
    id                   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tip_id               bigint NOT NULL REFERENCES tips,
    number               integer NOT NULL CHECK (number > 0),
    subject              text NOT NULL CHECK (char_length(subject) BETWEEN 1 AND 78),
    preheader            text NOT NULL,
    markdown             text NOT NULL CHECK (markdown <> ''),
    section_url          text,          -- "read it in the article"
    related              jsonb NOT NULL DEFAULT '[]',   -- [{text, url}]
    sources              jsonb NOT NULL DEFAULT '[]',   -- the references that it cites
    article_revision_id  bigint REFERENCES article_revisions,
    because              text NOT NULL, -- import, edit
    created_at           timestamptz NOT NULL,
    UNIQUE (tip_id, number)
);
ALTER TABLE tips ADD FOREIGN KEY (revision_id) REFERENCES tip_revisions;
