/** Longer than anything that a test waits for, also on a machine that is busy. */
const AT_MOST_MS = 30_000;

/** Polls until `condition` holds. @throws when it never does */
export async function waitFor(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + AT_MOST_MS;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited in vain for ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
