//! What a changed folder does to the versions of a process; no database.

use super::*;
use std::fs;

fn write(folder: &Path, text: &str) {
    fs::create_dir_all(folder.join("weekly_tip")).unwrap();
    fs::write(folder.join("weekly_tip/subject.txt.hbs"), text).unwrap();
}

fn versions(folder: &Path) -> Versions {
    Versions::load(samples::site().unwrap(), Some(folder)).unwrap()
}

fn version(versions: &Versions) -> String {
    versions.newest().files().version().to_owned()
}

#[test]
fn a_change_is_taken_up_once_the_folder_rests() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "One: {{tip.subject}}");
    let versions = versions(folder.path());
    let first = version(&versions);
    assert_eq!([versions.look(), versions.look()], [Change::None, Change::None]);
    write(folder.path(), "Two, and more: {{tip.subject}}");
    assert_eq!([versions.look(), versions.look(), versions.look()], [Change::None, Change::Taken, Change::None]);
    assert_ne!(version(&versions), first);
    fs::remove_file(folder.path().join("weekly_tip/subject.txt.hbs")).unwrap();
    assert_eq!([versions.look(), versions.look()], [Change::None, Change::Taken]);
    assert_eq!(version(&versions), Files::built_in().version());
}

#[test]
fn a_change_that_makes_no_sound_mails_is_refused_once_and_the_version_before_stays() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "One: {{tip.subject}}");
    let versions = versions(folder.path());
    let first = version(&versions);
    for broken in ["{{#if", "{{nobody.knows}}", "{{env 'PATH'}}"] {
        write(folder.path(), broken);
        assert_eq!([versions.look(), versions.look(), versions.look()], [Change::None, Change::Refused, Change::None], "{broken}");
        assert_eq!(version(&versions), first, "{broken}");
    }
    write(folder.path(), "One: {{tip.subject}}");
    assert_eq!([versions.look(), versions.look()], [Change::None, Change::None], "as it was before");
    fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!([versions.look(), versions.look()], [Change::None, Change::Refused], "a folder that is gone is no wish for other templates");
    assert_eq!(version(&versions), first);
}

#[test]
fn a_start_with_templates_that_cannot_be_used_is_refused_by_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let site = || samples::site().unwrap();
    let error = Versions::load(site(), Some(&folder.path().join("none"))).unwrap_err().to_string();
    assert!(error.contains("templates.folder"), "{error}");
    for (text, place) in
        [("a\n{{#if", "subject.txt.hbs:2"), ("a\n{{nobody.knows}}", "subject.txt.hbs:2"), ("a\n{{log site}}", "subject.txt.hbs:2")]
    {
        write(folder.path(), text);
        let error = Versions::load(site(), Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains(&format!("weekly_tip/{place}")), "{error}");
    }
}
