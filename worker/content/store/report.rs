//! What importing an article again came to, or would come to: counts by kind, and a line for each segment.
//!
//! Made by `reimport`; the terminal and the JSON of the commands show it.

use serde::Serialize;

/// The outcome of importing an article again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many segments there are of each kind.
    pub counts: Counts,
    /// Each segment that is in the article or was last time, in the order of the article; those that are gone stand last.
    pub segments: Vec<Line>,
}

/// Segments by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// The same words and the same subject as last time.
    pub unchanged: usize,
    /// The same segment with other words or another subject.
    pub changed: usize,
    /// Cut out of another one.
    pub split: usize,
    /// Gone into another one.
    pub merged: usize,
    /// No longer in the article.
    pub vanished: usize,
    /// There for the first time.
    pub new: usize,
}

/// What became of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the fields of `Counts` say it")]
pub enum Kind {
    Unchanged,
    Changed,
    Split,
    Merged,
    Vanished,
    New,
}

/// A segment in the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What became of it.
    pub kind: Kind,
    /// Its tip; none: it is not stored yet.
    pub tip: Option<i64>,
    /// Its heading, or its subject where the article has none.
    pub name: String,
    /// The state that its tip is in now.
    pub state: String,
    /// The tips whose words it has.
    pub overlaps: Vec<i64>,
    /// An operator had edited the words that the source has changed.
    pub edited: bool,
    /// It had vanished, and is back.
    pub back: bool,
    /// What the source changed; of a changed one only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

impl Report {
    pub(super) fn of(segments: Vec<Line>) -> Self {
        let count = |kind| segments.iter().filter(|line| line.kind == kind).count();
        let counts = Counts {
            unchanged: count(Kind::Unchanged),
            changed: count(Kind::Changed),
            split: count(Kind::Split),
            merged: count(Kind::Merged),
            vanished: count(Kind::Vanished),
            new: count(Kind::New),
        };
        Self { counts, segments }
    }

    /// Whether every segment is as it was.
    pub fn is_unchanged(&self) -> bool {
        self.segments.iter().all(|line| line.kind == Kind::Unchanged && !line.back)
    }
}

impl Line {
    /// Why its tip is looked at again; none: for no reason, or only because it is new.
    pub fn cause(&self) -> Option<&'static str> {
        match (self.kind, self.edited) {
            (Kind::Changed, true) => Some("source changed under an edit"),
            (Kind::Changed, false) => Some("source changed"),
            _ => None,
        }
    }
}
