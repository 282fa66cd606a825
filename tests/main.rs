//! The one test binary: each module is a story.

mod app;

mod audience;
mod broadcast;
mod campaigns;
mod catcher;
mod crash;
mod demo;
mod doubt;
mod downtime;
mod erase;
mod faults;
mod import;
mod keys;
mod layers;
mod logs;
mod message;
mod notices;
mod postgres;
mod preferences;
mod relay;
mod retention;
mod scanners;
mod schedule;
mod sending;
mod signup;
mod stop;
mod stops_while_sending;
mod sums;
mod support;
mod templates;
mod waitlist;
mod web;
