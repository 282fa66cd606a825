//! The fault lab: every fault of the table as a scene of the real binary, with a scale, closed with sums by name.
//!
//! The stories run each with small numbers (`tests/faults.rs` says where); `cargo bench --bench faults` runs them in full and prints
//! the table.

#![expect(dead_code, reason = "the stories and the table each use their part of it")]

pub(crate) mod answers;
pub(crate) mod imports;
pub(crate) mod kills;
pub(crate) mod leaving;
pub(crate) mod outages;
mod outcome;
pub(crate) mod patience;
pub(crate) mod poison;
pub(crate) mod reference;
pub(crate) mod refusals;
mod scene;
pub(crate) mod times;

pub(crate) use outcome::Outcome;
