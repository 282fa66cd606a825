//! A test mail: made as somebody would get it, for whatever address an operator named, and nobody's own.
//!
//! Owns what is asked anew when it is made: whether its address said stop, and how she is called as whom it is made. That its links are
//! inert and its subject marked is `letter`'s, which knows it by having no subscriber.

use super::{Letter, LetterError, Letters, frozen};
use crate::audience::suppression;
use crate::base::address::EmailAddress;
use crate::delivery::ledger::{claim::Claimed, contents};
use anyhow::Context as _;

impl Letters {
    /// The mail of a test delivery, unsigned.
    pub(super) async fn test(&self, claimed: &Claimed) -> Result<Letter, LetterError> {
        let to = EmailAddress::parse(&claimed.address).context("the address of this test is none")?;
        let conn = &mut *self.setup.db.pool.acquire().await?;
        // A stop since it was queued: whoever claims it knows addresses by their subscribers alone, and a test has none.
        if suppression::history(conn, &self.setup.keyring, &to).await?.iter().any(|s| s.lifted.is_none()) {
            return Err(anyhow::anyhow!("the address said stop").into());
        }
        let name = match frozen(claimed, "as") {
            Some(subscriber) => contents::name(conn, subscriber).await?,
            None => None,
        };
        let claimed = Claimed { name, ..claimed.clone() };
        Ok(self.draft(&claimed, &self.shared(&claimed).await?)?.letter)
    }
}
