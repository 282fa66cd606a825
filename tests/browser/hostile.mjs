// Values that want to be run: as a name, as a topic, as an address in a link. They must be shown as they are, on every page and in
// every mail, and call nothing; the context raises the alarm if one does.

import { awaitMail, ownLinks } from "./demo.mjs";
import { FILLING_TAKES } from "./subscribing.mjs";
import { turn } from "./turn.mjs";
import { ALARM } from "./watch.mjs";

const run = (what) => `<script>${ALARM}("${what}")</script><img src=x onerror=${ALARM}("${what}")>"'><svg onload=${ALARM}("${what}")>`;
const TOPIC = `Topic ${run("topic")} {{tip}} {{{tip}}} ${"\u202e"}thgir`;
const NAME = `Name ${run("name")} {{x}} {{{x}}} ${"\u202e"}thgir`;

/** Signs up with such a name for such a topic, and opens all that comes of it. */
export async function tryHostileValues(context, demo, database, report) {
  const quoted = TOPIC.replaceAll("'", "''");
  await database.ask(`INSERT INTO topics (slug, name, description) VALUES ('hostile', '${quoted}', '${quoted}')`);
  await database.ask(`INSERT INTO programs (slug, name, description, created_at) VALUES ('hostile', '${quoted}', '${quoted}', now())`);
  const page = await context.newPage();
  const address = "hostile@example.org";
  await page.goto(`${demo.pages}/?x=${encodeURIComponent(run("query"))}`);
  await shows(page, TOPIC, report);
  await page.goto(`${demo.pages}/waitlist/hostile?x=${encodeURIComponent(run("query"))}`);
  await shows(page, TOPIC, report);
  await page.goto(`${demo.pages}/subscribe`);
  await shows(page, TOPIC, report);
  await tooLong(page, report);
  await page.goto(`${demo.pages}/subscribe`);
  await page.locator("#email").fill(address);
  await page.locator("#name").fill(NAME);
  await page.locator("[name=topics]").evaluateAll((boxes) => boxes.forEach((box) => (box.checked = true)));
  await send(page);
  const confirmation = await awaitMail(demo, address, "confirmation for a hostile name");
  await openMail(context, confirmation, report);
  await page.goto(ownLinks(confirmation, demo.pages).find((link) => link.includes("/confirm/")));
  await shows(page, TOPIC, report);
  await turn(page, () => page.locator("form:has([value=confirm]) button").click());
  const welcome = await awaitMail(demo, address, "welcome for a hostile name", (mail) => mail.text.includes("subscription is confirmed"));
  await openMail(context, welcome, report);
  await page.goto(ownLinks(welcome, demo.pages).find((link) => link.includes("/u/")));
  await page.goto(ownLinks(welcome, demo.pages).find((link) => link.includes("/preferences/")));
  await shows(page, TOPIC, report);
  report.expect((await page.content()).includes("Name &lt;script&gt;") || (await fieldHas(page, NAME)), "the hostile name is not shown as it was given");
  for (const path of ["u", "confirm", "preferences", "offers", "waitlist", "waitlist/hostile"]) await page.goto(`${demo.pages}/${path}/${encodeURIComponent(run("token"))}`);
  await page.close();
  await database.ask("UPDATE topics SET open = false WHERE slug = 'hostile'");
  report.step("hostile names, topics and links: nothing was run");
}

async function tooLong(page, report) {
  await page.locator("#email").fill("long@example.org");
  await page.evaluate(() => document.querySelector("#name").removeAttribute("maxlength"));
  await page.locator("#name").fill("x".repeat(500));
  const answering = page.waitForResponse((one) => one.request().method() === "POST");
  await send(page);
  const answer = await answering;
  report.expect(answer.status() === 422, `a name of 500 letters is answered with ${answer.status()}`);
}

async function send(page) {
  await page.waitForTimeout(FILLING_TAKES);
  await turn(page, () => page.locator("main form button").click());
}

async function shows(page, text, report) {
  const found = await page.evaluate(() => document.body.textContent);
  report.expect(found.includes(text), `${new URL(page.url()).pathname.split("/")[1] || "home"} does not show a hostile topic as it is named`);
}

async function fieldHas(page, text) {
  return page.locator("input").evaluateAll((inputs, wanted) => inputs.some((input) => input.value === wanted), text);
}

async function openMail(context, mail, report) {
  const page = await context.newPage();
  await page.setContent(mail.html, { waitUntil: "load" });
  await page.waitForTimeout(300);
  // A mail leaves out what turns the direction of reading.
  const text = await page.evaluate(() => document.body.textContent);
  report.expect(text.includes(TOPIC.replace("\u202e", "")), "a mail does not show a hostile topic as it is named");
  await page.close();
}
