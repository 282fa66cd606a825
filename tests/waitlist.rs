//! The waitlist: a test for each of its rules, a model of all of them at once, sums, and what it costs when many wait.

mod crash;
mod figures;
mod fire;
mod joining;
mod letters;
mod model;
mod race;
mod review;
mod rules;
pub(crate) mod stage;
mod stops;
mod sums;
mod terminal;
