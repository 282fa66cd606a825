// A person without a mouse: Tab until what she wants has the focus, then type, or press Space or Enter.
// On the way everything that takes the focus must be there to be seen, and must show that it has it.

import { turn } from "./turn.mjs";

const MOST_STOPS = 80;

/** Presses Tab until what `selector` describes has the focus. */
export async function tabTo(page, selector, report) {
  for (let stop = 0; stop < MOST_STOPS; stop += 1) {
    await page.keyboard.press("Tab");
    const focus = await page.evaluate(aboutFocus, selector);
    if (focus.fault) report.fail(`${new URL(page.url()).pathname.split("/")[1]}: ${focus.fault}`);
    if (focus.arrived) return;
  }
  throw new Error(`${selector} on ${page.url()} cannot be reached with Tab`);
}

/** Goes to a field and types into it in place of what it held. */
export async function typeInto(page, selector, text, report) {
  await tabTo(page, selector, report);
  await page.keyboard.press("Control+A");
  await page.keyboard.type(text);
}

/** Goes to a button or link and presses `key` on it, then waits for the page that comes. */
export async function press(page, selector, report, key = "Enter") {
  await tabTo(page, selector, report);
  await turn(page, () => page.keyboard.press(key));
}

// Runs in the page.
function aboutFocus(selector) {
  const element = document.activeElement;
  if (!element || element === document.body) return { arrived: false };
  const name = element.outerHTML.slice(0, 120);
  const box = element.getBoundingClientRect();
  const shown = box.width > 1 && box.height > 1 && element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const outlined = [element, element.closest("label")].some((one) => {
    const style = one && getComputedStyle(one);
    return style && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  });
  const fault = !shown ? `what nobody sees takes the focus: ${name}` : !outlined ? `the focus cannot be seen on ${name}` : undefined;
  return { arrived: element.matches(selector), fault };
}
