//! The operator's folder of templates: read whole, and looked at for changes.
//!
//! Nothing outside the folder is ever read: no link that leads out of it, nothing that is no plain file, nothing larger than a
//! template needs. A file that belongs to no template is an error, because it would be passed over in silence.

use super::{
    TemplateError,
    error::Faults,
    files::{self, Files, Origin},
};
use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The largest file; the largest built-in one has a tenth of it.
pub const MAX_FILE: u64 = 64 * 1024;

/// The most entries of a folder that are looked at.
const MAX_ENTRIES: usize = 2_000;

/// What a folder looks like from outside: path, inode, size and times of each file. Equal means unchanged.
pub type Look = Vec<(PathBuf, u64, u64, i64, i64)>;

/// Reads the folder; whatever it does not have is the binary's. Every fault is named, not only the first.
pub fn read(folder: &Path) -> Result<Files, Faults> {
    let root = folder.canonicalize().map_err(|e| unreadable(folder, &e))?;
    let (mut texts, mut faults) = (BTreeMap::new(), Vec::new());
    for path in entries(&root).map_err(|e| unreadable(folder, &e))? {
        match read_one(&root, folder, &path) {
            Ok(Some((part, text))) => drop(texts.insert(part, text)),
            Ok(None) => {}
            Err(fault) => faults.push(fault),
        }
    }
    match faults.is_empty() {
        true => Ok(Files::over_built_in(texts, &Origin::Folder(folder.to_owned()))),
        false => Err(Faults(faults)),
    }
}

/// What the folder looks like now, without reading a file.
pub fn look(folder: &Path) -> std::io::Result<Look> {
    let paths = entries(&folder.canonicalize()?)?;
    // A file that vanishes in between makes the next look another one.
    let seen = paths.into_iter().filter_map(|path| {
        let of = fs::metadata(&path).ok()?;
        Some((path, of.ino(), of.len(), of.mtime_nsec() + of.mtime() * 1_000_000_000, of.ctime_nsec() + of.ctime() * 1_000_000_000))
    });
    Ok(seen.collect())
}

// Whatever lies one folder down, in order.
fn entries(root: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for template in fs::read_dir(root)?.take(MAX_ENTRIES) {
        let template = template?.path();
        if !is_template_name(&template) {
            continue;
        }
        for file in fs::read_dir(&template)?.take(MAX_ENTRIES) {
            found.push(file?.path());
        }
    }
    found.sort();
    Ok(found)
}

// Hidden folders (a repository's own, a mounted volume's) hold no templates.
fn is_template_name(path: &Path) -> bool {
    path.is_dir() && path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.'))
}

fn read_one(root: &Path, folder: &Path, path: &Path) -> Result<Option<(String, String)>, TemplateError> {
    let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str).and_then(|name| name.strip_suffix(".hbs")) else {
        return Ok(None);
    };
    let shown = folder.join(format!("{name}.hbs")).display().to_string();
    if !files::is_known(name) {
        return Err(TemplateError::Stranger { file: shown });
    }
    let real = path.canonicalize().map_err(|e| TemplateError::Unreadable { file: shown.clone(), why: e.to_string() })?;
    if !real.starts_with(root) || !real.is_file() {
        return Err(TemplateError::Outside { file: shown });
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(&real).map(|file| file.take(MAX_FILE + 1));
    file.and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|e| TemplateError::Unreadable { file: shown.clone(), why: e.to_string() })?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(TemplateError::TooLarge { file: shown, limit: MAX_FILE });
    }
    let text = String::from_utf8(bytes).map_err(|e| TemplateError::Unreadable { file: shown, why: format!("it is not UTF-8: {e}") })?;
    // Line ends of another system would stand in mails.
    Ok(Some((name.to_owned(), text.replace("\r\n", "\n"))))
}

fn unreadable(folder: &Path, error: &std::io::Error) -> Faults {
    let why = format!("{error}; templates.folder names it");
    Faults(vec![TemplateError::Unreadable { file: folder.display().to_string(), why }])
}
