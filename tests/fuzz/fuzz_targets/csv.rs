#![no_main]

#[path = "../entry.rs"]
mod entry;
