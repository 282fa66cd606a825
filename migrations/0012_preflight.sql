-- What was planned before there was a pre-flight goes as it would have gone (0009). What was yet to be planned of such an edition then
-- is looked at like everything else, as far as it is not over.
UPDATE editions SET checked_at = NULL, checked_up_to = coalesce(pg_sequence_last_value('delivery_ids'), 0),
    cleared_up_to = coalesce(pg_sequence_last_value('delivery_ids'), 0)
WHERE planned IS NULL AND cleared_up_to = 9223372036854775807 AND state NOT IN ('finished', 'skipped', 'cancelled');
