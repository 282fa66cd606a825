//! The one test binary: each module is a story.

mod support;

mod app;
mod audience;
mod campaigns;
mod catcher;
mod layers;
mod message;
mod postgres;
mod relay;
mod schedule;
mod templates;
mod web;
mod stop;
