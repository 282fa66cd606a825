// What a person does on her preferences page, by keyboard: each change says that it was made, and is seen in the database.

import { press, tabTo } from "./keyboard.mjs";

/** Pauses, resumes, chooses day and hour, stops all letters and takes that back. */
export async function changeHerMind({ page, step }, look, report) {
  await change(page, step, "pause", report, () => choose(page, "#weeks", "4 weeks", report));
  await look(page, "preferences-paused");
  await change(page, step, "resume", report);
  await change(page, step, "when", report, async () => {
    await choose(page, "#weekday", "Sunday", report);
    await choose(page, "#hour", "18:00", report);
  });
  report.expect((await page.locator("#weekday").inputValue()) === "7", "the day that was chosen is not the one that the page shows");
  await change(page, step, "stop", report);
  await look(page, "preferences-left");
  await change(page, step, "undo", report);
  report.step("by keyboard: pause, resume, day and hour, stop, undo");
}

/** Takes a topic off and back on, takes her data with her, and has herself forgotten. */
export async function takeHerDataAndGo({ page, step }, look, report) {
  const link = page.url();
  for (const what of ["off", "on"]) {
    await change(page, step, "topics", report, async () => {
      await tabTo(page, "[name=topics]", report);
      await page.keyboard.press("Space");
    });
    const subscribed = await page.locator("[name=topics]").first().isChecked();
    report.expect(subscribed === (what === "on"), `a topic that was taken ${what} is shown otherwise`);
  }
  await step("asking for her data", true, () => download(page, report));
  await step("asking to be forgotten", false, () => press(page, "form:has([value=ask_erase]) button", report));
  await look(page, "preferences-erase");
  await step("being forgotten", true, () => press(page, "form:has([value=erase]) button", report));
  await look(page, "preferences-erased");
  const answer = await page.goto(link);
  report.expect(answer.status() === 404, `the link of a person who was forgotten is answered with ${answer.status()}`);
  report.step("by keyboard: a topic off and on, a download, being forgotten");
}

async function change(page, step, act, report, before = async () => {}) {
  await step(`the preference ${act}`, true, async () => {
    await before();
    await press(page, `form:has([name=act][value=${act}]) button`, report);
  });
  const said = await page.locator("[role=status]").textContent().catch(() => "");
  report.expect(Boolean(said?.trim()), `the preference ${act} is changed without a word`);
}

async function choose(page, select, option, report) {
  await tabTo(page, select, report);
  await page.keyboard.type(option);
  const chosen = await page.locator(select).evaluate((one) => one.selectedOptions[0].textContent);
  report.expect(chosen === option, `typing “${option}” into ${select} chooses “${chosen}”`);
}

async function download(page, report) {
  await tabTo(page, "form:has([value=export]) button", report);
  const [file] = await Promise.all([page.waitForEvent("download", { timeout: 5_000 }), page.keyboard.press("Enter")]);
  const chunks = [];
  for await (const chunk of await file.createReadStream()) chunks.push(chunk);
  const data = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  report.expect(JSON.stringify(data).includes("@example"), "her data do not hold her address");
}
