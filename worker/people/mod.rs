//! What reaches across a person's whole standing: her arrival, the stop and its undoing, what she prefers, erasing, and all that
//! is known of her and can be proved.
//!
//! It stands above the audience, the ledger and the campaigns, since both touch all of them at once. The web pages, the
//! command line and the jobs call it.

pub mod arrival;
pub mod erase;
pub mod export;
pub mod person;
pub mod preferences;
pub mod proof;
pub mod stop;
pub mod unimport;
