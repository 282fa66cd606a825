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
fn what_stands_there_when_an_edition_begins_is_taken_up_at_once() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "One: {{tip.subject}}");
    let versions = versions(folder.path());
    assert_eq!(versions.look_now(), Change::None);
    write(folder.path(), "Two, and more: {{tip.subject}}");
    assert_eq!([versions.look_now(), versions.look_now()], [Change::Taken, Change::None]);
    write(folder.path(), "{{#if");
    assert_eq!([versions.look_now(), versions.look_now()], [Change::Refused, Change::None]);
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

#[test]
fn a_setting_that_every_mail_needs_is_missed_once_and_not_for_each_sample() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site { postal_address: String::new(), ..samples::site().unwrap() };
    let Err(VersionError::Findings(found)) = Versions::load(site, Some(folder.path())) else { panic!("findings are expected") };
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains(" more: the postal address") && found[0].contains("site.postal_address"), "{found:?}");
}
