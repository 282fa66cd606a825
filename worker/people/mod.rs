//! What reaches across a person's whole standing: the stop and its undoing, what she prefers, and all that is
//! known of her.
//!
//! It stands above the audience, the ledger and the campaigns, since both touch all of them at once. The web pages, the
//! command line and the jobs call it.

pub mod person;
pub mod preferences;
pub mod stop;
