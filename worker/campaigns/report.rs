//! What became of a campaign's editions: counts that add up, with reasons, and every delivery of one edition.
