//! `tidings template check`: compiles the templates, renders each with every sample, strictly, in the publisher's own name and
//! colours, and names every finding.
//!
//! `--out` writes what came out, to be looked at in a browser, and each mail as it would be handed over, unsigned.

use super::super::table::count;
use super::Context;
use crate::{
    base::address::EmailAddress,
    delivery::{
        message::{self, ListHeaders, Mailbox, Parts},
        render::{
            Faults, Foot, Rendered, Site, Templates, folder,
            samples::{self, Mail},
        },
    },
};
use anyhow::{Context as _, bail};
use jiff::Timestamp;
use std::{fs, path::Path, sync::Arc};

#[derive(serde::Serialize)]
struct Outcome {
    template: &'static str,
    sample: &'static str,
    html_bytes: usize,
    text_bytes: usize,
    findings: Vec<String>,
}

/// Checks, prints a line for each mail, and fails when there is a finding.
pub(super) fn run(ctx: &Context, out: Option<&Path>, json: bool) -> anyhow::Result<()> {
    let templates = match compiled(ctx)? {
        Ok(templates) => templates,
        Err(Faults(faults)) => {
            match json {
                true => println!("{}", serde_json::to_string_pretty(&faults.iter().map(ToString::to_string).collect::<Vec<_>>())?),
                false => faults.iter().for_each(|fault| println!("WRONG  {fault}")),
            }
            bail!("the templates cannot be used: {}", count(faults.len(), "finding"));
        }
    };
    let mails = samples::mails(&templates);
    let outcomes: Vec<Outcome> = mails.iter().map(|mail| outcome(&templates, mail, out, ctx.clock.now())).collect::<anyhow::Result<_>>()?;
    match json {
        true => println!("{}", serde_json::to_string_pretty(&outcomes)?),
        false => outcomes.iter().for_each(print),
    }
    let wrong = outcomes.iter().filter(|outcome| !outcome.findings.is_empty()).count();
    anyhow::ensure!(wrong == 0, "{wrong} of {} with findings", count(outcomes.len(), "mail"));
    Ok(())
}

fn compiled(ctx: &Context) -> anyhow::Result<Result<Templates, Faults>> {
    let site = publisher(ctx)?;
    Ok(match ctx.config.templates.folder() {
        None => Templates::load(site),
        Some(folder) => folder::read(folder).and_then(|files| Templates::of(site, Arc::new(files))),
    })
}

// What the settings leave open is filled from the sample publisher, so that templates can be checked before all is set.
fn publisher(ctx: &Context) -> anyhow::Result<Site> {
    let (mut site, sample) = (Site::of(&ctx.config.site)?, samples::site()?);
    for (key, value, stand_in) in
        [("site.name", &mut site.name, sample.name), ("site.postal_address", &mut site.postal_address, sample.postal_address)]
    {
        if value.is_empty() {
            eprintln!("note: {key} is not set; `{stand_in}` stands in");
            *value = stand_in;
        }
    }
    site.disclaimer = site.disclaimer.or(sample.disclaimer);
    Ok(site)
}

fn outcome(templates: &Templates, mail: &Mail, out: Option<&Path>, now: Timestamp) -> anyhow::Result<Outcome> {
    let Mail { template, sample, rendered, .. } = mail;
    if let (Some(folder), Ok(rendered)) = (out, rendered) {
        let name = format!("{template}-{}", sample.replace(' ', "-"));
        write(folder, &name, rendered, &whole(templates.site(), mail, rendered, &name, now)?)?;
    }
    let (html_bytes, text_bytes) = rendered.as_ref().map_or((0, 0), |mail| (mail.html.len(), mail.text.len()));
    Ok(Outcome { template, sample, html_bytes, text_bytes, findings: mail.findings(templates) })
}

// From nobody to nobody, with the headers that the pump would give it.
fn whole(site: &Site, mail: &Mail, rendered: &Rendered, name: &str, now: Timestamp) -> anyhow::Result<Vec<u8>> {
    let from = Mailbox { name: Some(site.name.clone()), address: EmailAddress::parse("letters@example.org")? };
    let unsubscribe = match mail.foot {
        Foot::Topic => Some(samples::UNSUBSCRIBE_URL),
        Foot::Waitlist if mail.template == "broadcast" => Some(samples::ENTRY_URL),
        Foot::Waitlist | Foot::Person | Foot::Unproven => None,
    };
    let id = (mail.foot == Foot::Topic).then_some("sample.example.org");
    Ok(message::build(&Parts {
        message_id: &format!("<202601.{name}@example.org>"),
        date: now,
        from: &from,
        to: &EmailAddress::parse("reader@example.com")?,
        to_name: None,
        subject: &rendered.subject,
        text: &rendered.text,
        html: &rendered.html,
        list: unsubscribe.map(|unsubscribe| ListHeaders { id, unsubscribe }),
        auto_submitted: !matches!(mail.template, "weekly_tip" | "broadcast"),
        language: Some(&site.lang),
    })?)
}

fn write(folder: &Path, name: &str, mail: &Rendered, whole: &[u8]) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("the folder `{}` cannot be made", folder.display()))?;
    for (ending, bytes) in
        [("html", mail.html.as_bytes()), ("txt", mail.text.as_bytes()), ("subject", mail.subject.as_bytes()), ("eml", whole)]
    {
        let path = folder.join(format!("{name}.{ending}"));
        fs::write(&path, bytes).with_context(|| format!("`{}` cannot be written", path.display()))?;
    }
    Ok(())
}

fn print(outcome: &Outcome) {
    let Outcome { template, sample, html_bytes, text_bytes, findings } = outcome;
    let verdict = if findings.is_empty() { "ok" } else { "WRONG" };
    println!("{verdict:<6} {template}, {sample}: HTML {html_bytes} bytes, text {text_bytes} bytes");
    findings.iter().for_each(|finding| println!("       - {finding}"));
}
