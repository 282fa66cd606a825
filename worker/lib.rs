//! Tidings: articles become tips, one a week, and Postgres remembers every mail and every stop.
//!
//! The modules in reading order, lowest floor first; imports point down only (`tests/layers.rs` holds that).

pub mod audience;
pub mod base;
pub mod campaigns;
pub mod cli;
pub mod content;
pub mod delivery;
pub mod demo;
pub mod jobs;
pub mod people;
pub mod web;
