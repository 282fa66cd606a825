//! The pages that people see: what there is to subscribe to, signing up, and what they reach from a letter. No login, no cookie:
//! a link's token is who they are. Every page works without scripts.

pub(super) mod confirm;
mod form;
pub(super) mod home;
pub(super) mod link;
mod post;
pub(super) mod preferences;
pub(super) mod subscribe;
pub(super) mod unsubscribe;
mod zones;
