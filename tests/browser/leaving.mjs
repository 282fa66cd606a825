// A person's clicks on the link of a letter: she leaves a topic, takes it back, leaves everything, takes it back. Each click must
// be seen in the database, and each state of the page is looked at.

import { changedTables } from "./database.mjs";
import { awaitMail, ownLinks } from "./demo.mjs";
import { FILLING_TAKES } from "./subscribing.mjs";
import { turn } from "./turn.mjs";

/** Clicks through the unsubscribe page of a weekly mail. */
export async function leaveAndComeBack(context, demo, database, mail, look, report) {
  const link = ownLinks(mail, demo.pages).find((one) => one.includes("/u/"));
  const page = await context.newPage();
  await page.goto(link);
  await look(page, "unsubscribe");
  const clicks = [
    ["unsubscribe-left-topic", (p) => p.getByRole("button", { name: "Unsubscribe" }), "You have left “"],
    ["unsubscribe-back", (p) => p.getByRole("button", { name: "Undo" }), "You are subscribed"],
    ["unsubscribe-left-everything", leaveEverything, "You have left"],
    ["unsubscribe-back-again", (p) => p.getByRole("button", { name: "Undo" }), "You are subscribed"],
  ];
  for (const [name, button, heading] of clicks) {
    const before = await database.fingerprint();
    await (await button(page)).click();
    await page.getByRole("heading", { level: 1 }).filter({ hasText: heading }).waitFor({ timeout: 5_000 });
    const changed = changedTables(before, await database.fingerprint());
    report.expect(changed.length > 0, `${name}: the click changed nothing in the database`);
    await look(page, name);
  }
  await page.close();
  report.step(`${clicks.length} clicks on the unsubscribe page, each seen in the database`);
}

async function leaveEverything(page) {
  await page.getByRole("radio", { name: /every letter/i }).check();
  return page.getByRole("button", { name: "Unsubscribe" });
}

/** Somebody else typed her address: she says so out of the confirmation. */
export async function refuse(context, demo, database, look, report) {
  const address = "typed.by.another@example.org";
  const page = await context.newPage();
  await page.goto(`${demo.pages}/subscribe`);
  await page.locator("#email").fill(address);
  for (const box of await page.locator("[name=topics]").all()) await box.check();
  await page.waitForTimeout(FILLING_TAKES);
  await turn(page, () => page.locator("main form button").click());
  const mail = await awaitMail(demo, address, "confirmation");
  await page.goto(ownLinks(mail, demo.pages).find((link) => link.includes("/confirm/")));
  const before = await database.fingerprint();
  await turn(page, () => page.locator("form:has([value=refuse]) button").click());
  const changed = changedTables(before, await database.fingerprint());
  report.expect(changed.includes("suppressions"), "“This was not me” suppresses nothing");
  await look(page, "confirm-refused");
  await page.close();
  report.step("a sign-up refused");
}
