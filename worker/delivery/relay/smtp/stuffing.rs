//! The body as it goes over the wire: lines in CR LF, dots doubled, the final dot behind it (RFC 5321, 4.5.2).

/// The mail with its final dot, to be sent in one write; `None` where it is not UTF-8.
///
/// A lone CR or LF becomes a line break, so that no server can see an end of the mail where we see none.
pub(super) fn stuffed(message: Vec<u8>) -> Option<String> {
    let mut message = String::from_utf8(message).ok()?;
    if !has_whole_lines(message.as_bytes()) {
        return Some(line_by_line(&message));
    }
    let dots: Vec<usize> = dots_at_beginnings(&message).collect();
    if dots.is_empty() {
        message.push_str(".\r\n");
        return Some(message);
    }
    let mut out = String::with_capacity(message.len() + dots.len() + 3);
    let mut begin = 0;
    for dot in dots {
        out.extend([&message[begin..dot], "."]);
        begin = dot;
    }
    out.extend([&message[begin..], ".\r\n"]);
    Some(out)
}

fn dots_at_beginnings(message: &str) -> impl Iterator<Item = usize> {
    let first = message.starts_with('.').then_some(0);
    first.into_iter().chain(memchr::memmem::find_iter(message.as_bytes(), b"\n.").map(|end| end + 1))
}

fn line_by_line(message: &str) -> String {
    let mut out = String::with_capacity(message.len() + message.len() / 64 + 8);
    for line in message.split_terminator('\n') {
        for piece in line.strip_suffix('\r').unwrap_or(line).split('\r') {
            if piece.starts_with('.') {
                out.push('.');
            }
            out.extend([piece, "\r\n"]);
        }
    }
    out.push_str(".\r\n");
    out
}

// Whether each CR has its LF, each LF its CR, and the last line its end. As good as every mail: it is checked without a branch.
fn has_whole_lines(message: &[u8]) -> bool {
    let pairs = message.iter().zip(message.get(1..).unwrap_or_default());
    let whole = pairs.fold(true, |whole, (a, b)| whole & ((*a == b'\r') == (*b == b'\n')));
    whole && !message.starts_with(b"\n") && message.ends_with(b"\r\n")
}

#[cfg(test)]
mod tests {
    use super::{line_by_line, stuffed};
    use proptest::prelude::*;

    #[test]
    fn dots_are_doubled_and_line_ends_made_whole() {
        for (message, wire) in [
            ("a\r\nb\r\n", "a\r\nb\r\n.\r\n"),
            (".\r\n..\r\na.\r\n", "..\r\n...\r\na.\r\n.\r\n"),
            ("a\n.\nb", "a\r\n..\r\nb\r\n.\r\n"),
            ("a\r.\rb\r\n", "a\r\n..\r\nb\r\n.\r\n"),
            ("\r\n", "\r\n.\r\n"),
            ("", ".\r\n"),
        ] {
            assert_eq!(stuffed(message.into()).unwrap(), wire, "{message:?}");
        }
        assert_eq!(stuffed(b"\xff".to_vec()), None);
    }

    proptest! {
        #[test]
        fn no_message_ends_before_its_end(message in "[.\\r\\na]{0,60}") {
            let wire = stuffed(message.clone().into()).unwrap();
            let body = wire.strip_suffix(".\r\n").unwrap();
            let lines = format!("\r\n{body}");
            prop_assert!(!lines.contains("\r\n.\r\n"));
            prop_assert!(!body.replace("\r\n", "").contains(['\r', '\n']));
        }

        #[test]
        fn whole_messages_are_stuffed_as_line_by_line(message in "([.a]{0,3}(\r\n|\r|\n)?){0,6}") {
            prop_assert_eq!(stuffed(message.clone().into()).unwrap(), line_by_line(&message));
        }
    }
}
