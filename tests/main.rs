//! The one test binary: each module is a story.

mod app;

mod articles;
mod audience;
mod broadcast;
mod campaigns;
mod catcher;
mod commands;
mod crash;
mod demo;
mod doubt;
mod downtime;
mod erase;
mod faults;
mod feeds;
mod import;
mod keys;
mod lab;
mod layers;
mod logs;
mod message;
mod notices;
mod pace;
mod plans;
mod postgres;
mod preferences;
mod preflight;
mod reimport;
mod relay;
mod relays;
mod retention;
mod scanners;
mod schedule;
mod seeds;
mod sending;
mod signup;
mod stop;
mod sums;
mod support;
#[path = "fuzz/targets.rs"]
mod targets;
mod templates;
mod versions;
mod waitlist;
mod web;
