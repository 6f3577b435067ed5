import type { Outcome } from '../../../src/kube/outcome.ts';
import { Crash, type KubeStandIn } from './kube-stand-in.ts';

/** Looks until nothing is written any more; the last outcome. */
export async function convergeOn(kube: KubeStandIn, look: () => Promise<Outcome>): Promise<Outcome> {
  for (let round = 0; round < 10; round++) {
    const before = kube.writes.length;
    const outcome = await look();
    if (kube.writes.length === before) return outcome;
  }
  throw new Error(`no end of writes: ${kube.writes.slice(-10).join(', ')}`);
}

/** The same through a process that dies at the n-th write and is started again. True when it died. */
export async function convergeThroughCrash(
  kube: KubeStandIn,
  look: () => Promise<Outcome>,
  nth: number,
  when: 'before' | 'after',
): Promise<boolean> {
  kube.crashAt = nth;
  kube.crashWhen = when;
  let died = false;
  try {
    await convergeOn(kube, look);
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
    died = true;
  }
  kube.crashAt = Infinity;
  await convergeOn(kube, look);
  return died;
}
