
pub mod schedule;
pub mod zone;
