//! What reaches across a person's whole standing: today the stop and its undoing.
//!
//! It stands above the audience, the ledger and the campaigns, since a stop touches all of them at once. The web pages,
//! the command line and the jobs call it.

pub mod stop;
mod store;
