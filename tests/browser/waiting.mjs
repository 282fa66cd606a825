// A program with a waitlist: people join it by keyboard, with scripts and without, see their place, answer their offers, give a seat
// back and leave. Every page on the way is looked at, and every link of the mails is opened as a scanner does.

import { changedTables } from "./database.mjs";
import { awaitMail, ownLinks } from "./demo.mjs";
import { press, tabTo, typeInto } from "./keyboard.mjs";
import { scan } from "./scanner.mjs";
import { FILLING_TAKES } from "./subscribing.mjs";

const PATH = "/waitlist/course";
const ABOUT = "Ten evenings in small groups, with a midwife.\n\nIt begins anew each season. Bring whoever you like.";
const OPENING = `INSERT INTO openings (program_id, number, mode, seats, opens_at, zone, offer_for_seconds, remind_before_seconds, created_at)
  SELECT id, 1, 'offers', 1, '2000-01-01', 'Europe/London', 172800, 0, now() FROM programs WHERE slug = 'course'`;

/** Makes the program, which the first page then tells of. */
export async function makeProgram(database) {
  await database.ask(`INSERT INTO programs (slug, name, description, next_text, next_link, created_at)
    VALUES ('course', 'The autumn course', '${ABOUT}', E'Bring a mat.\\n\\nWe write to you a week before it begins.', 'https://example.org/course', now())`);
}

/** The whole way, for three people and one seat. */
export async function waitAndAnswer(context, scriptless, demo, database, look, report) {
  const ana = await join(context, demo, database, "ana.waits", true, look, report);
  const bea = await join(scriptless, demo, database, "bea.waits", false, async () => {}, report);
  const cleo = await join(context, demo, database, "cleo.waits", true, async () => {}, report);
  const second = await context.newPage();
  await second.goto(bea);
  report.expect((await second.textContent("main")).includes("You are number 2 of 3"), "the second of three is not number 2 of 3");
  await second.close();

  await database.ask(OPENING);
  const offer = await offered(demo, "ana.waits", report);
  await scan(context, demo, database, new Map([["joined", await joined(demo, "ana.waits")], ["offer", offer.mail]]), report);
  const page = await context.newPage();
  await page.goto(ana);
  await look(page, "place-offered");
  await page.goto(offer.link);
  await look(page, "offer");
  const another = await context.newPage();
  await another.goto(offer.link);
  await changes(database, report, "accepting", () => press(page, "form:has([value=accept]) button", report));
  await heading(page, /seat is yours/i);
  await look(page, "offer-accepted");
  // The way back leads to how it stands, and a window of before says that it is too late.
  await page.goBack();
  await heading(page, /seat is yours/i);
  await press(another, "form:has([value=decline]) button", report);
  await heading(another, /seat is yours/i);
  await look(another, "offer-too-late");
  await another.close();
  await page.goto(ana);
  await look(page, "place-seated");
  await changes(database, report, "giving a seat back", () => press(page, "form:has([value=withdraw]) button", report));
  await look(page, "place-given-back");

  const next = await offered(demo, "bea.waits", report);
  await page.goto(next.link);
  await changes(database, report, "declining", () => press(page, "form:has([value=decline]) button", report));
  await heading(page, /declined/i);
  await look(page, "offer-declined");

  const last = await offered(demo, "cleo.waits", report);
  await page.goto(ownLinks(last.mail, demo.pages).find((link) => link.includes("/preferences/")));
  await look(page, "preferences-waits");
  await press(page, "form:has([value=ask_erase]) button", report);
  await look(page, "preferences-erase-waits");
  await database.ask("UPDATE transactional SET handed_over_at = handed_over_at - interval '3 days' WHERE kind = 'offer' AND handed_over_at IS NOT NULL");
  await page.goto(last.link);
  await heading(page, /has ended/i);
  await look(page, "offer-ended");
  await page.goto(cleo);
  await look(page, "place-ended");
  // She is the only one left: whatever she is offered, she goes.
  await press(page, "form:has([value=withdraw]) button", report);
  await heading(page, /not on the waitlist/i);
  await look(page, "place-left");
  await database.ask("UPDATE programs SET state = 'closed', closed_at = now()");
  await page.goto(demo.pages + PATH);
  await look(page, "waitlist-closed");
  await page.close();
  report.step("by keyboard: a waitlist joined by three; a seat accepted, given back, declined, missed, and left");
}

// Joins and confirms; the address of her page.
async function join(context, demo, database, name, scripts, look, report) {
  const page = await context.newPage();
  await page.goto(demo.pages + PATH);
  await look(page, "waitlist");
  await wrong(page, demo, look, report);
  const opened = Date.now();
  await typeInto(page, "#email", `${name}@example.org`, report);
  await typeInto(page, "#name", name, report);
  await tabTo(page, "#zone", report);
  if (!scripts) await page.keyboard.type("Lisbon");
  report.expect((await page.locator("#zone").inputValue()) === "Europe/Lisbon", "the form of the waitlist has no time zone");
  await page.waitForTimeout(Math.max(0, FILLING_TAKES - (Date.now() - opened)));
  await changes(database, report, "joining", () => press(page, "main form button", report));
  await heading(page, /inbox/i);
  await look(page, "waitlist-thanks");
  const confirmation = await awaitMail(demo, `${name}@example.org`, "confirmation of a waitlist");
  await page.goto(ownLinks(confirmation, demo.pages).find((link) => link.includes("/confirm/")));
  await look(page, "waitlist-confirm");
  await changes(database, report, "confirming", () => press(page, "form:has([value=confirm]) button", report));
  await look(page, "waitlist-confirm-done");
  const place = ownLinks(await joined(demo, name), demo.pages).find((link) => link.includes(`${PATH}/`));
  await page.goto(place);
  await look(page, "place");
  await page.close();
  return place;
}

async function wrong(page, demo, look, report) {
  await page.evaluate(() => (document.querySelector("main form").noValidate = true));
  await page.locator("#email").fill("no address");
  await press(page, "main form button", report);
  await page.getByRole("alert").waitFor({ timeout: 5_000 });
  await look(page, "waitlist-wrong");
  await page.goto(demo.pages + PATH);
}

async function joined(demo, name) {
  const isJoined = (mail) => ownLinks(mail, demo.pages).some((link) => link.includes(`${PATH}/`));
  return awaitMail(demo, `${name}@example.org`, "mail that says her place", isJoined);
}

async function offered(demo, name, report) {
  const isOffer = (mail) => ownLinks(mail, demo.pages).some((link) => link.includes("/offers/"));
  const mail = await awaitMail(demo, `${name}@example.org`, "offer", isOffer);
  const links = ownLinks(mail, demo.pages).filter((link) => link.includes("/offers/"));
  report.expect(new Set(links).size === 1, `the mail of an offer has ${links.length} links to it`);
  return { mail, link: links[0] };
}

async function changes(database, report, what, act) {
  const before = await database.fingerprint();
  await act();
  report.expect(changedTables(before, await database.fingerprint()).length > 0, `${what} changed nothing`);
}

async function heading(page, text) {
  await page.getByRole("heading", { level: 1 }).filter({ hasText: text }).waitFor({ timeout: 5_000 });
}
