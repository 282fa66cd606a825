//! Tidings: articles become tips, one a week, and Postgres remembers every mail and every stop.
//!
//! The modules stand in reading order, lowest floor first; imports point down only (`tests/layers.rs` holds that).
//!
//! The path of one weekly tip: [`content`] cuts it out of an article and keeps it until it is approved. [`campaigns`] opens an
//! edition when its rule says so and writes a delivery for each of the [`audience`] that may get it. [`delivery`] claims it, makes the
//! mail, marks it, hands it over and records the answer; a stop in [`people`] gets in between up to the mark. [`jobs`] wake whoever is
//! to look. ARCHITECTURE.md walks the same way through the files.

pub mod base;

pub mod content;

pub mod audience;

pub mod delivery;

pub mod signup;

pub mod campaigns;

pub mod waitlist;

pub mod people;

pub mod jobs;

pub mod web;

pub mod demo;

pub mod cli;
