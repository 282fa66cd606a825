//! The floors: imports point down only. Every `crate::…` path in `worker/` is read, and one that points up or sideways is named.
//!
//! The floors are those of ARCHITECTURE.md. Tests inside the sources obey them too.

use std::fs;
use std::path::{Path, PathBuf};

/// Lowest first; what stands in one row are neighbours, which do not import each other.
const FLOORS: [&[&str]; 10] = [
    &["base"],
    &["content", "audience"],
    &["delivery"],
    &["signup"],
    &["campaigns", "waitlist"],
    &["people"],
    &["feedback"],
    &["web", "jobs"],
    &["demo"],
    &["cli"],
];

#[test]
fn imports_point_down_only() {
    let wrong: Vec<String> = sources(&root()).iter().flat_map(|file| wrong_imports(file)).collect();
    assert!(wrong.is_empty(), "imports that do not point down:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_at_the_top_stands_on_a_floor() {
    let library = fs::read_to_string(root().join("lib.rs")).expect("worker/lib.rs");
    let modules: Vec<&str> = library.lines().filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(modules.len() > 5, "worker/lib.rs lists the modules");
    let homeless: Vec<&&str> = modules.iter().filter(|module| floor(module).is_none()).collect();
    assert!(homeless.is_empty(), "no floor is known for {homeless:?}: give them one in FLOORS and in ARCHITECTURE.md");
}

#[test]
fn an_import_upward_or_sideways_is_found_in_every_spelling() {
    for (module, line, wrong) in [
        ("delivery", "use crate::campaigns::edition;", true),
        ("delivery", "use crate::base::clock::Clock;", false),
        ("delivery", "use crate::delivery::ledger;", false),
        ("content", "use crate::audience::csv;", true),
        ("jobs", "    let router = crate::web::router();", true),
        ("base", "pub(crate) use crate::{base::clock, cli};", true),
        ("base", "use crate::{", false),
        ("people", "use crate::{campaigns, delivery::ledger as l, audience::{a, b}};", false),
        ("people", "// crate::cli is only spoken of", false),
        ("audience", "pub(in crate::audience) fn f() {}", false),
        ("web", "use tidings::cli::run;", true),
    ] {
        let found = modules_in(line).iter().any(|name| points_wrong(module, name));
        assert_eq!(found, wrong, "{module}: {line}");
    }
    let over_lines = "use crate::{\n    base::clock,\n    cli::{run, walk},\n};\n";
    assert_eq!(imports(over_lines), [(1, "base".to_owned()), (1, "cli".to_owned())]);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("worker")
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn points_wrong(from: &str, to: &str) -> bool {
    match (floor(from), floor(to)) {
        (Some(own), Some(other)) => from != to && other >= own,
        _ => false,
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files
}

/// Each wrong import of a file as `file:line: …`. `main.rs` and `lib.rs` stand above all floors.
fn wrong_imports(file: &Path) -> Vec<String> {
    let path = file.strip_prefix(root()).expect("a source").to_owned();
    let first = path.iter().next().expect("a name").to_string_lossy().into_owned();
    let module = first.strip_suffix(".rs").unwrap_or(&first).to_owned();
    let text = fs::read_to_string(file).expect("a source file");
    let wrong = imports(&text).into_iter().filter(|(_, name)| points_wrong(&module, name));
    wrong.map(|(line, name)| format!("worker/{}:{line}: `{module}` may not import `{name}`", path.display())).collect()
}

/// The line, from 1, and the first module of every path that begins at the root of the package.
fn imports(text: &str) -> Vec<(usize, String)> {
    let plain: Vec<&str> = text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code)).collect();
    let mut found = Vec::new();
    for (index, line) in plain.iter().enumerate() {
        // A list in braces goes on over the following lines.
        let rest = if line.contains("crate::{") || line.contains("tidings::{") { plain[index..].join("\n") } else { (*line).to_owned() };
        let statement = rest.split_once(';').map_or(rest.as_str(), |(statement, _)| statement);
        found.extend(modules_in(statement).into_iter().map(|name| (index + 1, name)));
    }
    found
}

fn modules_in(code: &str) -> Vec<String> {
    let code = code.split_once("//").map_or(code, |(code, _)| code);
    let roots = ["crate::", "tidings::"];
    let starts =
        roots.iter().flat_map(|root| code.match_indices(root).filter(|(at, _)| is_a_root(code, *at)).map(|(at, found)| at + found.len()));
    starts.flat_map(|start| heads(&code[start..])).collect()
}

/// `$crate::` of a macro and `other_crate::` are no paths from our root.
fn is_a_root(code: &str, at: usize) -> bool {
    !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == '$')
}

/// The first name of a path, or of each path of a list in braces.
fn heads(path: &str) -> Vec<String> {
    let name = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(list) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut depth = 0;
    let mut items = vec![String::new()];
    for letter in list.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(String::new()),
            _ if depth == 0 => items.last_mut().expect("an item").push(letter),
            _ => {}
        }
    }
    items.iter().map(|item| name(item)).filter(|name| !name.is_empty()).collect()
}
