//! The one test binary: each module is a story.

mod support;

mod app;
mod catcher;
mod layers;
mod postgres;
mod schedule;
mod templates;
mod web;
