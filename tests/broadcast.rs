//! Broadcasts: to a topic, to a waitlist in its order, and the news of an opening to everyone at once; stopped, left and killed on
//! the way, and each person mailed once.

mod fire;
mod line;
mod news;
mod opening;
pub(crate) mod stage;
mod steering;
mod terminal;
