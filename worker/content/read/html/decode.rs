//! The characters of a page: by its byte order mark, its own declaration, or UTF-8.
//!
//! Called by `read`, which tries UTF-8 first: a page that is UTF-8 needs no declaration.

use encoding_rs::Encoding;

/// How much of a page is looked at for a declaration.
const HEAD: usize = 4_096;

/// Decodes a page that says what it is written in; nothing when it does not say so, or says so wrongly.
pub(in crate::content::read) fn decode(bytes: &[u8]) -> Option<String> {
    let (encoding, _) = Encoding::for_bom(bytes).or_else(|| declared(bytes).map(|encoding| (encoding, 0)))?;
    let (text, _, broken) = encoding.decode(bytes);
    (!broken || encoding != encoding_rs::UTF_8).then(|| text.into_owned())
}

/// `<meta charset="x">`, `content="text/html; charset=x"` or `<?xml encoding="x"?>`.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD)]).to_ascii_lowercase();
    let in_xml = head.trim_start().starts_with("<?xml").then(|| head.split("?>").next()).flatten();
    let in_meta = head.split("<meta").skip(1).filter_map(|rest| rest.split('>').next()).find(|tag| tag.contains("charset"));
    let label = |text: &str, key: &str| {
        let value = text.split_once(key)?.1.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
        value.split(['"', '\'', ';', '/', ' ']).next().map(str::to_owned)
    };
    let name = in_xml.and_then(|xml| label(xml, "encoding")).or_else(|| in_meta.and_then(|tag| label(tag, "charset")))?;
    Encoding::for_label(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn a_page_is_read_in_the_characters_that_it_declares() {
        let latin = b"<html><head><meta charset=\"iso-8859-1\"></head><body>caf\xe9</body>";
        assert!(decode(latin).is_some_and(|text| text.contains("café")));
        let older = b"<meta http-equiv='Content-Type' content='text/html; charset=windows-1252'>\x93so\x94";
        assert!(decode(older).is_some_and(|text| text.contains("“so”")));
        assert!(decode(b"<?xml version='1.0' encoding='ISO-8859-15'?><html>\xa4</html>").is_some_and(|text| text.contains('€')));
        assert!(decode(b"\xff\xfe<\0p\0>\0a\0").is_some_and(|text| text == "<p>a"));
        assert_eq!(decode(b"<p>caf\xe9</p>"), None);
        assert_eq!(decode(b"<meta charset=utf-8>caf\xe9"), None);
    }
}
