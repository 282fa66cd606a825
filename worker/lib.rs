//! Tidings: articles become tips, one a week, and Postgres remembers every mail and every stop.
//!
//! The modules in reading order, lowest floor first; imports point down only (`tests/layers.rs` holds that).

pub mod base;
pub mod content;
pub mod audience;
pub mod delivery;
pub mod campaigns;
pub mod people;
pub mod jobs;
pub mod web;
pub mod demo;
pub mod cli;
