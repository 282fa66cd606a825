-- Importing an article again: what it keeps, flags and holds apart.

-- An import writes here whenever it changes tips: a planner with an older view of them has to begin its slice again.
ALTER TABLE series ADD COLUMN imported_at timestamptz;

-- An article is known again by its address, then by its slug.
ALTER TABLE articles ADD CONSTRAINT articles_series_url_key UNIQUE (series_id, url);

ALTER TABLE segments
    ADD COLUMN vanished_at timestamptz,                     -- since when the article has it no longer
    ADD COLUMN merged_into bigint REFERENCES segments,      -- the one that has its words now: a tip of it would repeat them
    ADD CONSTRAINT segments_merged CHECK (merged_into IS NULL OR vanished_at IS NOT NULL AND merged_into <> id);

-- Of a tip that an import made a draft again: what was approved before.
ALTER TABLE tips ADD COLUMN approved_revision_id bigint REFERENCES tip_revisions;

-- Segments that have words of others, as they were when the article was imported. An operator who says that a tip is new deletes them.
CREATE TABLE segment_overlaps (
    segment_id     bigint NOT NULL REFERENCES segments,
    of_segment_id  bigint NOT NULL REFERENCES segments,
    since          timestamptz NOT NULL,    -- the import that found it: older revisions of the other have its words
    CONSTRAINT segment_overlaps_key PRIMARY KEY (segment_id, of_segment_id),
    CHECK (segment_id <> of_segment_id)
);

-- Not given itself: inherited from this one, which had its words. A null takes no room in the row.
ALTER TABLE segments_given ADD COLUMN of_segment_id bigint;
