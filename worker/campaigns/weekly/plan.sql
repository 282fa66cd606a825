-- Writes the deliveries of one slice: each recipient's next approved tip that she never had and that fits her stage,
-- or the reason why she gets none.
-- A set of tips is a string of bits, one for each approved tip in the order of the series. What a subscriber had is
-- the union of her tips' bits, what fits her stage is looked up by her age in days, and her next tip is the first bit
-- that is in the one and not in the other: as much work for each subscriber as she had tips.
WITH tips AS (
    SELECT segment_id, revision_id, n, set_bit(repeat('0', cardinality($6::bigint[]))::varbit, (n - 1)::integer, 1) AS bit
    FROM unnest($6::bigint[], $7::bigint[]) WITH ORDINALITY AS t (segment_id, revision_id, n)
),
none AS (
    SELECT repeat('0', cardinality($6::bigint[]))::varbit AS bits
),
stages AS (
    SELECT (n - 1)::integer AS bucket, fitting::varbit AS bits FROM unnest($9::text[]) WITH ORDINALITY AS t (fitting, n)
),
times AS (
    SELECT * FROM unnest($10::text[], $11::smallint[], $12::smallint[], $13::timestamptz[], $14::date[]) AS t (zone, weekday, hour, due_at, due_on)
),
people AS (
    SELECT s.id, s.paused_until, t.due_at, coalesce(width_bucket((t.due_on - s.stage_date)::bigint, $8::bigint[]), 0) AS bucket
    FROM unnest($5::bigint[]) AS slice (id) JOIN subscribers s USING (id)
        -- Everyone has a row there. LEFT, because the planner expects next to nobody of an inner join on three columns, and loops.
        LEFT JOIN times t ON t.zone = coalesce(s.zone, '') AND t.weekday = coalesce(s.weekday, 0) AND t.hour = coalesce(s.hour, -1)
    WHERE s.erased_at IS NULL AND NOT EXISTS (SELECT FROM suppressions x WHERE x.subscriber_id = s.id AND x.lifted_at IS NULL)
),
had AS (
    SELECT slice.id, bit_or(tips.bit) AS bits
    -- OFFSET, so that both are looked up for each: an import fills the one, and before it is analyzed the planner would read all of it.
    FROM unnest($5::bigint[]) AS slice (id) CROSS JOIN LATERAL (
        SELECT segment_id FROM segments_given WHERE subscriber_id = slice.id
        UNION ALL SELECT segment_id FROM segments_inherited WHERE subscriber_id = slice.id OFFSET 0
    ) AS given JOIN tips USING (segment_id)
    GROUP BY slice.id
),
handed AS (
    SELECT d.subscriber_id AS id, max(d.handing_over_at) AS at
    FROM unnest($15::bigint[], $16::date[]) AS e (id, period)
    JOIN deliveries d ON d.period = e.period AND d.edition_id = e.id
        AND d.subscriber_id BETWEEN ($5::bigint[])[1] AND ($5::bigint[])[cardinality($5::bigint[])]
    WHERE d.state IN ('sent', 'handing_over', 'unconfirmed')
    GROUP BY d.subscriber_id
),
chosen AS (
    SELECT people.id, people.due_at, people.paused_until, handed.at AS handed_at,
        ~coalesce(had.bits, none.bits) AS left_over, stages.bits AS fitting
    FROM people CROSS JOIN none JOIN stages USING (bucket) LEFT JOIN had USING (id) LEFT JOIN handed USING (id)
),
judged AS MATERIALIZED (
    SELECT id, due_at, position(B'1' IN fitting & left_over) AS n,
        CASE
            WHEN paused_until > due_at THEN 'subscriber_paused'
            WHEN handed_at > due_at - make_interval(secs => $17::double precision) THEN 'tip within 72 hours'
            WHEN position(B'1' IN left_over) = 0 THEN 'no tip left'
            WHEN position(B'1' IN fitting & left_over) = 0 THEN 'no tip in her stage'
        END AS reason
    FROM chosen
),
written AS (
    INSERT INTO deliveries (period, edition_id, subscriber_id, topic_id, series_id, segment_id, tip_revision_id, due_at, ready_at,
        finished_at, basis, template, state, reason)
    SELECT $1::date, $2::bigint, judged.id, $3::bigint, $4::bigint, tips.segment_id, tips.revision_id, due_at,
        CASE WHEN reason IS NULL THEN due_at END, CASE WHEN reason IS NOT NULL THEN $18::timestamptz END,
        'topic', 'weekly_tip', CASE WHEN reason IS NULL THEN 'queued' ELSE 'skipped' END, reason
    FROM judged LEFT JOIN tips ON tips.n = judged.n AND reason IS NULL
    RETURNING subscriber_id, segment_id
),
given AS (
    INSERT INTO segments_given (subscriber_id, segment_id) SELECT subscriber_id, segment_id FROM written WHERE segment_id IS NOT NULL
)
SELECT count(*) AS "written!" FROM written
