//! The one test binary: each module is a story.

mod support;

mod app;
mod audience;
mod catcher;
mod layers;
mod postgres;
mod schedule;
mod stop;
