//! A mail program's one click: the smallest HTTP client that can do it (RFC 8058), to this machine only.

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The link of a mail's List-Unsubscribe header.
pub(super) fn unsubscribe_link(mail: &[u8]) -> Option<String> {
    let message = mail_parser::MessageParser::new().parse_headers(mail)?;
    let header = message.header_raw("List-Unsubscribe")?;
    let link = header.split_once('<')?.1.split_once('>')?.0;
    Some(link.split_whitespace().collect())
}

/// Posts what a mail program posts when its reader presses "unsubscribe".
pub(super) async fn one_click(link: &str) -> anyhow::Result<()> {
    const BODY: &str = "List-Unsubscribe=One-Click";
    let (host, path) = link.strip_prefix("http://").and_then(|rest| rest.split_once('/')).context("the link is not one of the demo's")?;
    let mut stream = TcpStream::connect(host).await.with_context(|| format!("nobody answers at {host}"))?;
    let request = format!(
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{BODY}",
        BODY.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let status = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
    ensure!(status.starts_with("HTTP/1.1 200"), "a one-click unsubscribe was answered with `{status}`");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_is_read_from_a_folded_header() {
        let mail = b"From: a@example.org\r\nList-Unsubscribe:\r\n <http://127.0.0.1:4001/u/abc>\r\nSubject: x\r\n\r\nbody\r\n";
        assert_eq!(unsubscribe_link(mail).as_deref(), Some("http://127.0.0.1:4001/u/abc"));
        assert_eq!(unsubscribe_link(b"Subject: x\r\n\r\n"), None);
    }
}
