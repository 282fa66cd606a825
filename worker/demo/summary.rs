//! The demo's last word: a table of the editions whose numbers add up, and where to look on; or the same as JSON.
//!
//! The only part of the demo that writes to standard output.

use super::{CAMPAIGN, http, stage::Stage, waitlist};
use crate::{
    campaigns::{
        report::{self, Counts, EditionReport, Report},
        states::EditionState,
    },
    waitlist::report::Report as OpeningReport,
};
use comfy_table::{CellAlignment, LineStyle, Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;
use sqlx::PgConnection;
use std::{collections::BTreeMap, fmt::Write as _, io::Write as _};

/// What `--json` prints.
#[derive(Serialize)]
struct Summary {
    #[serde(flatten)]
    report: Report,
    signups: Signups,
    waitlist: Option<Waitlist>,
    inbox: String,
    pages: String,
    mails: usize,
}

/// What became of those who signed up, and the mails that answered them, by template.
#[derive(Serialize)]
struct Signups {
    asked: i64,
    confirmed: i64,
    mails: BTreeMap<String, i64>,
}

/// The latest opening, and the mails that told people of it, of the line and of their offers, by template.
#[derive(Serialize)]
struct Waitlist {
    opening: OpeningReport,
    mails: BTreeMap<String, i64>,
}

/// Prints the summary; `once`: nothing is served after it.
pub(super) async fn print(stage: &Stage, json: bool, once: bool) -> anyhow::Result<()> {
    let mut conn = stage.db().pool.acquire().await?;
    let report = report::report(&mut conn, CAMPAIGN, None).await?;
    let signups = signups(&mut conn).await?;
    let waitlist = match waitlist::latest(stage).await? {
        Some(opening) => Some(Waitlist { opening, mails: mails(&mut conn, true).await? }),
        None => None,
    };
    drop(conn);
    let (inbox, pages, mails) = (stage.catcher.inbox_url(), stage.pages.clone(), stage.catcher.mailbox.len());
    let summary = Summary { report, signups, waitlist, inbox, pages, mails };
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

async fn signups(conn: &mut PgConnection) -> sqlx::Result<Signups> {
    let people = sqlx::query!(
        r#"SELECT count(*) AS "asked!", count(*) FILTER (WHERE outcome = 'confirmed') AS "confirmed!" FROM signups WHERE topics <> '{}'"#
    )
    .fetch_one(&mut *conn)
    .await?;
    Ok(Signups { asked: people.asked, confirmed: people.confirmed, mails: mails(conn, false).await? })
}

// What was sent outside of editions, by template: of the waitlist, or all else.
async fn mails(conn: &mut PgConnection, of_waitlist: bool) -> sqlx::Result<BTreeMap<String, i64>> {
    let mails = sqlx::query!(
        r#"SELECT d.template, count(*) AS "count!" FROM deliveries d
        JOIN transactional t ON t.period = d.period AND t.delivery_id = d.id LEFT JOIN signups s ON t.owner = 'signup:' || s.id
        WHERE d.state = 'sent' AND (d.basis = 'waitlist' OR s.topics IS NOT NULL AND s.topics = '{}') = $1 GROUP BY d.template"#,
        of_waitlist
    );
    Ok(mails.fetch_all(conn).await?.into_iter().map(|row| (row.template, row.count)).collect())
}

fn told(stage: &Stage, summary: &Summary, once: bool) -> anyhow::Result<String> {
    let editions = &summary.report.editions;
    let mut text = format!("\n{}\n", table(editions));
    for note in editions.iter().filter_map(note) {
        writeln!(text, "{note}")?;
    }
    let of_waitlist = summary.waitlist.iter().flat_map(|waitlist| waitlist.mails.values());
    let answers = summary.signups.mails.values().chain(of_waitlist).sum();
    let verdict = verdict(editions, answers, i64::try_from(summary.mails)?);
    writeln!(
        text,
        "\nIn every row planned = sent + failed + skipped + unconfirmed + cancelled + to do.\nWho has left or is suppressed is planned no more."
    )?;
    if answers > 0 {
        writeln!(text, "{}", answered(&summary.signups))?;
    }
    if let Some(Waitlist { opening, mails }) = &summary.waitlist {
        writeln!(
            text,
            "Opening {} of {} is {}: {}.",
            opening.opening.number,
            opening.program,
            opening.opening.state,
            waitlist::counted(opening)
        )?;
        writeln!(text, "The waitlist was told by {}.", by_template(mails))?;
    }
    writeln!(text, "{} mails were caught: {verdict}.\n", summary.mails)?;
    if editions.last().is_some_and(|edition| edition.counts.sent == 0) {
        writeln!(text, "Nobody was mailed in the last edition: the sample articles have no tip left for anyone. `--fresh` starts over.\n")?;
    }
    if once {
        writeln!(text, "Run it again without --once to look at the mails; `--weeks 0` turns no further week. `--fresh` starts over.")?;
        return Ok(text);
    }
    writeln!(text, "inbox     {}", summary.inbox)?;
    writeln!(text, "pages     {}", summary.pages)?;
    writeln!(text, "          {}/subscribe signs up whatever address you make up: its mails are in the inbox", summary.pages)?;
    writeln!(text, "          {}/waitlist/{} puts it on the waitlist", summary.pages, waitlist::PROGRAM)?;
    if let Some(link) = a_way_out(stage) {
        writeln!(
            text,
            "a link    {link}\n          leads out of the newest mail: a page with one button, and half an hour to think again"
        )?;
    }
    writeln!(text, "\nEnd it with Ctrl-C. Run again it goes on with the following weeks; `--fresh` starts over.")?;
    Ok(text)
}

/// The sign-ups in a sentence.
fn answered(signups: &Signups) -> String {
    let people = if signups.asked == 1 { "One person" } else { &format!("{} people", signups.asked) };
    format!("{people} signed up, {} confirmed; answered with {}, outside of the editions.", signups.confirmed, by_template(&signups.mails))
}

fn by_template(mails: &BTreeMap<String, i64>) -> String {
    let mails: Vec<String> = mails.iter().map(|(template, count)| format!("{count} × {}", template.replace('_', " "))).collect();
    mails.join(", ")
}

/// What the ledger says to so many caught mails, of which so many answered a person's act and are of no edition.
fn verdict(editions: &[EditionReport], answers: i64, mails: i64) -> String {
    let sent: i64 = editions.iter().map(|edition| edition.counts.sent).sum::<i64>() + answers;
    let unconfirmed: i64 = editions.iter().map(|edition| edition.counts.unconfirmed).sum();
    match mails - sent {
        0 => "as many as the ledger has sent".to_owned(),
        more if more > 0 && more <= unconfirmed => format!("as many as the ledger has sent, and {more} of the unconfirmed"),
        _ => format!("the ledger has sent {sent}, which must not be"),
    }
}

fn table(editions: &[EditionReport]) -> Table {
    const HEAD: [&str; 8] = ["edition", "planned", "sent", "failed", "skipped", "unconfirmed", "cancelled", "to do"];
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none())).set_header(HEAD);
    let mut total = Counts { planned: Some(0), ..Counts::default() };
    for edition in editions {
        table.add_row(row(&edition.edition, &edition.counts));
        add(&mut total, &edition.counts);
    }
    table.add_row(row("all", &total));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn row(edition: &str, counts: &Counts) -> [String; 8] {
    let planned = counts.planned.map_or_else(|| "?".to_owned(), |planned| planned.to_string());
    let [sent, failed, skipped, unconfirmed, cancelled, to_do] =
        [counts.sent, counts.failed, counts.skipped, counts.unconfirmed, counts.cancelled, counts.to_do].map(|number| number.to_string());
    [edition.to_owned(), planned, sent, failed, skipped, unconfirmed, cancelled, to_do]
}

/// What the numbers do not say: the state, where it is not the usual one, and the reasons.
fn note(edition: &EditionReport) -> Option<String> {
    let state = (edition.state != EditionState::Finished).then(|| format!("it is {}", edition.state));
    let reasons = edition.counts.reasons.iter().map(|(reason, count)| format!("{count} × {}", reason.replace('_', " ")));
    let notes: Vec<String> = state.into_iter().chain(reasons).collect();
    (!notes.is_empty()).then(|| format!("{}: {}", edition.edition, notes.join(", ")))
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
    // A confirmation has no such link; the next older mail has.
    let mails = stage.catcher.mailbox.search(&super::catcher::Query::default());
    mails.iter().take(100).find_map(|mail| http::unsubscribe_link(&stage.catcher.mailbox.raw(mail.id).ok()?))
}
