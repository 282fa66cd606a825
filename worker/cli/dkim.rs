//! `tidings dkim new`: makes the keys that sign mails, and prints the DNS records that publish them.

use crate::delivery::dkim::{self, NewKey};
use anyhow::{Context as _, ensure};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf, absolute},
};

/// What to do with keys.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make a key for signing mails and print its DNS record
    New(New),
}

/// A key to make.
#[derive(clap::Args)]
pub(super) struct New {
    /// The domain that signs: that of the sender's address, or one above it
    #[arg(long)]
    domain: String,
    /// The name of the key under _domainkey, e.g. t2026; a new key takes a new one
    #[arg(long)]
    selector: String,
    /// The folder for the key files
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Make an Ed25519 key too, under the selector with -ed25519 behind it
    #[arg(long)]
    ed25519: bool,
}

/// Runs the command; it needs no settings and no database.
pub(super) fn run(command: &Command) -> anyhow::Result<()> {
    let Command::New(new) = command;
    let domain = idna::domain_to_ascii_strict(&new.domain).ok().filter(|d| d.contains('.'));
    let domain = domain.with_context(|| format!("`{}` is not a domain: expected one like example.org", new.domain))?;
    let label = |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    ensure!(
        new.selector.len() <= 50 && new.selector.split('.').all(label),
        "`{}` is not a selector: expected letters, digits and -, as in t2026",
        new.selector
    );
    let mut keys = vec![(new.selector.clone(), "")];
    if new.ed25519 {
        keys.push((format!("{}-ed25519", new.selector), "ed25519_"));
    }
    let files: Vec<PathBuf> = keys.iter().map(|(selector, _)| new.out.join(format!("{selector}.{domain}.pem"))).collect();
    if let Some(there) = files.iter().find(|f| f.exists()) {
        anyhow::bail!("`{}` is there already and is not overwritten: choose another --selector or --out", there.display());
    }
    fs::create_dir_all(&new.out).with_context(|| format!("the folder `{}` cannot be made", new.out.display()))?;
    let mut settings = format!("[dkim]\ndomain = \"{domain}\"\n");
    println!("Publish in the DNS of {domain}:\n");
    for ((selector, prefix), file) in keys.iter().zip(&files) {
        let key = if prefix.is_empty() { dkim::new_rsa(&mut rsa::rand_core::OsRng)? } else { dkim::new_ed25519()? };
        write(file, &key)?;
        println!("{}\n", key.record.zone_line(selector, &domain));
        settings += &format!("{prefix}selector = \"{selector}\"\n{prefix}key_file = {:?}\n", absolute(file)?);
    }
    println!(
        "Some DNS providers want name and value apart: the name is what stands before IN TXT, the value all the quoted strings, joined.\n"
    );
    println!("Then set, once the records can be seen:\n\n{settings}");
    Ok(())
}

// Never readable by others, not even for a moment.
fn write(file: &Path, key: &NewKey) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut opened = options.open(file).with_context(|| format!("the key file `{}` cannot be written", file.display()))?;
    opened.write_all(key.pem.as_bytes())?;
    opened.sync_all()?;
    Ok(())
}
