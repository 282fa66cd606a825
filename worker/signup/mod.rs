//! Signing up: a wish is taken, a mail asks whether it was hers, and a click confirms it (double opt-in).
//!
//! Owns the tables signups, asked_mails, request_counts and api_keys. It stands above the ledger, into which it inserts its mails;
//! the pages, the API and the jobs call it, and `people::arrival` when somebody confirms.

// Stands here until the sign-up brings its own.
/// The exact words that somebody agrees to.
pub fn wording(publisher: &str, topics: &[&str]) -> String {
    format!("I want letters of “{}” from {publisher} by mail, until I say stop.", topics.join("”, “"))
}
