// From one page to the next: the act that leads there, and the waiting until the next one is all there.
// A mark on the page that is left tells them apart, whatever their addresses; called for every button and link that is pressed.

const PATIENCE = 10_000;

/** Does `act` and waits for the page that comes of it. */
export async function turn(page, act) {
  await page.evaluate(() => (globalThis.beforeTheTurn = true));
  await act();
  for (const began = performance.now(); performance.now() - began < PATIENCE; ) {
    // Fails while one page gives way to the other.
    const there = await page.evaluate(() => !globalThis.beforeTheTurn && document.readyState === "complete").catch(() => false);
    if (there) return;
    await page.waitForTimeout(20);
  }
  throw new Error(`no page followed ${new URL(page.url()).pathname.split("/")[1]} within ${PATIENCE / 1000} s`);
}
