// The demo's pages and mails in a real browser: scanners, a person's clicks, a keyboard alone, no scripts, hostile values, and what
// axe-core says of all of it. Exits with 1 and a sentence for each failure.
//
// usage: node run.mjs --binary PATH [--screenshots FOLDER] [--chromium PATH]

import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { openDatabase } from "./database.mjs";
import { startDemo } from "./demo.mjs";
import { leaveAndComeBack } from "./leaving.mjs";
import { newLook } from "./look.mjs";
import { lookAtInbox, lookAtMails } from "./mails.mjs";
import { newReport } from "./report.mjs";
import { oneMailOfEachKind, scan } from "./scanner.mjs";
import { checkTheChecks } from "./selfcheck.mjs";
import { newContext } from "./watch.mjs";

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
  const database = await openDatabase(demo);
  const look = await newLook(report, options.screenshots);
  await checkTheChecks(browser, database, report);

  const context = await newContext(browser, report, { own: [demo.pages, demo.inbox], strict: [demo.pages] });
  const kinds = await oneMailOfEachKind(demo, database);
  await scan(context, demo, database, kinds, report);
  await leaveAndComeBack(context, demo, database, kinds.get("weekly_tip"), look, report);
  await lookAtMails(context, kinds, look, report);
  await lookAtInbox(context, demo, look, report);
  await context.finish();
  report.step(`${look.looks.count} looks`);
} catch (error) {
  report.fail(`it ended early: ${error.stack}`);
} finally {
  await browser.close();
  await demo.end();
}
if (report.failures.length > 0) {
  console.error(`\n${report.failures.length} failures:\n${report.failures.map((one) => `- ${one}`).join("\n")}`);
  process.exit(1);
}
report.step("no failure");
