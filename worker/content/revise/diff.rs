//! What differs between two revisions of a tip, sentence by sentence.
//!
//! Pure. A paragraph is one long line of Markdown; a diff of such lines would show all of it twice for one word.

use crate::content::sentences::sentences;
use similar::TextDiff;

/// The words of a revision.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// Its subject.
    pub subject: &'a str,
    /// Its preheader.
    pub preheader: &'a str,
    /// Its body.
    pub markdown: &'a str,
}

/// A unified diff with a line for each sentence; empty when nothing differs.
pub fn diff(from: Text<'_>, to: Text<'_>) -> String {
    let (from, to) = (laid_out(from), laid_out(to));
    TextDiff::from_lines(&from, &to).unified_diff().context_radius(1).to_string()
}

fn laid_out(text: Text<'_>) -> String {
    let mut out = format!("Subject: {}\nPreheader: {}\n\n", text.subject, text.preheader);
    for line in text.markdown.lines() {
        let parts: Vec<&str> = sentences(line).collect();
        // What is one sentence, or none, stands as it is: its indentation says something.
        for part in if parts.len() > 1 { parts } else { vec![line] } {
            out.push_str(part);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Text, diff};

    #[test]
    fn only_the_sentence_that_differs_is_shown_with_its_neighbours() {
        let text = |markdown| Text { subject: "Heat", preheader: "Warm it.", markdown };
        let (before, after) = (
            text("Warm it first. Ten minutes do. Then rest.\n\n- a\n- b"),
            text("Warm it first. Twenty minutes do. Then rest.\n\n- a\n- b"),
        );
        insta::assert_snapshot!(diff(before, after), @r"
        @@ -4,3 +4,3 @@
         Warm it first.
        -Ten minutes do.
        +Twenty minutes do.
         Then rest.
        ");
        assert_eq!(diff(before, before), "");
    }
}
