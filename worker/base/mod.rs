//! The ground floor: what every other module stands on and what knows nothing of mails or people's standing.
//!
//! Configuration, time, addresses, keys and signed links, the database, the wake-up of workers, fetching by https, and the embedded Postgres.

pub mod acts;
pub mod address;
pub mod clock;
pub mod config;
pub mod cron_line;
pub mod database;
pub mod fetch;
pub mod keys;
pub mod near;
pub mod network;
pub mod outage;
pub mod postgres;
pub mod time;
pub mod token;
pub mod trust;
pub mod wake;
pub mod zone;
