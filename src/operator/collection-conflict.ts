import type { RegistryGC } from '../api/registry-gc.ts';
import type { Stored } from '../kube/object.ts';
import { RUN_AT_ANNOTATION } from '../api/names.ts';

/** The older RegistryGC of the same Registry that this one gives way to. `others`: all of that Registry. */
export function conflictingCollection(
  gc: Stored<RegistryGC>,
  others: readonly Stored<RegistryGC>[],
): Stored<RegistryGC> | undefined {
  return others
    .filter((other) => other.metadata.uid !== gc.metadata.uid && hasMoreToDo(other))
    .toSorted(bySeniority)
    .find((other) => bySeniority(other, gc) < 0);
}

function bySeniority(a: Stored<RegistryGC>, b: Stored<RegistryGC>): number {
  const [left, right] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
  return left.localeCompare(right) || a.metadata.name.localeCompare(b.metadata.name);
}

/** One without a schedule whose runs have ended stands in nobody's way. */
function hasMoreToDo(gc: RegistryGC): boolean {
  if (gc.spec.schedule !== undefined || gc.status?.lastRun?.result === undefined) return true;
  const runAt = gc.metadata.annotations?.[RUN_AT_ANNOTATION];
  return runAt !== undefined && runAt !== gc.status.lastHandledRunAt;
}
