//! `tidings campaign preflight` and `accept`: what is wrong with an edition's mails, and an operator's word to send them all the same.

use std::sync::Arc;

use anyhow::ensure;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use sqlx::PgConnection;

use super::super::{Context, table::count};
use super::{answer, next, pretty, say, typed};
use crate::base::database::Db;
use crate::campaigns::preflight::{self, Finding, KEEPS, Preflight, Severity};
use crate::delivery::pump::letter::Letters;
use crate::jobs::App;

pub(super) async fn run(conn: &mut PgConnection, name: &str, as_json: bool, ctx: &Context, db: &Db) -> anyhow::Result<()> {
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} mails, {elapsed} gone, {eta} to go")?;
    let bar = ProgressBar::new(0).with_style(style);
    let seen = |seen: i64, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(seen.unsigned_abs());
    };
    let found = preflight::rehearse(conn, &letters(ctx, db).await?, name, ctx.clock.now(), seen).await?;
    bar.finish_and_clear();
    if as_json {
        pretty(&found)?
    } else {
        print(&found)?
    }
    let blocking = found.blocking();
    ensure!(blocking == 0 || found.accepted, "{}", verdict(&found, blocking));
    Ok(())
}

pub(super) async fn accept(conn: &mut PgConnection, name: &str, as_json: bool, ctx: &Context) -> anyhow::Result<()> {
    let accepted = preflight::accept(conn, name, ctx.clock.now()).await?;
    let sentence = format!(
        "Accepted {}: a worker sends it, its tolerance and deadline begin now. What cannot be made fails by itself; `tidings campaign report {}` counts.",
        accepted.join(", "),
        typed(name)
    );
    answer(as_json, json!({ "campaign": name, "accepted": accepted }), &sentence)
}

/// What was found, a line for each kind and one for each example.
pub(super) fn lines(findings: &[Finding]) -> Vec<String> {
    let line = |finding: &Finding| {
        let severity = match finding.severity {
            Severity::Blocking => "BLOCKING",
            Severity::Warning => "warning ",
        };
        let recipients = match finding.recipients {
            0 => String::new(),
            some => format!(" ({})", count(some, "recipient")),
        };
        format!("{severity}  {}{recipients}: {}", finding.kind, finding.says)
    };
    let mut lines = Vec::new();
    for finding in findings {
        lines.push(line(finding));
        for example in &finding.examples {
            let whose = example.address.as_deref().unwrap_or("(erased)");
            let tip = match (example.tip, &example.subject) {
                (Some(tip), Some(subject)) => format!(", tip {tip} “{subject}”"),
                _ => String::new(),
            };
            lines.push(format!("          {whose}{tip}: {}", example.says));
        }
    }
    lines
}

// Nothing is handed over here, so no relay is wanted, and what else is missing in the settings is a finding.
async fn letters(ctx: &Context, db: &Db) -> anyhow::Result<Arc<Letters>> {
    let keyring = ctx.keyring(db).await?;
    let app = App::with_outlets(Arc::new(ctx.config.clone()), db.clone(), keyring, ctx.clock.clone(), [0; 32], Vec::new())?;
    Ok(Arc::new(Letters::new(app.setup)))
}

fn print(found: &Preflight) -> anyhow::Result<()> {
    let state = found.state.as_deref().map_or_else(|| "to come".to_owned(), str::to_owned);
    let so_far = if found.done { "" } else { " so far" };
    say(&format!(
        "Edition {} of `{}` ({state}, first mail due {} UTC): {}{so_far}, {} made and looked at.",
        found.edition,
        found.campaign,
        next::utc(found.starts_at),
        count(found.recipients, "recipient"),
        count(found.checked, "mail")
    ))?;
    lines(&found.findings).iter().try_for_each(|line| say(line))?;
    match (found.blocking(), found.accepted) {
        (0, _) if !found.done => say("Nothing blocks so far: a worker still plans and checks it. Ask again."),
        (0, _) => say("Nothing blocks. Nothing was sent or changed."),
        (_, true) => say("It was accepted as it is. Nothing was sent or changed."),
        _ => Ok(()),
    }
}

fn verdict(found: &Preflight, blocking: usize) -> String {
    let name = typed(&found.campaign);
    let kinds = if blocking == 1 { "one finding blocks".to_owned() } else { format!("{blocking} findings block") };
    match found.state.as_deref() {
        Some("held") if found.keeps_templates => format!(
            "{kinds} edition {}: correct tips and people, then `tidings campaign release {name}`, {KEEPS}; or `tidings campaign accept {name}` sends the rest all the same, and `tidings campaign cancel {name}` ends it",
            found.edition
        ),
        Some("held") => format!(
            "{kinds} edition {}: correct what is named, then `tidings campaign release {name}`; or `tidings campaign accept {name}` sends it all the same",
            found.edition
        ),
        _ => format!("{kinds} edition {}: it would be held; correct what is named", found.edition),
    }
}
