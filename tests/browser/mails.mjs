// Every kind of mail as a mail program shows it: nothing is asked of anybody, nothing runs, and axe-core has no complaint.

/** Shows the HTML of each mail by itself and looks at it. */
export async function lookAtMails(context, kinds, look, report) {
  for (const [kind, mail] of kinds) {
    const page = await context.newPage();
    const before = context.requestsSoFar();
    // Without the inbox's policy around it, so that the mail itself is tried.
    await page.setContent(mail.html, { waitUntil: "load" });
    await look(page, `mail-${kind.replaceAll(/\W+/g, "-")}`);
    const asked = context.requestsSoFar() - before;
    report.expect(asked === 0, `the mail ${kind} asks for ${asked} things when it is opened`);
    await page.close();
  }
  report.step(`${kinds.size} kinds of mail looked at`);
}

/** The catcher's own pages, which the demo serves. */
export async function lookAtInbox(context, demo, look, report) {
  const page = await context.newPage();
  for (const [name, path] of [["inbox", "/"], ["inbox-html", "/mails/1?view=html"], ["inbox-text", "/mails/1?view=text"], ["inbox-source", "/mails/1?view=source"]]) {
    await page.goto(demo.inbox + path);
    await look(page, name);
  }
  await page.close();
  report.step("the inbox looked at");
}
