// The demo's pages and mails in a real browser: scanners, a person's clicks, a keyboard alone, no scripts, hostile values, and what
// axe-core says of all of it. Exits with 1 and a sentence for each failure.
//
// usage: node run.mjs --binary PATH [--screenshots FOLDER] [--chromium PATH]

import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { openDatabase } from "./database.mjs";
import { startDemo } from "./demo.mjs";
import { tryHostileValues } from "./hostile.mjs";
import { leaveAndComeBack, refuse } from "./leaving.mjs";
import { newLook } from "./look.mjs";
import { lookAtInbox, lookAtMails } from "./mails.mjs";
import { changeHerMind, takeHerDataAndGo } from "./preferring.mjs";
import { askTooOften, lookAtPublicPages } from "./publicpages.mjs";
import { newReport } from "./report.mjs";
import { oneMailOfEachKind, scan } from "./scanner.mjs";
import { checkTheChecks } from "./selfcheck.mjs";
import { wayIn } from "./subscribing.mjs";
import { makeProgram, waitAndAnswer } from "./waiting.mjs";
import { newContext, path } from "./watch.mjs";

const { values: options } = parseArgs({
  options: { binary: { type: "string" }, screenshots: { type: "string" }, chromium: { type: "string", default: "/usr/bin/chromium" } },
});
const report = newReport();
// Root has no sandbox of Chromium's kind.
const root = process.getuid() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({ executablePath: options.chromium, args: ["--disable-gpu", ...root] });
const demo = await startDemo(options.binary, 2, 30);
try {
  report.step(`the demo serves ${demo.pages} and ${demo.inbox}`);
  await everything(await openDatabase(demo), await newLook(report, options.screenshots));
} catch (error) {
  report.fail(`it ended early: ${error.stack}`);
  await picturesOfTheEnd();
} finally {
  await browser.close();
  await demo.end();
}
if (report.failures.length > 0) {
  console.error(`\n${report.failures.length} failures:\n${report.failures.map((one) => `- ${one}`).join("\n")}`);
  process.exit(1);
}
report.step("no failure");

async function everything(database, look) {
  await checkTheChecks(browser, database, report);
  const own = [demo.pages, demo.inbox];
  const context = await newContext(browser, report, { own, strict: [demo.pages], timezoneId: "Europe/Lisbon" });
  const scriptless = await newContext(browser, report, { own, strict: [demo.pages], scripts: false, timezoneId: "Europe/Lisbon" });
  // A second topic, so that there is something to choose.
  await database.ask("INSERT INTO topics (slug, name, description) VALUES ('news', 'News of the house', 'Now and then, when there is some.')");

  await makeProgram(database);

  await lookAtPublicPages(context, demo, await known(database), look, report);
  const kinds = await oneMailOfEachKind(demo, database);
  await scan(context, demo, database, kinds, report);
  await leaveAndComeBack(context, demo, database, kinds.get("weekly_tip"), look, report);

  for (const scripts of [true, false]) {
    const name = scripts ? "with.scripts" : "without.scripts";
    // What looks is a script itself.
    const looks = scripts ? look : async () => {};
    const person = { address: `${name}@example.org`, name, scripts, look: looks };
    const there = await wayIn(scripts ? context : scriptless, demo, database, person, report);
    await changeHerMind(there, looks, report);
    await takeHerDataAndGo(there, looks, report);
  }
  await refuse(context, demo, database, look, report);
  await waitAndAnswer(context, scriptless, demo, database, look, report);
  await lookAtMails(context, await oneMailOfEachKind(demo, database), look, report);
  await lookAtInbox(context, demo, look, report);
  await tryHostileValues(context, demo, database, report);
  await askTooOften(context, demo, look, report);
  await scriptless.finish();
  await context.finish();
  report.step(`${look.looks.count} looks, ${context.requestsSoFar() + scriptless.requestsSoFar()} requests, none to a foreign host`);
}

// What the browser shows when the suite ends early.
async function picturesOfTheEnd() {
  const pages = browser.contexts().flatMap((context) => context.pages());
  for (const [index, page] of pages.entries()) {
    console.error(`  open then: ${path(page.url())} “${await page.title()}”`);
    if (options.screenshots) await page.screenshot({ path: `${options.screenshots}/the-end-${index}.png`, fullPage: true });
  }
}

// Somebody who gets letters and never asked for anything by herself.
async function known(database) {
  const rows = await database.ask(`SELECT s.address FROM subscribers s JOIN subscriptions p ON p.subscriber_id = s.id AND p.standing = 'confirmed'
    WHERE s.address IS NOT NULL AND s.address NOT LIKE 'gone.%' AND NOT EXISTS (SELECT FROM signups g WHERE g.subscriber_id = s.id)
      AND NOT EXISTS (SELECT FROM suppressions x WHERE x.subscriber_id = s.id AND x.lifted_at IS NULL) ORDER BY s.id DESC LIMIT 1`);
  return rows[0][0];
}
