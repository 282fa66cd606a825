// The demo as a process of its own on a temporary folder, and the mails that its catcher has.
// Started and ended by run.mjs.

import { spawn } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PATIENCE = 15_000;

/** Starts `tidings demo` and waits until its weeks were played. */
export async function startDemo(binary, weeks, subscribers) {
  const place = await mkdtemp(join(tmpdir(), "tidings-browser-"));
  // Root's Postgres runs as another account, which has to pass through.
  await chmod(place, 0o711);
  const folder = join(place, "demo");
  const said = [];
  const child = spawn(binary, ["demo", "--json", "--weeks", String(weeks), "--subscribers", String(subscribers), "--data", folder], {
    cwd: place,
    env: { PATH: process.env.PATH, HOME: place },
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stderr.on("data", (text) => said.push(text));
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const end = async () => {
    child.kill("SIGINT");
    await ended;
    await rm(place, { recursive: true, force: true });
  };
  const summary = await Promise.race([firstLine(child.stdout), ended]);
  if (typeof summary !== "string") {
    await end();
    throw new Error(`the demo ended before it served anything; it said:\n${said.join("")}`);
  }
  const { pages, inbox } = JSON.parse(summary);
  return { pages, inbox, folder, said, end };
}

function firstLine(stream) {
  return new Promise((resolve) => {
    let text = "";
    stream.on("data", (more) => {
      text += more;
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
    });
  });
}

/** All caught mails, newest first, without their texts. */
export async function mailsOf(demo, to = "") {
  const answer = await fetch(`${demo.inbox}/api/mails?per_page=1000&to=${encodeURIComponent(to)}`);
  return (await answer.json()).mails;
}

/** A mail with its texts and headers. */
export async function readMail(demo, id) {
  return (await fetch(`${demo.inbox}/api/mails/${id}`)).json();
}

/** The newest mail to an address for which `fits` holds, waited for. */
export async function awaitMail(demo, to, what, fits = () => true) {
  for (const began = performance.now(); performance.now() - began < PATIENCE; ) {
    for (const { id } of await mailsOf(demo, to)) {
      const mail = await readMail(demo, id);
      if (fits(mail)) return mail;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no ${what} came to ${to} within ${PATIENCE / 1000} s`);
}

/** The links of a mail that lead to `pages`: out of its HTML, its text and its headers. */
export function ownLinks(mail, pages) {
  const unescaped = (text) => text.replaceAll("&#x3D;", "=").replaceAll("&#x2F;", "/").replaceAll("&quot;", '"').replaceAll("&amp;", "&");
  const found = [...(mail.html ?? "").matchAll(/(?:href|src|action)\s*=\s*"([^"]*)"/g)].map((match) => unescaped(match[1]));
  const plain = [mail.text ?? "", ...mail.headers.filter(([name]) => /^list-/i.test(name)).map(([, value]) => value)].join("\n");
  found.push(...[...plain.matchAll(/https?:\/\/[^\s<>"]+/g)].map((match) => match[0].replace(/[.,;:!?)\]']+$/, "")));
  return [...new Set(found.filter((link) => link.startsWith(`${pages}/`)))];
}
