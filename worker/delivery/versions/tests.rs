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

// A look by a clock that the story turns.
struct Clock(Instant);

impl Clock {
    fn look_after(&mut self, versions: &Versions, time: Duration) -> Change {
        self.0 += time;
        versions.look_at(versions.folder.as_deref().unwrap(), &mut versions.watch.lock().unwrap(), self.0)
    }

    // What two looks come to between which the folder stood still.
    fn rest(&mut self, versions: &Versions) -> [Change; 2] {
        [Duration::ZERO, REST].map(|time| self.look_after(versions, time))
    }
}

#[test]
fn a_change_is_taken_up_once_the_folder_rests() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "One: {{tip.subject}}");
    let (versions, mut clock) = (versions(folder.path()), Clock(Instant::now()));
    let first = version(&versions);
    assert_eq!([REST, REST].map(|time| clock.look_after(&versions, time)), [Change::None; 2]);
    write(folder.path(), "Two, and more: {{tip.subject}}");
    assert_eq!(clock.rest(&versions), [Change::Restless, Change::Taken]);
    assert_eq!(clock.look_after(&versions, Duration::ZERO), Change::None);
    assert_ne!(version(&versions), first);
    fs::remove_file(folder.path().join("weekly_tip/subject.txt.hbs")).unwrap();
    assert_eq!(clock.rest(&versions), [Change::Restless, Change::Taken]);
    assert_eq!(version(&versions), Files::built_in().version());
}

#[test]
fn a_folder_that_is_half_copied_is_taken_up_when_all_of_it_stood_still_for_long_enough() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "One: {{tip.subject}}");
    let (versions, mut clock) = (versions(folder.path()), Clock(Instant::now()));
    let (first, almost) = (version(&versions), REST - Duration::from_millis(1));
    assert_eq!(clock.look_after(&versions, REST / 2), Change::Restless, "a start may fall into the copying too");
    write(folder.path(), "Two, and more: {{tip.subject}}");
    assert_eq!([Duration::ZERO, Duration::ZERO, almost].map(|time| clock.look_after(&versions, time)), [Change::Restless; 3]);
    fs::write(folder.path().join("weekly_tip/body.txt.hbs"), Files::built_in().texts()["weekly_tip/body.txt"].replace("\n", "\n\n"))
        .unwrap();
    assert_eq!([almost, almost].map(|time| clock.look_after(&versions, time)), [Change::Restless; 2]);
    assert_eq!(version(&versions), first);
    assert_eq!(clock.look_after(&versions, Duration::from_millis(1)), Change::Taken);
    let newest = versions.newest();
    let texts = newest.files().texts();
    assert!(texts["weekly_tip/subject.txt"].starts_with("Two") && texts["weekly_tip/body.txt"].contains("\n\n\n"), "{texts:?}");
}

#[test]
fn a_change_that_makes_no_sound_mails_is_refused_once_and_the_version_before_stays() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "One: {{tip.subject}}");
    let (versions, mut clock) = (versions(folder.path()), Clock(Instant::now() + REST));
    let first = version(&versions);
    for broken in ["{{#if", "{{nobody.knows}}", "{{env 'PATH'}}"] {
        write(folder.path(), broken);
        assert_eq!(clock.rest(&versions), [Change::Restless, Change::Refused], "{broken}");
        assert_eq!(clock.look_after(&versions, REST), Change::None, "{broken}");
        assert_eq!(version(&versions), first, "{broken}");
    }
    write(folder.path(), "One: {{tip.subject}}");
    assert_eq!(clock.rest(&versions), [Change::Restless, Change::None], "as it was before");
    fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(clock.rest(&versions), [Change::Restless, Change::Refused], "a folder that is gone is no wish for other templates");
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
