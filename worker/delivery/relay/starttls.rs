//! The few lines in the clear before TLS: greeting, EHLO, STARTTLS (RFC 3207).
//!
//! Read by hand, because the plain stream must be taken back afterwards, and nothing that came with the last clear line may
//! be mistaken for what the server says under TLS. Called by `smtp` when it connects with STARTTLS.

use crate::delivery::reply::{Phase, Reply};
use std::io;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// More than that is no reply.
const LONGEST: usize = 64 * 1024;

/// What came of it.
pub(super) enum Clear {
    /// TLS begins with the next byte.
    Ready(TcpStream),
    /// The server has greeted and knows no STARTTLS, or will not now.
    NotOffered(TcpStream),
    /// It said no.
    Refused(Phase, Reply),
}

/// Reads the greeting, asks what is offered, and asks for TLS.
pub(super) async fn ask(stream: TcpStream, hello: &str) -> io::Result<Clear> {
    let mut stream = BufReader::new(stream);
    let greeting = read(&mut stream).await?;
    if greeting.code / 100 != 2 {
        return Ok(Clear::Refused(Phase::Connect, greeting));
    }
    let offer = say(&mut stream, &format!("EHLO {hello}")).await?;
    if offer.code / 100 != 2 {
        return Ok(Clear::Refused(Phase::Hello, offer));
    }
    if !offer.text.split('\n').any(|line| line.trim().eq_ignore_ascii_case("STARTTLS")) {
        return Ok(Clear::NotOffered(stream.into_inner()));
    }
    let answer = say(&mut stream, "STARTTLS").await?;
    if !stream.buffer().is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the server sent more than its answer to STARTTLS; somebody may be in between",
        ));
    }
    match answer.code {
        220 => Ok(Clear::Ready(stream.into_inner())),
        _ => Ok(Clear::NotOffered(stream.into_inner())),
    }
}

async fn say(stream: &mut BufReader<TcpStream>, line: &str) -> io::Result<Reply> {
    stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await?;
    read(stream).await
}

// Lines of the text are kept apart by a line feed.
async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Reply> {
    let mut text = String::new();
    loop {
        let mut line = Vec::new();
        if (&mut *stream).take(LONGEST as u64).read_until(b'\n', &mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(&line);
        let code = line.get(..3).and_then(|c| c.parse().ok()).filter(|c| (200..600).contains(c));
        let Some(code) = code else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "this is not an SMTP server"));
        };
        text.push_str(line.get(4..).unwrap_or_default().trim_end());
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(Reply { code, text });
        }
        text.push('\n');
        if text.len() > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the server's reply has no end"));
        }
    }
}
