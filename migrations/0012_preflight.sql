-- What was planned before there was a pre-flight goes as it would have gone (0009). What is planned of such an edition from now on is looked
-- at like everything else, as far as it is not over.
UPDATE editions SET checked_at = CASE WHEN planned IS NOT NULL THEN checked_at END,
    checked_up_to = coalesce(pg_sequence_last_value('delivery_ids'), 0),
    cleared_up_to = coalesce(pg_sequence_last_value('delivery_ids'), 0)
WHERE cleared_up_to = 9223372036854775807 AND state NOT IN ('finished', 'skipped', 'cancelled');
