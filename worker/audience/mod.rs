//! People: their addresses, what they subscribe to, what they agreed to, and who must not be mailed.
//!
//! Owns the tables topics, subscribers, subscriptions, consents, suppressions and imports: files of subscribers in, and out again.
//! It sends nothing and stops nothing: `people::stop` is the one function that ends what is already under way.

pub mod consent;
pub mod csv;
pub mod export;
pub mod import;
pub mod listing;
pub mod store;
pub mod subscriber;
pub mod subscription;
pub mod suppression;
pub mod topic;
