//! The byte stream below a session: TCP with NODELAY, or TLS over it, in the shape that lettre takes.
//!
//! Replies are made readable for lettre on their way in, because it takes one that it cannot parse for a broken connection,
//! and so a refusal after the body for no answer at all: bytes that are no UTF-8 become question marks, a lone LF becomes
//! CR LF, and a bare code gets the space that RFC 5321 (4.2) leaves out. A greeting that was already read, before STARTTLS, is
//! played again, because lettre waits for one.

use lettre::transport::smtp::client::AsyncTokioStream;
use std::{
    fmt, io,
    mem::MaybeUninit,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

/// As much as is read at once; replies are short.
const READ: usize = 4096;

/// The stream.
pub(super) struct Wire {
    socket: Socket,
    replies: Replies,
}

enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What came in and was not taken yet.
#[derive(Default)]
struct Replies {
    ready: Vec<u8>,
    taken: usize,
    column: usize,
    after_cr: bool,
}

impl Wire {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self { socket: Socket::Plain(stream), replies: Replies::default() }
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self { socket: Socket::Tls(Box::new(stream)), replies: Replies::default() }
    }

    /// For a server that has greeted already.
    pub(super) fn greeted(mut self) -> Self {
        self.replies.add(&mut b"220 greeted before\r\n".to_owned());
        self
    }

    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.socket, Socket::Tls(_))
    }
}

impl Replies {
    fn add(&mut self, bytes: &mut [u8]) {
        make_utf8(bytes);
        for &byte in &*bytes {
            let ends_line = byte == b'\n' && !self.after_cr;
            if self.column == 3 && (byte == b'\r' || ends_line) {
                self.ready.push(b' ');
            }
            if ends_line {
                self.ready.push(b'\r');
            }
            self.ready.push(byte);
            self.after_cr = byte == b'\r';
            self.column = if matches!(byte, b'\r' | b'\n') { 0 } else { self.column + 1 };
        }
    }

    fn take(&mut self, buf: &mut ReadBuf<'_>) {
        let waiting = &self.ready[self.taken..];
        let now = buf.remaining().min(waiting.len());
        buf.put_slice(&waiting[..now]);
        self.taken += now;
        if self.taken == self.ready.len() {
            self.ready.clear();
            self.taken = 0;
        }
    }
}

// A character that is cut by the end of what was read is lost too; replies are read whole almost always.
fn make_utf8(mut bytes: &mut [u8]) {
    while let Err(e) = std::str::from_utf8(bytes) {
        let start = e.valid_up_to();
        let end = e.error_len().map_or(bytes.len(), |length| start + length);
        bytes[start..end].fill(b'?');
        bytes = &mut bytes[end..];
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.replies.ready.is_empty() {
            let mut bytes = [MaybeUninit::uninit(); READ];
            let mut read = ReadBuf::uninit(&mut bytes);
            match &mut self.socket {
                Socket::Plain(stream) => ready!(Pin::new(stream).poll_read(cx, &mut read))?,
                Socket::Tls(stream) => ready!(Pin::new(stream).poll_read(cx, &mut read))?,
            }
            self.replies.add(read.filled_mut());
        }
        self.replies.take(buf);
        Poll::Ready(Ok(()))
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
    use super::Replies;

    #[test]
    fn replies_become_what_lettre_can_read() {
        for (bytes, text) in [
            (&b"550 5.1.1 no\r\n"[..], "550 5.1.1 no\r\n"),
            (b"250\r\n354\r\n", "250 \r\n354 \r\n"),
            (b"250\n550-a\n550 b\n", "250 \r\n550-a\r\n550 b\r\n"),
            (b"250-\r\n250 \r\n", "250-\r\n250 \r\n"),
            (b"550 Empf\xe4nger\r\n", "550 Empf?nger\r\n"),
            ("550 Empfänger 不\r\n".as_bytes(), "550 Empfänger 不\r\n"),
            (b"550 cut \xe4\xb8", "550 cut ??"),
            (b"\xff\xfe\x80a", "???a"),
        ] {
            // Whole, and byte by byte.
            let mut whole = Replies::default();
            whole.add(&mut bytes.to_vec());
            assert_eq!(String::from_utf8_lossy(&whole.ready), text);
            if bytes.is_ascii() {
                let mut parts = Replies::default();
                bytes.iter().for_each(|byte| parts.add(&mut [*byte]));
                assert_eq!(parts.ready, whole.ready);
            }
        }
    }
}
