//! The command line as a whole: every command and argument says what it is, and what is made out of the tree is sound.

use std::process::Command;

use assert_cmd::cargo::cargo_bin;

fn walk(command: &clap::Command, name: &str, look: &mut impl FnMut(&str, &clap::Command)) {
    look(name, command);
    command.get_subcommands().for_each(|sub| walk(sub, &format!("{name} {}", sub.get_name()), look));
}

fn tidings(arguments: &[&str]) -> String {
    let output = Command::new(cargo_bin("tidings")).args(arguments).env_clear().output().expect("the binary");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Whether a program is on this system; a check by it is passed over otherwise.
fn there_is(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

#[test]
fn every_command_says_what_it_does_and_every_argument_what_it_is() {
    let mut silent = Vec::new();
    walk(&tidings::cli::command(), "tidings", &mut |name, command| {
        if command.get_about().is_none() {
            silent.push(name.to_owned());
        }
        let arguments = command.get_arguments().filter(|argument| argument.get_help().is_none());
        silent.extend(arguments.map(|argument| format!("{name} {}", argument.get_id())));
    });
    assert!(silent.is_empty(), "no help for: {}", silent.join(", "));
}

/// The commands below one that a word names, `a|b` naming two; none: there is no such command.
fn below<'a>(name: &str, command: &'a clap::Command, word: &str) -> Vec<(String, Option<&'a clap::Command>)> {
    word.split('|').map(|part| (format!("{name} {part}"), command.find_subcommand(part))).collect()
}

/// The commands that the README writes out, `a|b` meaning both, and what it takes for one that is none.
fn written(readme: &str) -> (Vec<String>, Vec<String>) {
    let root = tidings::cli::command();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for rest in readme.split("tidings ").skip(1) {
        let mut at = vec![("tidings".to_owned(), &root)];
        for token in rest.split(['\n', '`']).next().unwrap_or_default().split_whitespace() {
            let token = token.trim_end_matches([',', ';', '.', ':']);
            if at.iter().all(|(_, command)| !command.has_subcommands())
                || !token.chars().all(|c| c.is_ascii_lowercase() || "-|".contains(c))
            {
                break;
            }
            let found: Vec<_> = at.iter().flat_map(|(name, command)| below(name, command, token)).collect();
            unknown.extend(found.iter().filter(|(_, command)| command.is_none()).map(|(name, _)| name.clone()));
            at = found.into_iter().filter_map(|(name, command)| Some((name, command?))).collect();
        }
        known.extend(at.into_iter().map(|(name, _)| name));
    }
    (known, unknown)
}

#[test]
fn every_command_stands_in_the_readme_and_every_command_in_the_readme_exists() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("the README");
    let (known, unknown) = written(&readme);
    assert!(unknown.is_empty(), "no such command: {}", unknown.join(", "));
    let mut missing = Vec::new();
    walk(&tidings::cli::command(), "tidings", &mut |name, command| {
        if !command.has_subcommands() && !known.iter().any(|other| other == name) {
            missing.push(name.to_owned());
        }
    });
    assert!(missing.is_empty(), "not in the README: {}", missing.join(", "));
}

#[test]
fn the_settings_are_printed_for_programs_too_without_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(cargo_bin("tidings"));
    command.args(["config", "check", "--json"]).env_clear().env("HOME", folder.path()).current_dir(folder.path());
    let output = command.env("DATABASE_URL", "postgres://ana:secret@127.0.0.1/tidings").output().expect("the binary");
    let text = String::from_utf8(output.stdout).expect("text");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(output.status.success() && output.stderr.is_empty() && !text.contains("secret"), "{text}");
    assert_eq!(json["settings"]["database"]["url"], "postgres://ana:***@127.0.0.1/tidings");
    assert_eq!(json["settings"]["web"]["port"], 8080);
    assert!(json["missing"].as_str().is_some_and(|missing| missing.contains("site.url (TIDINGS_SITE__URL)")), "{text}");
}

#[test]
fn the_tree_of_commands_is_sound() {
    tidings::cli::command().debug_assert();
}

#[test]
fn shells_read_their_completions_and_they_name_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = tidings(&["completions", shell]);
        walk(&tidings::cli::command(), "tidings", &mut |name, command| assert!(script.contains(command.get_name()), "{shell}: {name}"));
        let path = folder.path().join(shell);
        std::fs::write(&path, script).expect("a script");
        if ["bash", "zsh", "fish"].contains(&shell) && there_is(shell) {
            let read = Command::new(shell).arg("-n").arg(&path).output().expect("the shell");
            assert!(read.status.success() && read.stderr.is_empty(), "{shell}: {}", String::from_utf8_lossy(&read.stderr));
        }
    }
    let completed =
        "source \"$0\"; COMP_WORDS=(tidings campaign fore); COMP_CWORD=2; _tidings tidings fore campaign; echo \"${COMPREPLY[@]}\"";
    let completed = Command::new("bash").arg("-c").arg(completed).arg(folder.path().join("bash")).output().expect("bash");
    assert_eq!(String::from_utf8_lossy(&completed.stdout).trim(), "forecast");
}

#[test]
fn each_command_has_a_page_of_the_manual_that_can_be_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().join("man1");
    tidings(&["man", "--to", &pages.display().to_string()]);
    let mut wanted = Vec::new();
    walk(&tidings::cli::command(), "tidings", &mut |name, _| wanted.push(format!("{}.1", name.replace(' ', "-"))));
    let mut written: Vec<String> =
        std::fs::read_dir(&pages).expect("the pages").flatten().map(|page| page.file_name().to_string_lossy().into_owned()).collect();
    wanted.sort();
    written.sort();
    assert_eq!(written, wanted);
    assert_eq!(std::fs::read_to_string(pages.join("tidings.1")).expect("the first page"), tidings(&["man"]));
    if there_is("groff") {
        // All warnings of the formatter: a page with an unknown request or a broken line would be shown wrongly.
        for page in &written {
            let shown = Command::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(pages.join(page)).output().expect("groff");
            assert!(shown.status.success() && shown.stderr.is_empty(), "{page}: {}", String::from_utf8_lossy(&shown.stderr));
        }
    }
}
