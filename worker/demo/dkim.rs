//! The demo's signing key: made once for a data folder, so that its mails are signed like real ones.
//!
//! Its record stands in no DNS: example.org is nobody's. Called while the stage is set.

use crate::delivery::dkim;
use anyhow::Context;
use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

/// The name of the key.
pub(super) const SELECTOR: &str = "demo";

/// Makes the key unless it is there. Takes a second: not on a thread that others wait for.
pub(super) fn make_key(file: &Path) -> anyhow::Result<()> {
    if file.exists() {
        return Ok(());
    }
    let key = dkim::new_rsa(&mut rsa::rand_core::OsRng)?;
    // Written aside and moved, so that a demo that is ended here leaves no half key.
    let aside = file.with_extension("pem.new");
    let written = || -> std::io::Result<()> {
        let mut opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        opened.write_all(key.pem.as_bytes())?;
        std::fs::rename(&aside, file)
    };
    written().with_context(|| format!("the key that signs mails cannot be written to {}", file.display()))
}
