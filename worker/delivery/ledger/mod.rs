//! The ledger's SQL: every statement that moves a delivery from one state to the next, each fenced by who may write it.
//!
//! `claim` takes work, `mark` is the moment of hand-over and records what came of it (`exchange` is its statement), `lease` settles what the dead left,
//! `repeat` hands some of what is unconfirmed over once more, `resolve` is the operator's word about the rest, `look` answers what there is to do,
//! `line` keeps those who leave a waitlist from what is planned for it, `outages` says which relays are out.

pub mod claim;
pub mod contents;
mod exchange;
pub mod lease;
pub mod line;
pub mod look;
pub mod mark;
pub mod outages;
mod repeat;
pub mod resolve;
