import type { TestContext } from 'node:test';

/** One thing that is done and checked; what `run` returns is what was seen, in one line. It throws when that is not what should be. */
export interface Step {
  readonly title: string;
  readonly run: () => Promise<string>;
}

export function step(title: string, run: () => Promise<string>): Step {
  return { title, run };
}

/** Runs the steps one after another and tells each with its time and what it saw. Stops at the first that fails, and throws its error. */
export async function tell(steps: readonly Step[], write: (text: string) => void): Promise<void> {
  const began = performance.now();
  for (const [index, { title, run }] of steps.entries()) {
    write(`${String(index + 1).padStart(2)}/${steps.length}  ${title}\n`);
    const start = performance.now();
    const outcome = await run().then(
      (seen) => ({ seen }),
      (error: unknown) => ({ error }),
    );
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    if ('error' in outcome) {
      write(`       failed after ${seconds} s\n`);
      throw outcome.error;
    }
    write(`       ${seconds.padStart(5)} s  ${outcome.seen}\n`);
  }
  write(`All ${steps.length} steps in ${((performance.now() - began) / 1000).toFixed(0)} s.\n`);
}

/** Runs the steps as tests of their own, one after another. Each builds on those before, so it stops at the first that fails. */
export async function testSteps(t: TestContext, steps: readonly Step[]): Promise<void> {
  let passed = true;
  for (const { title, run } of steps) {
    if (!passed) return;
    passed = false;
    await t.test(title, async (t) => {
      t.diagnostic(await run());
      passed = true;
    });
  }
}
