//! F16: a large file of subscribers with bad rows of every kind, whose import is killed half-way and run again.

use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::time::Duration;

use tokio::time::Instant;

use super::Outcome;
use super::scene::{Scene, far_away};
use crate::support::Worker;
use crate::support::story::WEEKLY;

/// F16: a file of about so many bytes, of which every twentieth row is bad, killed so often and run to its end.
pub(crate) async fn killed_half_way(bytes: usize, kills: usize) -> Outcome {
    let mut scene = Scene::empty(far_away(1)).await;
    scene.story.tips(1).await;
    let file = write_file(&scene, bytes);
    scene.recipients = file.good.clone();
    let began = Instant::now();
    let (mut listed, mut over) = (BTreeSet::new(), false);
    for kill in 1..=kills {
        let rows = (file.rows * kill / (kills + 1)) as i64;
        let mut import = start(&scene);
        while scene.story.number("SELECT coalesce(max(rows_done), 0) FROM imports").await < rows {
            // Between two looks: another process, which tells nothing by itself.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        over |= import.has_ended();
        listed.extend(refused(&import.kill()));
    }
    let mut last = start(&scene);
    let status = last.ends_within(Duration::from_secs(300)).await;
    listed.extend(refused(&last.said()));
    let mut outcome = judge(&scene, &file, &listed).await;
    outcome.claim(status.success(), last.said());
    outcome.claim(!over, "it was over before it was killed");
    outcome.injected = kills;
    outcome.what = format!("{:.1} MB CSV, 5 % bad rows, killed {kills} times and run again", file.bytes as f64 / 1e6);
    outcome.seconds = began.elapsed().as_secs_f64();
    outcome.remark = format!("{} good rows in, {} bad ones listed", outcome.sent, listed.len());
    outcome
}

async fn judge(scene: &Scene, file: &CsvFile, listed: &BTreeSet<usize>) -> Outcome {
    let here: BTreeSet<String> = scene.story.texts("SELECT address FROM subscribers").await.into_iter().collect();
    let confirmed = scene.story.number("SELECT count(*) FROM subscriptions WHERE standing = 'confirmed'").await;
    let records = scene.story.tidings(&["import", "list", "--json"]).await;
    let records: serde_json::Value = serde_json::from_str(&records).expect("JSON");
    let mut outcome = Outcome { fault: "F16".to_owned(), planned: file.good.len(), ..Outcome::default() };
    outcome.sent = file.good.intersection(&here).count();
    outcome.lost = file.good.len() - outcome.sent;
    outcome.claim(here.len() == file.good.len(), format!("{} subscribers came of {} good rows", here.len(), file.good.len()));
    outcome.claim(confirmed as usize == file.good.len(), format!("{confirmed} are confirmed"));
    let unlisted: Vec<_> = file.bad.difference(listed).take(5).collect();
    let wrongly: Vec<_> = listed.difference(&file.bad).take(5).collect();
    outcome.claim(listed == &file.bad, format!("not listed: {unlisted:?}, wrongly listed: {wrongly:?}"));
    let (count, refused) = (records.as_array().map(Vec::len), records[0]["refused"].as_u64());
    outcome.claim((count, refused) == (Some(1), Some(file.bad.len() as u64)), format!("the record says {records}"));
    outcome
}

/// What was written: who is in it, and the lines that are bad.
struct CsvFile {
    bytes: usize,
    rows: usize,
    good: BTreeSet<String>,
    bad: BTreeSet<usize>,
}

// Every twentieth row is bad: bytes that are no UTF-8, a NUL, a huge field, a formula in place of an address.
fn write_file(scene: &Scene, bytes: usize) -> CsvFile {
    let path = scene.story.file("people.csv");
    let mut out = BufWriter::new(std::fs::File::create(&path).expect("a file"));
    let mut file = CsvFile { bytes: 0, rows: 0, good: BTreeSet::new(), bad: BTreeSet::new() };
    let mut put = |row: &[u8]| {
        out.write_all(row).and_then(|()| out.write_all(b"\n")).expect("a line");
        file.bytes += row.len() + 1;
        file.bytes
    };
    // Longer than any row may be.
    let huge_field = vec![b'x'; (bytes / 10).clamp(128 << 10, 1 << 20)];
    put(b"email,name,zone");
    let (mut rows, mut huge) = (0, 0);
    let mut written = 0;
    while written < bytes {
        rows += 1;
        let bad = match (rows % 20, rows / 20 % 4) {
            (19, 0) => Some([&b"p@example.org,"[..], &[0xff, 0xfe, 0xe9]].concat()),
            (19, 1) => Some(b"nul\0@example.org,Nul".to_vec()),
            (19, 2) if huge < 3 => {
                huge += 1;
                Some([&b"huge@example.org,"[..], &huge_field].concat())
            }
            (19, _) => Some(b"\"=HYPERLINK(\"\"https://example.com\"\",\"\"x\"\")\",Formula".to_vec()),
            _ => None,
        };
        if let Some(bad) = bad {
            file.bad.insert(rows + 1);
            written = put(&bad);
            continue;
        }
        let email = format!("person-{rows}@example.org");
        // A formula in a name harms nobody here: it comes in as it is, and an export makes it harmless.
        let name = if rows % 50 == 0 { "=1+1".to_owned() } else { format!("Person {rows} of the long file of a newsletter") };
        written = put(format!("{email},{name},Europe/London").as_bytes());
        file.good.insert(email);
    }
    file.rows = rows;
    file.bytes = written;
    file
}

fn start(scene: &Scene) -> Worker {
    let path = scene.story.file("people.csv").display().to_string();
    scene.story.start(&["import", "subscribers", &path, "--topic", WEEKLY, "--confirmed-because", "a card"])
}

// The lines that it said were refused.
fn refused(said: &str) -> impl Iterator<Item = usize> {
    said.lines().filter_map(|line| line.strip_prefix("line ")?.split_once(": refused")?.0.parse().ok())
}
