//! The waitlist: a test for each of its rules, a model of all of them at once, sums, and what it costs when many wait.

mod figures;
mod model;
mod rules;
mod stage;
mod stops;
mod sums;
mod terminal;
