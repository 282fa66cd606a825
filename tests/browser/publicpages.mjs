// The pages that nobody needs a letter for, and those that people meet when something is not as it should be. Each is looked at.

import { awaitMail, ownLinks } from "./demo.mjs";
import { press, typeInto } from "./keyboard.mjs";
import { FILLING_TAKES } from "./subscribing.mjs";
import { turn } from "./turn.mjs";

/** Opens them one after the other. `known`: an address of a subscriber to whom nothing was mailed because somebody asked. */
export async function lookAtPublicPages(context, demo, known, look, report) {
  const page = await context.newPage();
  for (const [name, path, status] of [
    ["home", "/", 200],
    ["no-such-page", "/nowhere", 404],
    ["invalid-unsubscribe", "/u/none", 404],
    ["invalid-confirm", "/confirm/none", 404],
    ["invalid-preferences", "/preferences/none", 404],
    ["invalid-place", "/waitlist/course/none", 404],
    ["invalid-offer", "/offers/none", 404],
    ["no-such-program", "/waitlist/none", 404],
  ]) {
    const answer = await page.goto(demo.pages + path);
    report.expect(answer.status() === status, `${path} is answered with ${answer.status()}`);
    await look(page, name);
  }
  await wrongForm(page, demo, look, report);
  await formOfAnotherSite(page, demo, look, report);
  await lostLink(page, demo, known, look, report);
  await page.close();
  report.step("public pages looked at: home, mistakes, a form of another site, a lost link");
}

async function wrongForm(page, demo, look, report) {
  await page.goto(`${demo.pages}/subscribe`);
  // What a browser would not send is what is tried here.
  await page.evaluate(() => (document.querySelector("main form").noValidate = true));
  await page.locator("#email").fill("no address");
  await page.waitForTimeout(FILLING_TAKES);
  const answering = page.waitForResponse((one) => one.request().method() === "POST");
  await turn(page, () => page.locator("main form button").click());
  const answer = await answering;
  report.expect(answer.status() === 422, `a form with a wrong address is answered with ${answer.status()}`);
  const about = await page.locator("#email").evaluate((field) => field.getAttribute("aria-describedby"));
  const problem = about && (await page.locator(`#${about.split(" ")[0]}`).textContent());
  report.expect(Boolean(problem?.trim()), "the problem with the address is not tied to its field");
  report.expect((await page.locator("#email").inputValue()) === "no address", "what was typed into a wrong form is lost");
  await look(page, "subscribe-wrong");
}

// The page of another site is made here: a plain form, with no stamp.
async function formOfAnotherSite(page, demo, look, report) {
  const address = "other.site@example.org";
  await page.setContent(`<!doctype html><form method="post" action="${demo.pages}/subscribe"><input name="email" value="${address}"><button>Go</button></form>`);
  await turn(page, () => page.locator("button").click());
  await look(page, "subscribe-once-more");
  await page.waitForTimeout(FILLING_TAKES);
  await press(page, "main form button", report);
  await awaitMail(demo, address, "confirmation after a form of another site");
}

async function lostLink(page, demo, known, look, report) {
  await page.goto(`${demo.pages}/preferences`);
  await look(page, "lost-link");
  await typeInto(page, "#email", known, report);
  await page.waitForTimeout(FILLING_TAKES);
  await press(page, "main form button", report);
  await look(page, "lost-link-thanks");
  const mail = await awaitMail(demo, known, "mail with the preferences link", (one) => !one.headers.some(([name]) => /^list-id$/i.test(name)));
  const links = ownLinks(mail, demo.pages).filter((link) => link.includes("/preferences/"));
  report.expect(links.length === 1, `the mail about a lost link has ${links.length} of them`);
}

/** Asks for mails until the limit of one host is met: nobody signs up after that. */
export async function askTooOften(context, demo, look, report) {
  const page = await context.newPage();
  await page.goto(`${demo.pages}/preferences`);
  const stamp = await page.locator("[name=stamp]").inputValue();
  await page.waitForTimeout(FILLING_TAKES);
  // One stamp serves many posts: it is no ticket, and what ends them is the limit.
  let status = 200;
  for (let post = 0; post < 300 && status !== 429; post += 1) {
    const body = new URLSearchParams({ stamp, email: `nobody.${post}@example.org`, website: "" });
    ({ status } = await fetch(`${demo.pages}/preferences`, { method: "POST", body, redirect: "manual" }));
  }
  report.expect(status === 429, "300 requests of one host meet no limit");
  await page.locator("#email").fill("nobody@example.org");
  await turn(page, () => page.locator("main form button").click());
  await look(page, "too-many");
  await page.close();
  report.step("the limit of one host met");
}
