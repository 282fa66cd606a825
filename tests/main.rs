//! The one test binary: each module is a story.

mod support;

mod app;
mod layers;
mod postgres;
mod schedule;
