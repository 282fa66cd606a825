//! Filling a template into a text that may grow so far and no further, whatever the template does.
//!
//! `Templates` fills every part through this; how much work a template may ask for is settled before, by `budget`.

use super::error::{RenderError, failed};
use handlebars::{Context, Handlebars};
use std::io::{Error, ErrorKind, Write};

/// The most that a part may have; an HTML part is refused long before.
pub(super) const MAX_PART: usize = 1024 * 1024;

/// Fills `part` with `context`.
pub(super) fn fill(registry: &Handlebars<'static>, part: &str, context: &Context) -> Result<String, RenderError> {
    let mut out = Bounded { bytes: Vec::with_capacity(16 * 1024), over: false };
    let filled = registry.render_with_context_to_write(part, context, &mut out);
    if out.over {
        return Err(RenderError::Overflow { template: part.to_owned(), limit: MAX_PART });
    }
    filled.map_err(|error| failed(part, error))?;
    String::from_utf8(out.bytes).map_err(|error| RenderError::Failed { template: part.to_owned(), why: error.to_string() })
}

struct Bounded {
    bytes: Vec<u8>,
    over: bool,
}

impl Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        self.write_all(piece).map(|()| piece.len())
    }

    // All that handlebars calls, for each piece of each mail.
    fn write_all(&mut self, piece: &[u8]) -> std::io::Result<()> {
        if self.bytes.len() + piece.len() > MAX_PART {
            self.over = true;
            return Err(Error::from(ErrorKind::FileTooLarge));
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
