// A person signs up, confirms, chooses and leaves, without a mouse: from the form to the last page, with scripts and without.
// What every step does must be seen in the database, and what only shows something must not.

import { changedTables } from "./database.mjs";
import { awaitMail, ownLinks } from "./demo.mjs";
import { press, tabTo, typeInto } from "./keyboard.mjs";

/** Younger forms are taken for a program's. */
export const FILLING_TAKES = 3_200;
const ZONE = "Europe/Lisbon";

/** The way in by keyboard, up to her preferences. */
export async function wayIn(context, demo, database, { address, name, scripts, look }, report) {
  const page = await context.newPage();
  const step = async (what, changes, act) => {
    const before = await database.fingerprint();
    await act();
    const changed = changedTables(before, await database.fingerprint());
    report.expect(changes === changed.length > 0, `${what} ${changes ? "changed nothing" : `changed ${changed.join(", ")}`}`);
  };
  const heading = (text) => page.getByRole("heading", { level: 1 }).filter({ hasText: text }).waitFor({ timeout: 5_000 });

  await step("opening the sign-up page", false, () => page.goto(`${demo.pages}/subscribe`));
  await look(page, "subscribe");
  await step("filling in the form", false, () => fillIn(page, address, name, scripts, report));
  await step("sending the form", true, async () => {
    await press(page, "main form button", report);
    await heading(/inbox/i);
    await awaitMail(demo, address, "confirmation");
  });
  await look(page, "subscribe-thanks");

  const [link] = ownLinks(await awaitMail(demo, address, "confirmation"), demo.pages).filter((one) => one.includes("/confirm/"));
  await step("opening the confirmation's link", false, () => page.goto(link));
  await look(page, "confirm");
  await step("pressing the confirmation's button", true, async () => {
    await press(page, "form:has([value=confirm]) button", report);
    await awaitMail(demo, address, "welcome", (mail) => ownLinks(mail, demo.pages).some((one) => one.includes("/u/")));
  });
  await look(page, "confirm-done");
  await step("opening the preferences", false, () => press(page, 'main a[href*="/preferences/"]', report));
  await look(page, "preferences");
  report.step(`by keyboard, ${scripts ? "with" : "without"} scripts: subscribed and confirmed`);
  return { page, step };
}

async function fillIn(page, address, name, scripts, report) {
  const opened = Date.now();
  await typeInto(page, "#email", address, report);
  await typeInto(page, "#name", name, report);
  // Nothing is ticked beforehand.
  for (let topics = await page.locator("[name=topics]").count(); topics > 0; topics -= 1) {
    await tabTo(page, "[name=topics]:not(:checked)", report);
    await page.keyboard.press("Space");
  }
  await tabTo(page, "#zone", report);
  const guessed = await page.locator("#zone").inputValue();
  report.expect(guessed === (scripts ? ZONE : ""), `the sign-up page guesses the time zone “${guessed}” ${scripts ? "with" : "without"} scripts`);
  if (!scripts) await page.keyboard.type("Lisbon");
  const chosen = await page.locator("#zone").inputValue();
  report.expect(chosen === ZONE, `typing chooses the time zone “${chosen}”`);
  await page.waitForTimeout(Math.max(0, FILLING_TAKES - (Date.now() - opened)));
}
