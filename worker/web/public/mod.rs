//! The pages that people see: what there is to subscribe to or to wait for, signing up, and what they reach from a letter. No login, no cookie:
//! a link's token is who they are. Every page works without scripts.

pub(super) mod confirm;
pub(super) mod entry;
mod form;
pub(super) mod home;
pub(super) mod link;
mod moment;
pub(super) mod offer;
mod person;
mod place;
mod post;
pub(super) mod preferences;
pub(super) mod subscribe;
pub(super) mod unsubscribe;
pub(super) mod waitlist;
mod zones;
