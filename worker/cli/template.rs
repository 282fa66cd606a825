//! `tidings template check`: renders every template with every sample, strictly, in the publisher's own name and colours.
//!
//! `--out` writes what came out, to be looked at in a browser.

use super::Context;
use crate::delivery::render::{
    Rendered, Site, Templates, check,
    samples::{self, Mail},
};
use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// What to do with the templates.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Render every template with every sample and check what comes out
    Check {
        /// Also write the mails to this folder
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
        /// Print the outcome as JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(serde::Serialize)]
struct Outcome {
    template: &'static str,
    sample: &'static str,
    html_bytes: usize,
    text_bytes: usize,
    findings: Vec<String>,
}

/// Checks, prints a line for each mail, and fails when there is a finding.
pub(super) fn run(command: &Command, ctx: &Context) -> anyhow::Result<()> {
    let Command::Check { out, json } = command;
    let templates = Templates::load(publisher(ctx)?)?;
    let mails = samples::mails(&templates);
    let outcomes: Vec<Outcome> = mails.iter().map(|mail| outcome(templates.site(), mail, out.as_deref())).collect::<anyhow::Result<_>>()?;
    match json {
        true => println!("{}", serde_json::to_string_pretty(&outcomes)?),
        false => outcomes.iter().for_each(print),
    }
    let wrong = outcomes.iter().filter(|outcome| !outcome.findings.is_empty()).count();
    anyhow::ensure!(wrong == 0, "{wrong} of {} mails have findings", outcomes.len());
    Ok(())
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

fn outcome(site: &Site, mail: &Mail, out: Option<&Path>) -> anyhow::Result<Outcome> {
    let Mail { template, sample, rendered, .. } = mail;
    if let (Some(folder), Ok(rendered)) = (out, rendered) {
        write(folder, &format!("{template}-{}", sample.replace(' ', "-")), rendered)?;
    }
    let (html_bytes, text_bytes) = rendered.as_ref().map_or((0, 0), |mail| (mail.html.len(), mail.text.len()));
    let findings = match rendered {
        Ok(rendered) => check::findings(rendered, &mail.wanted(site)),
        Err(error) => vec![error.to_string()],
    };
    Ok(Outcome { template, sample, html_bytes, text_bytes, findings })
}

fn write(folder: &Path, name: &str, mail: &Rendered) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("the folder `{}` cannot be made", folder.display()))?;
    for (ending, text) in [("html", &mail.html), ("txt", &mail.text), ("subject", &mail.subject)] {
        let path = folder.join(format!("{name}.{ending}"));
        std::fs::write(&path, text).with_context(|| format!("`{}` cannot be written", path.display()))?;
    }
    Ok(())
}

fn print(outcome: &Outcome) {
    let Outcome { template, sample, html_bytes, text_bytes, findings } = outcome;
    let verdict = if findings.is_empty() { "ok" } else { "WRONG" };
    println!("{verdict:<6} {template}, {sample}: HTML {html_bytes} bytes, text {text_bytes} bytes");
    findings.iter().for_each(|finding| println!("       - {finding}"));
}
