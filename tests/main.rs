//! The one test binary: each module is a story.

mod support;

mod app;
mod audience;
mod campaigns;
mod catcher;
mod demo;
mod crash;
mod doubt;
mod downtime;
mod faults;
mod layers;
mod message;
mod postgres;
mod relay;
mod schedule;
mod sending;
mod templates;
mod web;
mod stop;
mod stops_while_sending;
mod sums;
