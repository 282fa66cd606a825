//! A test mail: made as somebody would get it, for whatever address an operator named, and nobody's own.
//!
//! Owns what is asked anew when it is made: whether its address said stop, and how she is called as whom it is made. That its links are
//! inert and its subject marked is `letter`'s, which knows it by having no subscriber.

use super::{LetterError, Letters, frozen};
use crate::audience::suppression;
use crate::base::address::EmailAddress;
use crate::delivery::ledger::{claim::Claimed, contents};
use anyhow::Context as _;

impl Letters {
    /// A test delivery with the name that its mail is to call her by.
    pub(super) async fn of_test(&self, claimed: &Claimed) -> Result<Claimed, LetterError> {
        let to = EmailAddress::parse(&claimed.address).context("the address of this test is none")?;
        let name = self.asked_anew(claimed, &to).await?;
        Ok(Claimed { name, ..claimed.clone() })
    }

    // On a connection that is given back before what mails share is read on another: of one alone both can be had.
    async fn asked_anew(&self, claimed: &Claimed, to: &EmailAddress) -> Result<Option<String>, LetterError> {
        let conn = &mut *self.setup.db.pool.acquire().await?;
        // A stop since it was queued: whoever claims it knows addresses by their subscribers alone, and a test has none. One that comes
        // after this ends the delivery, and its mark is refused.
        if suppression::stopped(conn, &self.setup.keyring, to, claimed.topic_id).await?.is_some() {
            return Err(anyhow::anyhow!("the address said stop").into());
        }
        Ok(match frozen(claimed, "as") {
            Some(subscriber) => contents::name(conn, subscriber).await?,
            None => None,
        })
    }
}
