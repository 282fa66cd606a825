//! The files that templates are made of, each from the operator's folder, else from the binary, else from the database.
//!
//! Owns their names, where each came from, and the digest that is their version; pure. `folder` reads an operator's, `compile`
//! makes templates of all.

use ring::digest::{SHA256, digest};
use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

macro_rules! built_in {
    ($($part:literal)*) => { &[$(($part, include_str!(concat!("../../../templates/email/", $part, ".hbs")))),*] };
}

/// Every file of the binary, by its name without `.hbs`.
static BUILT_IN: &[(&str, &str)] = built_in! {
    "weekly_tip/subject.txt" "weekly_tip/body.txt" "weekly_tip/body.mjml" "weekly_tip/reading.txt" "weekly_tip/reading.html"
    "broadcast/subject.txt" "broadcast/body.txt" "broadcast/body.mjml"
    "confirmation/subject.txt" "confirmation/body.txt" "confirmation/body.mjml"
    "reminder/subject.txt" "reminder/body.txt" "reminder/body.mjml"
    "welcome/subject.txt" "welcome/body.txt" "welcome/body.mjml"
    "preferences_link/subject.txt" "preferences_link/body.txt" "preferences_link/body.mjml"
    "joined/subject.txt" "joined/body.txt" "joined/body.mjml"
    "offer/subject.txt" "offer/body.txt" "offer/body.mjml"
    "offer_reminder/subject.txt" "offer_reminder/body.txt" "offer_reminder/body.mjml"
    "expired/subject.txt" "expired/body.txt" "expired/body.mjml"
    "accepted/subject.txt" "accepted/body.txt" "accepted/body.mjml"
    "closed/subject.txt" "closed/body.txt" "closed/body.mjml"
    "layout/head.mjml" "layout/masthead.mjml" "layout/foot.mjml" "layout/foot.txt"
    "layout/button.html" "layout/wish.html" "layout/wish.txt"
};

/// Where a file came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Compiled into the binary.
    BuiltIn,
    /// The operator's folder.
    Folder(PathBuf),
    /// The database: a version that an edition began with.
    Stored,
}

/// A place in a file, as an error names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, the first is 1; none where it is not known.
    pub line: Option<usize>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

#[derive(Debug, Clone)]
struct File {
    text: String,
    from: Origin,
}

/// One version of all files. Names are those of the parts: `weekly_tip/body.mjml`, without `.hbs`.
#[derive(Debug, Clone)]
pub struct Files {
    files: BTreeMap<String, File>,
    version: String,
}

impl Files {
    /// Those of the binary.
    pub fn built_in() -> Self {
        Self::over_built_in(BTreeMap::new(), &Origin::BuiltIn)
    }

    /// `texts` by their parts, and what they leave out from the binary.
    pub fn over_built_in(texts: BTreeMap<String, String>, from: &Origin) -> Self {
        let built_in = BUILT_IN.iter().map(|(part, text)| ((*part).to_owned(), File { text: (*text).to_owned(), from: Origin::BuiltIn }));
        let mut files: BTreeMap<String, File> = built_in.collect();
        files.extend(texts.into_iter().map(|(part, text)| (part, File { text, from: from.clone() })));
        let version = digest_of(&files);
        Self { files, version }
    }

    /// The version `version` out of the database; a template that is newer than it is the binary's.
    pub fn stored(version: &str, texts: BTreeMap<String, String>) -> Self {
        Self { version: version.to_owned(), ..Self::over_built_in(texts, &Origin::Stored) }
    }

    /// What tells versions apart: the SHA-256 of all names and texts, in hex.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// All texts by their parts.
    pub fn texts(&self) -> BTreeMap<&str, &str> {
        self.parts().collect()
    }

    /// Every part and its text, in order.
    pub fn parts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(part, file)| (part.as_str(), file.text.as_str()))
    }

    /// The text of a part.
    pub fn text(&self, part: &str) -> Option<&str> {
        self.files.get(part).map(|file| file.text.as_str())
    }

    /// Where a part came from.
    pub fn origin(&self, part: &str) -> Option<&Origin> {
        self.files.get(part).map(|file| &file.from)
    }

    /// A place in a part, as an error names it.
    pub fn place(&self, part: &str, line: Option<usize>) -> Place {
        let file = match self.origin(part) {
            Some(Origin::Folder(folder)) => folder.join(format!("{part}.hbs")).display().to_string(),
            Some(Origin::Stored) => format!("{part}.hbs of version {}", &self.version[..12.min(self.version.len())]),
            Some(Origin::BuiltIn) | None => format!("templates/email/{part}.hbs"),
        };
        Place { file, line }
    }
}

/// The text of a part as the binary has it.
pub fn built_in(part: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(of, _)| *of == part).map(|(_, text)| *text)
}

/// The names of the built-in templates and, as `layout`, of what they share, each with its parts.
pub fn templates() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut found: Vec<(&'static str, Vec<&'static str>)> = Vec::new();
    for (part, _) in BUILT_IN {
        let name = part.split('/').next().unwrap_or(part);
        match found.last_mut().filter(|(of, _)| *of == name) {
            Some((_, parts)) => parts.push(part),
            None => found.push((name, vec![part])),
        }
    }
    found
}

/// Whether a template has a part of this name, or the layout may have.
pub(super) fn is_known(part: &str) -> bool {
    built_in(part).is_some() || layout_part(part).is_some()
}

/// The name and the kind (mjml, html, txt) of a part of the layout: the operator may add some.
pub(super) fn layout_part(part: &str) -> Option<(&str, &str)> {
    let (name, kind) = part.strip_prefix("layout/")?.split_once('.')?;
    let named = name.len() <= 40 && name.starts_with(|c: char| c.is_ascii_lowercase());
    let sound = named && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    (sound && matches!(kind, "mjml" | "html" | "txt")).then_some((name, kind))
}

fn digest_of(files: &BTreeMap<String, File>) -> String {
    let mut all = String::new();
    for (part, file) in files {
        let _ = write!(all, "{part}\0{}\0{}", file.text.len(), file.text);
    }
    digest(&SHA256, all.as_bytes()).as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_sources_is_in_the_binary() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/email");
        let mut seen = 0;
        for template in std::fs::read_dir(&folder).unwrap() {
            for file in std::fs::read_dir(template.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                let part = path.strip_prefix(&folder).unwrap().with_extension("");
                assert!(built_in(part.to_str().unwrap()).is_some(), "{}", path.display());
                seen += 1;
            }
        }
        assert_eq!(seen, BUILT_IN.len());
    }

    #[test]
    fn a_version_is_known_by_names_and_texts_alone() {
        let one = |part: &str, text: &str| BTreeMap::from([(part.to_owned(), text.to_owned())]);
        let built_in = Files::built_in();
        assert_eq!(built_in.version().len(), 64);
        let same = Files::over_built_in(
            one("weekly_tip/subject.txt", super::built_in("weekly_tip/subject.txt").unwrap()),
            &Origin::Folder("/x".into()),
        );
        assert_eq!(same.version(), built_in.version());
        assert_ne!(Files::over_built_in(one("weekly_tip/subject.txt", "x"), &Origin::Stored).version(), built_in.version());
        assert_ne!(Files::over_built_in(one("layout/own.txt", ""), &Origin::Stored).version(), built_in.version());
    }

    #[test]
    fn only_plain_names_are_parts() {
        for part in ["layout/own_2.txt", "layout/head.mjml", "weekly_tip/reading.html"] {
            assert!(is_known(part), "{part}");
        }
        for part in
            ["layout/../x.txt", "layout/a/b.txt", "layout/.txt", "layout/own.md", "own/body.txt", "layout/Own.txt", "weekly_tip/own.txt"]
        {
            assert!(!is_known(part), "{part}");
        }
    }
}
