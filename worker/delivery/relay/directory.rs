//! The `directory:` relay: every mail becomes an .eml file, named by its Message-ID. It mails nobody.
//!
//! A file appears whole or not at all, and a mail handed over again replaces its file.

use super::{ConnectError, Envelope, Fault, HandOver};
use crate::delivery::reply::{Outcome, Phase};
use std::{io, path::Path, path::PathBuf};
use tokio::{fs, time::Instant};

/// A folder that gets mails.
#[derive(Debug)]
pub struct Directory {
    folder: PathBuf,
}

impl Directory {
    pub(super) async fn open(folder: &Path) -> Result<Self, ConnectError> {
        fs::create_dir_all(folder)
            .await
            .map_err(|e| ConnectError { relay: format!("directory:{}", folder.display()), fault: Fault::Folder(e.to_string()) })?;
        Ok(Self { folder: folder.to_owned() })
    }

    pub(super) async fn hand_over(&mut self, envelope: &Envelope<'_>, message: &[u8], begin_body_before: Instant) -> HandOver {
        if Instant::now() >= begin_body_before {
            return HandOver::given_up(Phase::Body);
        }
        match self.write(&file_name(envelope.message_id), message).await {
            Ok(()) => HandOver {
                outcome: Outcome::Accepted,
                reply: None,
                phase: Phase::Body,
                body_begun: true,
                session_usable: true,
                trouble: None,
            },
            // The file was not renamed, so nothing was handed over.
            Err(e) => HandOver::without_reply(Outcome::Reconnect, Phase::Data, format!("the folder cannot be written: {e}")),
        }
    }

    async fn write(&self, name: &str, message: &[u8]) -> io::Result<()> {
        let unfinished = self.folder.join(format!(".{name}.unfinished"));
        fs::write(&unfinished, message).await?;
        fs::rename(&unfinished, self.folder.join(name)).await
    }
}

// Only characters that mean nothing to a file system.
fn file_name(message_id: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
    let name: String = message_id.trim_matches(['<', '>']).chars().map(|c| if plain(c) { c } else { '_' }).take(200).collect();
    format!("{}.eml", name.trim_start_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::address::EmailAddress;
    use std::time::Duration;

    #[tokio::test]
    async fn a_mail_becomes_one_file_and_replaces_itself() {
        let folder = tempfile::tempdir().unwrap();
        let address = EmailAddress::parse("ana@example.org").unwrap();
        let envelope = Envelope { from: &address, to: &address, message_id: "<202602.1.x@example.org>" };
        let mut relay = Directory::open(&folder.path().join("new/mails")).await.unwrap();
        for body in [&b"one"[..], b"two"] {
            let soon = Instant::now() + Duration::from_secs(10);
            assert_eq!(relay.hand_over(&envelope, body, soon).await.outcome, Outcome::Accepted);
        }
        let files: Vec<_> = std::fs::read_dir(&relay.folder).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(files, [relay.folder.join("202602.1.x@example.org.eml")]);
        assert_eq!(std::fs::read(&files[0]).unwrap(), b"two");
        assert_eq!(relay.hand_over(&envelope, b"three", Instant::now()).await.outcome, Outcome::GivenUp);
    }

    #[test]
    fn a_file_name_never_leaves_the_folder() {
        assert_eq!(file_name("<../../etc/passwd@x>"), "_.._etc_passwd@x.eml");
        assert_eq!(file_name("<a b\0c@example.org>"), "a_b_c@example.org.eml");
    }
}
