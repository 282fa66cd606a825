//! Articles that became no tips: why each, in few lines for the terminal and in full for JSON.
//!
//! Called by the commands that import articles. A large export has hundreds of posts with nothing but a picture in them; they are one line.

use super::table::count;
use crate::content::{ContentError, SegmentError};
use serde::Serialize;

/// So many with one reason have a line each, or are named in the line that stands for all.
const NAMED: usize = 3;

/// An article that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Refused {
    /// The file, and for one of many articles its title or its address.
    pub(super) name: String,
    /// The reason, in a sentence.
    pub(super) reason: String,
    /// It has no sections, and this was looked for.
    #[serde(skip)]
    pub(super) looked_for: Option<&'static str>,
}

impl Refused {
    /// Refused because of this, which says all that there is to say.
    pub(super) fn because(name: &str, error: &anyhow::Error) -> Self {
        let looked_for = error.downcast_ref().and_then(looked_for);
        Self { name: name.to_owned(), reason: format!("{error:#}"), looked_for }
    }
}

/// What was looked for in an article that has no sections.
pub(super) fn looked_for(error: &ContentError) -> Option<&'static str> {
    match error {
        ContentError::Segment(SegmentError::NoSections { looked_for, .. }) => Some(looked_for),
        _ => None,
    }
}

/// The lines for the terminal.
pub(super) fn lines(refused: &[Refused]) -> Vec<String> {
    let without: Vec<&Refused> = refused.iter().filter(|one| one.looked_for.is_some()).collect();
    let folded = without.len() > NAMED;
    let mut lines: Vec<String> = refused.iter().filter(|one| !folded || one.looked_for.is_none()).map(|one| one.reason.clone()).collect();
    if let Some(looked_for) = without.first().and_then(|one| one.looked_for).filter(|_| folded) {
        let names: Vec<String> = without.iter().take(NAMED).map(|one| format!("`{}`", one.name)).collect();
        lines.push(format!(
            "{} have no sections: {looked_for}; they are {} and {}. `--json` names all of them",
            count(without.len(), "article"),
            names.join(", "),
            count(without.len() - NAMED, "other")
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, looked_for: Option<&'static str>) -> Refused {
        Refused { name: name.to_owned(), reason: format!("`{name}` is refused"), looked_for }
    }

    #[test]
    fn many_articles_without_sections_are_one_line_and_few_are_named_each() {
        let many: Vec<Refused> = (0..40).map(|n| refused(&format!("post {n}"), Some("headings were looked for"))).collect();
        let with_another = [&many[..], &[refused("x", None)]].concat();
        assert_eq!(
            lines(&with_another),
            [
                "`x` is refused",
                "40 articles have no sections: headings were looked for; they are `post 0`, `post 1`, `post 2` and 37 others. `--json` names all of them"
            ]
        );
        assert_eq!(lines(&many[..3]).len(), 3);
        assert!(lines(&[]).is_empty());
    }
}
