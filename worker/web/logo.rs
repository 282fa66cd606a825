//! The publisher's picture at the head of every page, served from here: a page loads nothing from anyone else.
//!
//! Read once, at the start; its type is told by its content and never by its name. `pages` frames every page with it.

use super::Web;
use anyhow::{Context, bail};
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use std::{fs, path::Path};

const LARGEST: u64 = 200 * 1024;

/// An SVG may be opened by itself, and is a document then: it may draw, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// The picture.
#[derive(Debug)]
pub(super) struct Logo {
    kind: &'static str,
    bytes: Vec<u8>,
}

/// Reads the picture of the settings; none when they name none.
pub(super) fn read(file: &str) -> anyhow::Result<Option<Logo>> {
    if file.is_empty() {
        return Ok(None);
    }
    let size = fs::metadata(Path::new(file)).with_context(|| format!("site.logo: `{file}` cannot be read"))?.len();
    if size > LARGEST {
        bail!("site.logo: `{file}` has {} KB: a page should not make people wait for more than 200", size.div_ceil(1024));
    }
    let bytes = fs::read(file).with_context(|| format!("site.logo: `{file}` cannot be read"))?;
    match kind(&bytes) {
        Some(kind) => Ok(Some(Logo { kind, bytes })),
        None => bail!("site.logo: `{file}` is no picture that every browser shows: expected SVG, PNG, JPEG or WebP"),
    }
}

/// `/logo`
pub(super) async fn show(State(web): State<Web>) -> Response {
    let Some(logo) = web.logo.as_deref() else { return super::error::no_page(State(web)).await };
    let headers =
        [(header::CONTENT_TYPE, logo.kind), (header::CACHE_CONTROL, "public, max-age=3600"), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (headers, logo.bytes.clone()).into_response()
}

fn kind(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        text if is_svg(std::str::from_utf8(text).ok()?) => Some("image/svg+xml"),
        _ => None,
    }
}

// The first element is `svg`; a declaration, a document type and comments may stand before it.
fn is_svg(text: &str) -> bool {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    while rest.starts_with("<?") || rest.starts_with("<!") {
        let end = if rest.starts_with("<!--") { "-->" } else { ">" };
        let Some((_, behind)) = rest.split_once(end) else { return false };
        rest = behind.trim_start();
    }
    rest.strip_prefix("<svg").is_some_and(|behind| behind.starts_with(|c: char| c.is_whitespace() || c == '>' || c == '/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_known_by_its_content() {
        for (bytes, wanted) in [
            (&b"\x89PNG\r\n\x1a\nrest"[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", Some("image/svg+xml")),
            (b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- <svg> -->\n<!DOCTYPE svg>\n<svg>", Some("image/svg+xml")),
            (b"<html><svg></svg></html>", None),
            (b"<svgx>", None),
            (b"<!-- never ended <svg>", None),
            (b"GIF89a", None),
            (b"", None),
        ] {
            assert_eq!(kind(bytes), wanted, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_file_that_is_no_logo_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path.display().to_string()
        };
        assert!(read("").unwrap().is_none());
        assert_eq!(read(&file("name.png", b"<svg/>")).unwrap().unwrap().kind, "image/svg+xml");
        for wrong in [folder.path().join("none.svg").display().to_string(), file("large.png", &vec![0; 204_801]), file("text.svg", b"logo")]
        {
            let error = format!("{:#}", read(&wrong).unwrap_err());
            assert!(error.contains("site.logo") && error.contains(&wrong), "{error}");
        }
    }
}
