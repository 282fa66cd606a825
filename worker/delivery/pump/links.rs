//! The links of a mail, made from ids: what a delivery freezes holds none, so that no link stands in the database.
//!
//! Called by `letter` for each mail. A link is the same in every mail to the same person.

use super::Setup;
use crate::base::token::{self, Purpose, UnsubscribeToken};

/// Where a sign-up is confirmed or refused.
pub(super) fn confirm(setup: &Setup, signup: i64) -> String {
    format!("{}/confirm/{}", setup.site_url, token::of_id(&setup.keyring, Purpose::Confirm, signup))
}

/// Her preferences.
pub(super) fn preferences(setup: &Setup, subscriber_id: i64) -> String {
    format!("{}/preferences/{}", setup.site_url, token::of_id(&setup.keyring, Purpose::Preferences, subscriber_id))
}

/// Her way out of a topic.
pub(super) fn unsubscribe(setup: &Setup, subscriber_id: i64, topic_id: i64) -> String {
    format!("{}/u/{}", setup.site_url, token::unsubscribe(&setup.keyring, UnsubscribeToken { subscriber_id, topic_id }))
}

/// Whatever a test mail links to: a page that says that it does nothing.
pub(super) fn inert(setup: &Setup, delivery: i64) -> String {
    format!("{}/u/{}", setup.site_url, token::of_id(&setup.keyring, Purpose::Test, delivery))
}

/// Her place on a program's waitlist, and her way out of it.
pub(super) fn entry(setup: &Setup, slug: &str, entry: i64) -> String {
    format!("{}/{}", program(setup, slug), token::of_id(&setup.keyring, Purpose::Entry, entry))
}

/// A program, where anybody can join its waitlist.
pub(super) fn program(setup: &Setup, slug: &str) -> String {
    format!("{}/waitlist/{slug}", setup.site_url)
}

/// Where an offer is accepted or declined.
pub(super) fn offer(setup: &Setup, offer: i64) -> String {
    format!("{}/offers/{}", setup.site_url, token::of_id(&setup.keyring, Purpose::Offer, offer))
}
