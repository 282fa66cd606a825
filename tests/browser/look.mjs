// Looks at a page as people have it: on a phone and on a desk, by day and by night. axe-core must find nothing, nothing may stand out
// over the side, and a screenshot is kept where a folder is given. Called for every page and every mail.

import { readFile, mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const SIZES = [{ width: 375, height: 740 }, { width: 1280, height: 860 }];
const SCHEMES = ["light", "dark"];

/** Makes the function that looks; `folder`: where screenshots go, if anywhere. */
export async function newLook(report, folder) {
  if (folder) await mkdir(folder, { recursive: true });
  const looks = { count: 0 };
  const look = async (page, name) => {
    for (const size of SIZES) {
      await page.setViewportSize(size);
      for (const colorScheme of SCHEMES) {
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        await lookOnce(page, `${name} at ${size.width} px, ${colorScheme}`, report);
        if (folder) await page.screenshot({ path: join(folder, `${name}-${size.width}-${colorScheme}.png`), fullPage: true });
        looks.count += 1;
      }
    }
  };
  return Object.assign(look, { looks });
}

async function lookOnce(page, name, report) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  report.expect(over <= 0, `${name}: the page is ${over} px wider than the screen`);
  // Evaluated by the debugger and not as a script of the page: its policy stays in force.
  if (!(await page.evaluate("typeof axe === 'object'"))) await page.evaluate(AXE);
  const violations = await page.evaluate(async (rules) => {
    const found = await globalThis.axe.run(document, { runOnly: rules, resultTypes: ["violations"], preload: false });
    return found.violations.map((one) => `${one.id} (${one.help}): ${one.nodes.map((node) => node.html.slice(0, 160)).slice(0, 3).join(" | ")}`);
  }, RULES);
  for (const violation of violations) report.fail(`${name}: axe says ${violation}`);
}
