//! Campaigns: when their editions open, who gets what in them, what an operator can do, and that the numbers add up.

mod forecast;
mod planning;
mod steering;
pub(crate) mod story;
mod terminal;
