// Holds the HTML of mails against the features that the base template uses: whatever else a mail program may not know is named.
//
// usage: node run.mjs FOLDER [--write]    (FOLDER has *.html; --write makes features.txt anew from the base template's mails)

import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { featuresOf, support } from "./features.mjs";

const LIST = join(import.meta.dirname, "features.txt");
const BASE = /^weekly_tip-/;
/** Fewer mail programs than that may know what the look of a mail hangs on; what is known by fewer only adds to it. */
const WIDELY = 0.5;

// Each uses one thing that the base template does not; each must be found.
const PLANTED = {
  "css-display-grid": '<p style="display:grid">x</p>',
  "css-position": '<p style="position:fixed">x</p>',
  "css-variables": "<style>p { --colour: red }</style>",
  "css-pseudo-class-has": "<style>p:has(a) { color: red }</style>",
  "css-function-clamp": '<p style="width:clamp(1px, 2px, 3px)">x</p>',
  "css-unit-vw": '<p style="width:10vw">x</p>',
  "css-at-font-face": "<style>@font-face { font-family: x }</style>",
  "rule @container": "<style>@container (min-width: 1px) { p { color: red } }</style>",
  "html-video": "<video></video>",
  "element blink": "<blink>x</blink>",
};

const [folder, ...options] = process.argv.slice(2);
const mails = readdirSync(folder).filter((name) => name.endsWith(".html")).sort();
const used = new Map(mails.map((name) => [name, featuresOf(readFileSync(join(folder, name), "utf8"))]));
const base = new Set([...used].filter(([name]) => BASE.test(name)).flatMap(([, features]) => [...features]));
if (options.includes("--write")) writeFileSync(LIST, [...base].sort().join("\n") + "\n");
const allowed = new Set(readFileSync(LIST, "utf8").split("\n").filter(Boolean));

const problems = [];
if (mails.length < 40) problems.push(`${folder} has ${mails.length} mails: expected every template with every sample`);
for (const [name, features] of used) {
  [...features].filter((one) => !allowed.has(one)).forEach((one) => problems.push(`${name} uses ${one}, which the base template does not`));
}
[...allowed].filter((one) => !base.has(one)).forEach((one) => problems.push(`features.txt has ${one}, which the base template uses no more`));
for (const [feature, html] of Object.entries(PLANTED)) {
  const found = featuresOf(html);
  if (!found.has(feature) || allowed.has(feature)) problems.push(`the planted fault ${feature} was not found; found was: ${[...found].join(", ") || "nothing"}`);
}
problems.forEach((problem) => console.error(problem));
const rare = [...base].filter((one) => (support(one) ?? 1) < WIDELY);
console.log(`${mails.length} mails, ${base.size} features of the base template; known by fewer than half of the mail programs: ${rare.join(", ") || "none"}`);
console.log(`${Math.max(mails.length + Object.keys(PLANTED).length - problems.length, 0)} passed, ${problems.length} failed`);
process.exit(problems.length ? 1 : 0);
