//! Lines of the text part: breaks a paragraph at 72 columns and never inside a word, so that addresses stay whole.
//!
//! The one helper of ours that templates may call: `{{wrap text}}`, `{{wrap text indent="   "}}` for an item, and
//! `{{wrap "The link works until " until "."}}` for a sentence of pieces.

use super::bounded::MAX_PART;
use handlebars::{Context, Handlebars, Helper, HelperResult, Output, RenderContext, RenderErrorReason};

/// The widest line of a text part; an address may be longer.
pub(super) const WIDTH: usize = 72;

/// Breaks `text` into lines of at most [`WIDTH`] columns; each line after the first begins with `indent`.
pub(super) fn wrap(text: &str, indent: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 32);
    let mut column = indent.chars().count();
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if out.is_empty() {
            out.push_str(word);
        } else if column + 1 + length <= WIDTH {
            out.push(' ');
            out.push_str(word);
            column += 1;
        } else {
            out.push('\n');
            out.push_str(indent);
            out.push_str(word);
            column = indent.chars().count();
        }
        column += length;
    }
    out
}

/// [`wrap`] as templates call it.
pub(super) fn helper(
    call: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    if call.params().is_empty() {
        return Err(RenderErrorReason::ParamNotFoundForIndex("wrap", 0).into());
    }
    let mut text = String::new();
    for piece in call.params() {
        if piece.is_value_missing() {
            return Err(RenderErrorReason::MissingVariable(piece.relative_path().cloned()).into());
        }
        text.push_str(piece.value().as_str().ok_or(RenderErrorReason::InvalidParamType("text"))?);
        if text.len() > MAX_PART {
            return Err(std::io::Error::other("`wrap` was given more than any mail may have").into());
        }
    }
    let indent = call.hash_get("indent").and_then(|value| value.value().as_str()).unwrap_or("");
    out.write(&wrap(&text, indent))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn wrapping_keeps_every_word_and_only_a_lone_word_is_wider(text in "[a-zé \n]{0,400}") {
            let wrapped = wrap(&text, "  ");
            prop_assert!(wrapped.split_whitespace().eq(text.split_whitespace()));
            for line in wrapped.lines() {
                prop_assert!(line.chars().count() <= WIDTH || line.split_whitespace().count() == 1);
            }
        }
    }

    #[test]
    fn later_lines_are_indented() {
        let wrapped = wrap(&"word ".repeat(30), "   ");
        assert!(wrapped.lines().skip(1).all(|line| line.starts_with("   word")));
    }
}
