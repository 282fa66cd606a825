//! What was caught: `.eml` files in a folder and an index of them, one line of JSON for each mail.
//!
//! Owns the folder through one writing thread, which gives the numbers. A mail is on disk before `keep` answers.
//! Called by the SMTP server (`keep`) and by the inbox (`find`, `raw`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock, RwLockReadGuard, mpsc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::reading;
use crate::base::clock::Clock;

const INDEX: &str = "index.jsonl";
const WRITTEN_AT_ONCE: usize = 256;

/// Whom a mail came from and whom it went to, as SMTP said it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Envelope {
    pub(super) from: String,
    pub(super) to: Vec<String>,
}

/// A caught mail as the index knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1, in the order of arrival.
    pub id: u64,
    /// When it came, by the catcher's clock.
    pub at: Timestamp,
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// The Subject, decoded.
    pub subject: String,
    /// The name or address in From, decoded.
    pub sender: String,
    /// The Message-ID with its brackets.
    pub message_id: String,
    /// How its text begins.
    pub preview: String,
    /// In bytes.
    pub size: u64,
}

/// What to look for; an empty field finds everything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Query {
    /// A part of a recipient's address, in any case.
    pub to: String,
    /// A part of the subject, in any case.
    pub subject: String,
    /// From 1.
    pub page: usize,
}

/// One page of what was found, newest first.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) total: usize,
    pub(super) page: usize,
    pub(super) pages: usize,
}

/// All that was caught.
#[derive(Debug)]
pub struct Mailbox {
    folder: PathBuf,
    entries: Arc<RwLock<Vec<Entry>>>,
    writer: mpsc::Sender<Order>,
}

#[derive(Debug)]
struct Order {
    entry: Entry,
    mail: Vec<u8>,
    kept: oneshot::Sender<io::Result<u64>>,
}

impl Mailbox {
    /// Opens the folder with what earlier runs caught; mails that a broken-off run did not index are indexed now.
    pub fn open(folder: &Path, clock: Arc<dyn Clock>) -> io::Result<Arc<Mailbox>> {
        fs::create_dir_all(folder)?;
        let entries = load(folder, clock.now())?;
        let index = OpenOptions::new().create(true).append(true).open(folder.join(INDEX))?;
        let entries = Arc::new(RwLock::new(entries));
        let (writer, orders) = mpsc::channel();
        let writing = Writing { folder: folder.into(), index, entries: Arc::clone(&entries), clock };
        std::thread::Builder::new().name("catcher".into()).spawn(move || writing.run(&orders))?;
        Ok(Arc::new(Mailbox { folder: folder.into(), entries, writer }))
    }

    /// Keeps a mail; its number.
    pub(super) async fn keep(&self, envelope: Envelope, mail: Vec<u8>) -> io::Result<u64> {
        let entry = reading::entry(envelope, &mail);
        let (kept, answer) = oneshot::channel();
        let ended = || io::Error::other("the writing thread of the mail catcher has ended");
        self.writer.send(Order { entry, mail, kept }).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// How many mails there are.
    pub fn len(&self) -> usize {
        self.all().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// All entries that a query finds, newest first, whatever its page.
    pub fn search(&self, query: &Query) -> Vec<Entry> {
        let (to, subject) = (query.to.trim().to_lowercase(), query.subject.trim().to_lowercase());
        self.all().iter().rev().filter(|entry| entry.matches(&to, &subject)).cloned().collect()
    }

    /// The original of a mail.
    pub fn raw(&self, id: u64) -> io::Result<Vec<u8>> {
        fs::read(path(&self.folder, id))
    }

    /// Its text part; empty where it has none.
    pub fn text(&self, id: u64) -> io::Result<String> {
        Ok(reading::read(&self.raw(id)?).text.unwrap_or_default())
    }

    /// One page of what a query finds; a page beyond the last is the last.
    pub(super) fn find(&self, query: &Query, per_page: usize) -> Found {
        let (to, subject) = (query.to.trim().to_lowercase(), query.subject.trim().to_lowercase());
        let all = self.all();
        let matching = || all.iter().rev().filter(|entry| entry.matches(&to, &subject));
        let total = matching().count();
        let pages = total.div_ceil(per_page).max(1);
        let page = query.page.clamp(1, pages);
        let entries = matching().skip((page - 1) * per_page).take(per_page).cloned().collect();
        Found { entries, total, page, pages }
    }

    /// A mail and the numbers of its neighbours, the newer and the older.
    pub(super) fn entry(&self, id: u64) -> Option<(Entry, Option<u64>, Option<u64>)> {
        let all = self.all();
        let place = all.binary_search_by_key(&id, |entry| entry.id).ok()?;
        let older = place.checked_sub(1).map(|place| all[place].id);
        Some((all[place].clone(), all.get(place + 1).map(|entry| entry.id), older))
    }

    fn all(&self) -> RwLockReadGuard<'_, Vec<Entry>> {
        self.entries.read().expect("no writer panics with the lock in hand")
    }
}

impl Entry {
    fn matches(&self, to: &str, subject: &str) -> bool {
        let to_matches = to.is_empty() || self.to.iter().any(|address| address.to_lowercase().contains(to));
        to_matches && (subject.is_empty() || self.subject.to_lowercase().contains(subject))
    }
}

struct Writing {
    folder: PathBuf,
    index: File,
    entries: Arc<RwLock<Vec<Entry>>>,
    clock: Arc<dyn Clock>,
}

impl Writing {
    /// Mails that wait are written together: their lines in the index cost one write.
    fn run(mut self, orders: &mpsc::Receiver<Order>) {
        while let Ok(first) = orders.recv() {
            let mut batch = vec![first];
            batch.extend(orders.try_iter().take(WRITTEN_AT_ONCE - 1));
            self.write(batch);
        }
    }

    fn write(&mut self, batch: Vec<Order>) {
        let next = self.entries.read().map_or(1, |all| all.last().map_or(1, |entry| entry.id + 1));
        let (mut lines, mut written) = (Vec::new(), Vec::new());
        for (id, order) in (next..).zip(batch) {
            let entry = Entry { id, at: self.clock.now(), ..order.entry };
            match fs::write(path(&self.folder, id), &order.mail).and_then(|()| add_line(&mut lines, &entry)) {
                Ok(()) => written.push((entry, order.kept)),
                Err(error) => drop(order.kept.send(Err(error))),
            }
        }
        let indexed = self.index.write_all(&lines);
        if indexed.is_ok() {
            let mut all = self.entries.write().expect("no reader panics with the lock in hand");
            all.extend(written.iter().map(|(entry, _)| entry.clone()));
        }
        for (entry, kept) in written {
            // A sender that has gone meanwhile does not hear it; the mail is kept all the same.
            let _ = kept.send(indexed.as_ref().map(|()| entry.id).map_err(|error| error.kind().into()));
        }
    }
}

fn add_line(lines: &mut Vec<u8>, entry: &Entry) -> io::Result<()> {
    serde_json::to_writer(&mut *lines, entry)?;
    lines.push(b'\n');
    Ok(())
}

fn path(folder: &Path, id: u64) -> PathBuf {
    folder.join(format!("{id:07}.eml"))
}

/// The index, without lines that were cut or whose mail is gone, and with the mails that it lacks.
fn load(folder: &Path, now: Timestamp) -> io::Result<Vec<Entry>> {
    let text =
        fs::read(folder.join(INDEX)).or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(Vec::new()) } else { Err(error) })?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut entries: Vec<Entry> = lines.clone().filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let known = entries.len();
    let on_disk = numbers(folder)?;
    entries.retain(|entry| on_disk.binary_search(&entry.id).is_ok());
    entries.sort_by_key(|entry| entry.id);
    entries.dedup_by_key(|entry| entry.id);
    let missing: Vec<u64> = on_disk.into_iter().filter(|id| entries.binary_search_by_key(id, |entry| entry.id).is_err()).collect();
    if missing.is_empty() && entries.len() == known && lines.count() == known {
        return Ok(entries);
    }
    for id in missing {
        let mail = fs::read(path(folder, id))?;
        entries.push(Entry { id, at: now, ..reading::entry_without_envelope(&mail) });
    }
    entries.sort_by_key(|entry| entry.id);
    rewrite(folder, &entries)?;
    Ok(entries)
}

fn rewrite(folder: &Path, entries: &[Entry]) -> io::Result<()> {
    let mut lines = Vec::new();
    entries.iter().try_for_each(|entry| add_line(&mut lines, entry))?;
    let aside = folder.join("index.new");
    fs::write(&aside, lines)?;
    fs::rename(aside, folder.join(INDEX))
}

fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for file in fs::read_dir(folder)? {
        let name = file?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.strip_suffix(".eml")).and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
