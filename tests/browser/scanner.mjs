// What a link scanner does: it asks for every link of a mail with HEAD, OPTIONS and GET, and lets a real browser run the page for
// five seconds. The database must not notice.

import { mailsOf, ownLinks, readMail } from "./demo.mjs";
import { changedTables } from "./database.mjs";
import { path } from "./watch.mjs";

const SCRIPTS_RUN_FOR = 5_000;

/** The newest mail of each template that was sent, by the ledger; Message-IDs carry the delivery's id. */
export async function oneMailOfEachKind(demo, database) {
  const sent = await database.ask("SELECT id, template || coalesce(' for ' || nullif(basis, 'topic'), '') FROM deliveries WHERE state = 'sent'");
  const templates = new Map(sent);
  const kinds = new Map();
  for (const mail of await mailsOf(demo)) {
    const kind = templates.get(mail.message_id.split(".")[1]);
    if (kind && !kinds.has(kind)) kinds.set(kind, await readMail(demo, mail.id));
  }
  return kinds;
}

/** Opens every link of these mails as a scanner does. */
export async function scan(context, demo, database, kinds, report) {
  const links = new Map();
  for (const [kind, mail] of kinds) {
    const own = ownLinks(mail, demo.pages);
    report.expect(own.length > 0, `the mail ${kind} has no link to the publisher's pages`);
    own.forEach((link) => links.set(link, kind));
  }
  await database.rest();
  const before = await database.fingerprint();
  await Promise.all([...links].map(([link, kind]) => askPlainly(link, kind, report)));
  const pages = await Promise.all([...links].map(([link, kind]) => open(context, link, kind, report)));
  await new Promise((resolve) => setTimeout(resolve, SCRIPTS_RUN_FOR));
  await Promise.all(pages.map((page) => page.close()));
  const changed = changedTables(before, await database.fingerprint());
  report.expect(changed.length === 0, `opening the links of mails changed ${changed.join(", ")}`);
  report.step(`${links.size} links of ${kinds.size} kinds of mail (${[...kinds.keys()].join(", ")}) asked for and opened for 5 s`);
}

async function askPlainly(link, kind, report) {
  for (const method of ["HEAD", "OPTIONS", "GET"]) {
    const { status } = await fetch(link, { method, redirect: "manual" });
    const wanted = method === "OPTIONS" ? [204, 405] : [200];
    report.expect(wanted.includes(status), `a link of the mail ${kind} answers ${method} with ${status}`);
  }
}

async function open(context, link, kind, report) {
  const page = await context.newPage();
  const answer = await page.goto(link, { waitUntil: "load" });
  report.expect(answer.status() === 200 && page.url() === link, `a link of the mail ${kind} leads to ${answer.status()} on ${path(page.url())}`);
  return page;
}
