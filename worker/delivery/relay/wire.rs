//! The byte stream below a session: TCP with NODELAY, or TLS over it, in the shape that lettre takes.
//!
//! Two things are done to what comes in. A greeting that was already read (before STARTTLS) is played again, because lettre
//! waits for one. And bytes that are no UTF-8 become question marks: lettre would take a reply in another encoding for a
//! broken connection, and a refusal after the body for no answer at all.

use lettre::transport::smtp::client::AsyncTokioStream;
use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

/// The stream.
pub(super) struct Wire {
    socket: Socket,
    again: &'static [u8],
}

enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self { socket: Socket::Plain(stream), again: b"" }
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self { socket: Socket::Tls(Box::new(stream)), again: b"" }
    }

    /// For a server that has greeted already.
    pub(super) fn greeted(mut self) -> Self {
        self.again = b"220 greeted before\r\n";
        self
    }

    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.socket, Socket::Tls(_))
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.again.is_empty() {
            let (now, later) = self.again.split_at(buf.remaining().min(self.again.len()));
            buf.put_slice(now);
            self.again = later;
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        match &mut self.socket {
            Socket::Plain(stream) => ready!(Pin::new(stream).poll_read(cx, buf))?,
            Socket::Tls(stream) => ready!(Pin::new(stream).poll_read(cx, buf))?,
        }
        make_readable(&mut buf.filled_mut()[before..]);
        Poll::Ready(Ok(()))
    }
}

// A character that is cut by the end of what was read is lost too; replies are read whole almost always.
fn make_readable(mut bytes: &mut [u8]) {
    while let Err(e) = std::str::from_utf8(bytes) {
        let start = e.valid_up_to();
        let end = e.error_len().map_or(bytes.len(), |length| start + length);
        bytes[start..end].fill(b'?');
        bytes = &mut bytes[end..];
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Socket::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Socket::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Plain(stream) => stream.peer_addr(),
            Socket::Tls(stream) => stream.get_ref().0.peer_addr(),
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_encrypted() { "Wire (TLS)" } else { "Wire (plain)" })
    }
}

#[cfg(test)]
mod tests {
    use super::make_readable;

    #[test]
    fn bytes_that_are_no_text_become_question_marks() {
        for (bytes, text) in [
            (&b"550 5.1.1 no"[..], "550 5.1.1 no"),
            (b"550 Empf\xe4nger unbekannt", "550 Empf?nger unbekannt"),
            ("550 Empfänger 不".as_bytes(), "550 Empfänger 不"),
            (b"550 cut \xe4\xb8", "550 cut ??"),
            (b"\xff\xfe\x80a", "???a"),
        ] {
            let mut bytes = bytes.to_vec();
            make_readable(&mut bytes);
            assert_eq!(std::str::from_utf8(&bytes).unwrap(), text);
        }
    }
}
