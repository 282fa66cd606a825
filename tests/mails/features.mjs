// The features of HTML and CSS that a mail uses, by the names of caniemail's data; what the data does not know goes by a name of its own.

import data from "caniemail/caniemail.json" with { type: "json" };

const KNOWN = new Map(data.data.map((feature) => [feature.slug, feature]));
const SEMANTIC = new Set(["article", "aside", "details", "figcaption", "figure", "footer", "header", "main", "mark", "nav", "section", "summary", "time"]);
const LISTS = new Set(["ul", "ol", "li", "dl", "dt", "dd"]);
const TABLES = new Set(["table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption", "colgroup", "col"]);
const DOCUMENT = new Set(["html", "head", "title", "meta", "a", "br", "em", "b", "i", "u", "sup", "sub"]);

/** How many of the mail programs that were tried show a feature, from 0 to 1; null where nobody tried. */
export function support(name) {
  const stats = KNOWN.get(name)?.stats;
  if (!stats) return null;
  const latest = Object.values(stats).flatMap((platforms) => Object.values(platforms)).map((versions) => Object.values(versions).at(-1));
  return latest.filter((answer) => /^[ya]/.test(answer)).length / latest.length;
}

/** Every feature of one HTML document. */
export function featuresOf(html) {
  const found = new Set();
  const sheets = [...html.matchAll(/<style[^>]*>([\s\S]*?)<\/style>/g)].map((match) => match[1]);
  sheets.forEach((sheet) => addSheet(found, sheet));
  const markup = html.replaceAll(/<style[^>]*>[\s\S]*?<\/style>/g, "<style></style>").replaceAll(/<!--(?!\[if)[\s\S]*?-->/g, "");
  for (const [, name, attributes] of markup.matchAll(/<([a-z][a-z0-9:-]*)((?:\s+[^\s=>]+(?:="[^"]*")?)*)\s*\/?>/gi)) {
    addElement(found, name.toLowerCase(), attributes);
  }
  return found;
}

function addElement(found, name, attributes) {
  // What only Word's engine reads.
  if (/^[vo]:/.test(name)) return;
  if (/^h[1-6]$/.test(name)) found.add("html-h1-h6");
  else if (LISTS.has(name)) found.add("html-lists");
  else if (TABLES.has(name)) found.add("html-table");
  else if (SEMANTIC.has(name)) found.add("html-semantics");
  else if (!DOCUMENT.has(name)) found.add(KNOWN.has(`html-${name}`) ? `html-${name}` : `element ${name}`);
  for (const [, attribute, value] of attributes.matchAll(/\s([^\s=>]+)(?:="([^"]*)")?/g)) {
    if (attribute === "style") addDeclarations(found, value ?? "");
    else if (KNOWN.has(`html-${attribute}`) && attribute !== name) found.add(`html-${attribute}`);
  }
}

function addSheet(found, sheet) {
  const bare = sheet.replaceAll(/\/\*[\s\S]*?\*\//g, "");
  for (const [, name, condition] of bare.matchAll(/@([a-z-]+)([^{;]*)/g)) {
    found.add(KNOWN.has(`css-at-${name}`) ? `css-at-${name}` : `rule @${name}`);
    for (const [, feature] of condition.matchAll(/\(\s*([a-z-]+)/g)) {
      if (!["min-width", "max-width"].includes(feature)) found.add(KNOWN.has(`css-at-${name}-${feature}`) ? `css-at-${name}-${feature}` : `rule @${name} (${feature})`);
    }
  }
  for (const [, selector, declarations] of bare.matchAll(/([^{}]+)\{([^{}]*)\}/g)) {
    if (!selector.trim().startsWith("@")) addSelector(found, selector.trim());
    addDeclarations(found, declarations);
  }
}

function addSelector(found, selector) {
  const quiet = selector.replaceAll(/\[[^\]]*\]/g, () => (found.add("css-selector-attribute"), ""));
  for (const [, colons, name] of quiet.matchAll(/(::?)([a-z-]+)/g)) {
    const kind = colons === "::" ? "element" : "class";
    found.add(KNOWN.has(`css-pseudo-${kind}-${name}`) ? `css-pseudo-${kind}-${name}` : `selector ${colons}${name}`);
  }
  const signs = { ">": "child", "+": "adjacent-sibling", "~": "general-sibling", "*": "universal", "#": "id", ".": "class", ",": "grouping" };
  Object.entries(signs).filter(([sign]) => quiet.includes(sign)).forEach(([, name]) => found.add(`css-selector-${name}`));
  if (quiet.split(",").some((one) => /[\w)]\s+[\w.#]/.test(one.trim()))) found.add("css-selector-descendant");
}

function addDeclarations(found, text) {
  for (const declaration of text.split(";").filter((one) => one.includes(":"))) {
    const [property, ...rest] = declaration.split(":");
    addProperty(found, property.trim().toLowerCase(), rest.join(":").trim().toLowerCase());
  }
}

function addProperty(found, property, value) {
  if (!property || property.startsWith("mso-")) return;
  if (property.startsWith("--")) return void found.add("css-variables");
  // border-top-style is one of the borders; what the data has no name for keeps its own.
  const parts = property.split("-");
  const names = parts.map((_, count) => `css-${parts.slice(0, parts.length - count).join("-")}`);
  found.add(names.find((name) => KNOWN.has(name)) ?? `property ${property}`);
  if (value.includes("!important")) found.add("css-important");
  if (KNOWN.has(`css-${property}-${value.split(/\s/)[0]}`)) found.add(`css-${property}-${value.split(/\s/)[0]}`);
  for (const [, name] of value.matchAll(/([a-z-]+)\(/g)) {
    found.add(["function-", "unit-", ""].map((kind) => `css-${kind}${name}`).find((known) => KNOWN.has(known)) ?? `function ${name}()`);
  }
  for (const [, unit] of value.matchAll(/(?:^|[\s,(])-?[\d.]+(%|[a-z]+)/g)) {
    const known = `css-unit-${unit === "%" ? "percent" : unit}`;
    found.add(KNOWN.has(known) ? known : `unit ${unit}`);
  }
}
