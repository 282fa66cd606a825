// Whether each check can fail: pages with one planted fault each, served by this process, must be found at fault; a page without
// one must not. So must a change in the database.

import { createServer } from "node:http";
import { changedTables } from "./database.mjs";
import { tabTo } from "./keyboard.mjs";
import { newLook } from "./look.mjs";
import { newReport } from "./report.mjs";
import { ALARM, looseness, newContext } from "./watch.mjs";

const STRICT = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const page = (body, head = "") =>
  `<!doctype html><html lang="en"><head><meta name="viewport" content="width=device-width"><title>A page</title>${head}</head><body><main><h1>A page</h1>${body}</main></body></html>`;
const button = '<button type="button" id="wanted">Wanted</button>';

// By name: a body, its policy, what the report must say; none: nothing.
const PLANTED = {
  faultless: { body: page(`<p>Nothing is wrong here.</p>${button}`), policy: STRICT },
  "picture without words": { body: page('<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">'), policy: "", says: /axe says image-alt/ },
  "grey on grey": { body: page('<p style="color:#999;background:#aaa">Pale</p>'), policy: "", says: /axe says color-contrast/ },
  "wider than the screen": { body: page('<p style="width:2000px">Wide</p>'), policy: "", says: /wider than the screen/ },
  "foreign picture": { body: page('<img alt="" src="http://pixel.example.org/a.gif">'), policy: "", says: /a foreign host was asked: http:\/\/pixel\.example\.org/ },
  "loose policy": { body: page("<p>Loose</p>"), policy: `${STRICT}; script-src 'unsafe-inline'`, says: /lets script-src have 'unsafe-inline'/ },
  "no policy": { body: page("<p>None</p>"), policy: "", says: /the policy of .* is missing/ },
  "broken policy": { body: page("<p>Broken</p>", "<style>p { color: black }</style>"), policy: STRICT, says: /a policy was broken/ },
  "hostile value": { body: page(`<script>${ALARM}("a name")</script>`), policy: "", says: /a hostile value was run/ },
  "failing script": { body: page("<script>nothing.there()</script>"), policy: "", says: /a script failed/ },
  "hidden trap": { body: page(`<input aria-label="x" style="opacity:0">${button}`), policy: STRICT.replace("'self'; form", "'unsafe-inline'; form"), says: /what nobody sees takes the focus/ },
  "focus that hides": { body: page(`<style>:focus { outline: none }</style>${button}`), policy: "", says: /the focus cannot be seen/ },
  "cookie": { body: page("<p>Cookie</p>"), policy: STRICT, cookie: true, says: /a cookie was set/ },
};

/** Plants the faults, one after the other; every one that goes unseen is a failure of the suite. */
export async function checkTheChecks(browser, database, report) {
  const server = createServer(serve);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  await Promise.all(Object.entries(PLANTED).map(async ([name, { says }]) => {
    const found = await findings(browser, origin, name);
    if (says) report.expect(found.some((one) => says.test(one)), `the planted fault “${name}” was not found; found was: ${found.join("; ") || "nothing"}`);
    else report.expect(found.length === 0, `a page without a fault was found at fault: ${found.join("; ")}`);
  }));
  server.close();
  report.expect(looseness(STRICT) === undefined, "a strict policy is called loose");
  const [before, after] = [await database.fingerprint(), await database.fingerprintAfter("UPDATE topics SET name = name || '!'")];
  report.expect(changedTables(before, after).join() === "topics", "a changed row in the database goes unseen");
  report.expect(changedTables(before, await database.fingerprint()).length === 0, "the fingerprint of the database changes by itself");
  report.step(`${Object.keys(PLANTED).length} planted pages and a changed row: each check can fail`);
}

async function findings(browser, origin, name) {
  const found = newReport(true);
  const context = await newContext(browser, found, { own: [origin] });
  const opened = await context.newPage();
  await opened.goto(`${origin}/${encodeURIComponent(name)}`);
  // Keys first: by looking at the page its focus is lost.
  await tabTo(opened, "#wanted", found).catch(() => {});
  await (await newLook(found))(opened, name);
  await context.finish();
  return found.failures;
}

function serve(request, response) {
  const planted = PLANTED[decodeURIComponent(request.url.slice(1))];
  const headers = { "content-type": "text/html; charset=utf-8" };
  if (planted?.policy) headers["content-security-policy"] = planted.policy;
  if (planted?.cookie) headers["set-cookie"] = "a=b";
  response.writeHead(planted ? 200 : 404, headers).end(planted?.body ?? "");
}
