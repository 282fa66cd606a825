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

-- The segments a subscriber counts as having had, since she was given, or is about to be, one that had their words. Apart from what she
-- was given: she may be given the segment itself as well, and either may be taken back without the other.
CREATE TABLE segments_inherited (
    subscriber_id  bigint NOT NULL,
    segment_id     bigint NOT NULL,
    of_segment_id  bigint NOT NULL,     -- the one that she was given
    CONSTRAINT segments_inherited_key PRIMARY KEY (subscriber_id, segment_id, of_segment_id)
);

-- Whatever frees a segment frees what was inherited from it. The series is held: an import that is copying the recipients at this
-- moment is waited for, and its copies are seen. A plan that was kept from the time when the table was empty would read all of it.
CREATE FUNCTION segments_freed() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF EXISTS (SELECT FROM freed) THEN
        PERFORM FROM series WHERE id IN (SELECT series_id FROM tips WHERE segment_id IN (SELECT DISTINCT segment_id FROM freed))
            ORDER BY id FOR SHARE;
        DELETE FROM segments_inherited i USING freed
        WHERE i.subscriber_id = freed.subscriber_id AND i.of_segment_id = freed.segment_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER segments_freed AFTER DELETE ON segments_given
    REFERENCING OLD TABLE AS freed FOR EACH STATEMENT EXECUTE FUNCTION segments_freed();
