// Watches a browser context: hosts that are asked, policies that are broken or too loose, scripts that have no business running.
// Every context of the suite is made here and ended by its `finish`; what it meets goes to the report as it happens.

/** What a hostile value calls if it is ever run. */
export const ALARM = "somethingRan";

/** A context whose pages may ask only the origins of `own`; `strict` are those whose pages must carry a strict policy. */
export async function newContext(browser, report, { own, strict = own, scripts = true, ...options }) {
  const context = await browser.newContext({ javaScriptEnabled: scripts, ...options });
  const foreign = (url) => /^(https?|wss?|ftp):/.test(url.protocol) && !own.includes(url.origin);
  let requests = 0;
  context.on("request", () => (requests += 1));
  await context.route(foreign, (route) => {
    report.fail(`a foreign host was asked: ${new URL(route.request().url()).origin} by ${where(route.request())}`);
    return route.abort();
  });
  context.on("console", (message) => {
    if (/content security policy|permissions policy/i.test(message.text())) {
      report.fail(`a policy was broken on ${path(message.page()?.url())}: ${message.text().split("\n")[0]}`);
    }
  });
  context.on("weberror", (error) => report.fail(`a script failed on ${path(error.page()?.url())}: ${error.error().message}`));
  context.on("dialog", (dialog) => {
    report.fail(`a dialog was opened on ${path(dialog.page()?.url())}`);
    return dialog.dismiss();
  });
  context.on("response", (response) => {
    const url = new URL(response.url());
    if (!strict.includes(url.origin)) return;
    const loose = looseness(response.headers()["content-security-policy"]);
    if (loose) report.fail(`the policy of ${path(response.url())} ${loose}`);
  });
  await context.exposeBinding(ALARM, ({ page }, what) => report.fail(`a hostile value was run on ${path(page.url())}: ${what}`));
  const finish = async () => {
    for (const { name, path: place } of await context.cookies()) report.fail(`a cookie was set: ${name} for ${place}`);
    await context.close();
  };
  return Object.assign(context, { requestsSoFar: () => requests, finish });
}

/** What is too loose about a Content-Security-Policy; nothing: it is strict. */
export function looseness(policy) {
  if (!policy) return "is missing";
  const directives = new Map(policy.split(";").map((one) => one.trim().split(/\s+/)).map(([name, ...sources]) => [name, sources]));
  for (const [name, wanted] of [["default-src", "'none'"], ["base-uri", "'none'"], ["frame-ancestors", "'none'"], ["form-action", "'self'"]]) {
    if (directives.get(name)?.join(" ") !== wanted) return `has no ${name} ${wanted}: ${policy}`;
  }
  for (const [name, sources] of directives) {
    const wrong = sources.find((source) => !["'none'", "'self'"].includes(source));
    if (wrong) return `lets ${name} have ${wrong}: ${policy}`;
  }
  return undefined;
}

/** The path of an address without what is secret in it. */
export function path(address) {
  if (!address?.startsWith("http")) return address ?? "a page";
  const [, first = "", ...rest] = new URL(address).pathname.split("/");
  return rest.length > 0 && !/^\d+$/.test(rest[0]) ? `/${first}/…` : `/${[first, ...rest].join("/")}`;
}

function where(request) {
  try {
    return path(request.frame().url());
  } catch {
    return "the browser";
  }
}
