//! The demo's last word: a table of the editions whose numbers add up, and where to look on; or the same as JSON.
//!
//! The only part of the demo that writes to standard output.

use super::{CAMPAIGN, http, stage::Stage};
use crate::campaigns::report::{self, Counts, Report};
use comfy_table::{Cell, CellAlignment, LineStyle, Row, Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;
use std::{fmt::Write as _, io::Write as _};

/// What `--json` prints.
#[derive(Serialize)]
struct Summary {
    #[serde(flatten)]
    report: Report,
    inbox: String,
    pages: String,
    mails: usize,
}

/// Prints the summary; `once`: nothing is served after it.
pub(super) async fn print(stage: &Stage, json: bool, once: bool) -> anyhow::Result<()> {
    let report = report::report(&mut *stage.db().pool.acquire().await?, CAMPAIGN, None).await?;
    let summary = Summary { report, inbox: stage.catcher.inbox_url(), pages: stage.pages.clone(), mails: stage.catcher.mailbox.len() };
    let text = match json {
        true => serde_json::to_string(&summary)? + "\n",
        false => told(stage, &summary, once)?,
    };
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads it has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn told(stage: &Stage, summary: &Summary, once: bool) -> anyhow::Result<String> {
    let editions = &summary.report.editions;
    let mut text = format!("\n{}\n", table(summary));
    let sent: i64 = editions.iter().map(|edition| edition.counts.sent).sum();
    let agree = usize::try_from(sent).is_ok_and(|sent| sent == summary.mails);
    let verdict = if agree { "the same as the ledger has sent" } else { "which is not what the ledger has sent" };
    writeln!(text, "In every row planned = sent + failed + skipped + unconfirmed + cancelled + to do. {} mails were caught, {verdict}.\n", summary.mails)?;
    if once {
        writeln!(text, "Run it again without --once to look at the mails; `--weeks 0` turns no further week. `--fresh` starts over.")?;
        return Ok(text);
    }
    writeln!(text, "inbox     {}", summary.inbox)?;
    writeln!(text, "pages     {}", summary.pages)?;
    if let Some(link) = a_way_out(stage) {
        writeln!(text, "a link    {link}\n          leads out of the newest mail: a page with one button, and half an hour to think again")?;
    }
    writeln!(text, "\nEnd it with Ctrl-C. Run again it goes on with the following weeks; `--fresh` starts over.")?;
    Ok(text)
}

fn table(summary: &Summary) -> Table {
    const HEAD: [&str; 10] = ["Edition", "State", "Planned", "Sent", "Failed", "Skipped", "Unconfirmed", "Cancelled", "To do", "Reasons"];
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none())).set_header(HEAD);
    let mut total = Counts { planned: Some(0), ..Counts::default() };
    for edition in &summary.report.editions {
        let reasons: Vec<String> = edition.counts.reasons.iter().map(|(reason, count)| format!("{count} × {reason}")).collect();
        table.add_row(row(&edition.edition, edition.state.as_str(), &edition.counts, &reasons.join("\n")));
        add(&mut total, &edition.counts);
    }
    table.add_row(row("all", "", &total, ""));
    table
}

fn row(edition: &str, state: &str, counts: &Counts, reasons: &str) -> Row {
    let planned = counts.planned.map_or_else(|| "?".to_owned(), |planned| planned.to_string());
    let ends = [counts.sent, counts.failed, counts.skipped, counts.unconfirmed, counts.cancelled, counts.to_do];
    let numbers = std::iter::once(planned).chain(ends.iter().map(i64::to_string));
    let mut cells = vec![Cell::new(edition), Cell::new(state)];
    cells.extend(numbers.map(|number| Cell::new(number).set_alignment(CellAlignment::Right)));
    cells.push(Cell::new(reasons));
    Row::from(cells)
}

fn add(total: &mut Counts, counts: &Counts) {
    total.planned = total.planned.zip(counts.planned).map(|(total, planned)| total + planned);
    total.sent += counts.sent;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
    total.unconfirmed += counts.unconfirmed;
    total.cancelled += counts.cancelled;
    total.to_do += counts.to_do;
}

fn a_way_out(stage: &Stage) -> Option<String> {
    let newest = stage.catcher.mailbox.search(&super::catcher::Query::default()).into_iter().next()?;
    http::unsubscribe_link(&stage.catcher.mailbox.raw(newest.id).ok()?)
}
