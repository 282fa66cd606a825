//! What a browser and a mail program do: the smallest HTTP client that can open a page, send a form and click once (RFC 8058), to
//! this machine only.
//!
//! Called by what happens to the demo's people.

use anyhow::{Context, ensure};
use std::fmt::Write;
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
    ask("POST", link, "List-Unsubscribe=One-Click").await.map(drop).context("a one-click unsubscribe")
}

/// Opens a page; its HTML.
pub(super) async fn open(link: &str) -> anyhow::Result<String> {
    ask("GET", link, "").await
}

/// Sends a form with these fields; the HTML of the page that comes.
pub(super) async fn send(link: &str, fields: &[(&str, &str)]) -> anyhow::Result<String> {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    ask("POST", link, &fields.join("&")).await
}

/// The value that a page gives its hidden field `name`.
pub(super) fn hidden<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&format!("<input type=\"hidden\" name=\"{name}\" value=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// A text as a part of an address or of a posted form.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => out.push(char::from(byte)),
            false => write!(out, "%{byte:02X}").expect("a text takes what is written to it"),
        }
        out
    })
}

async fn ask(method: &str, link: &str, body: &str) -> anyhow::Result<String> {
    let (host, path) = link.strip_prefix("http://").and_then(|rest| rest.split_once('/')).context("the link is not one of the demo's")?;
    let mut stream = TcpStream::connect(host).await.with_context(|| format!("nobody answers at {host}"))?;
    let request = format!(
        "{method} /{path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, page) = answer.split_once("\r\n\r\n").context("no answer")?;
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.split(' ').nth(1) == Some("200"), "{method} was answered with `{status}`");
    Ok(page.to_owned())
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

    #[test]
    fn a_hidden_field_is_found_by_its_name() {
        let page = r#"<form><input type="hidden" name="a" value=""><input type="hidden" name="stamp" value="x-1"></form>"#;
        assert_eq!((hidden(page, "stamp"), hidden(page, "a"), hidden(page, "b")), (Some("x-1"), Some(""), None));
    }

    #[test]
    fn a_form_may_carry_any_text() {
        assert_eq!(encoded("a+b@example.org/Zoë"), "a%2Bb%40example.org%2FZo%C3%AB");
    }
}
