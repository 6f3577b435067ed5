import type { RegistryGC } from '../api/registry-gc.ts';
import type { Stored } from '../kube/object.ts';
import { RUN_AT_ANNOTATION } from '../api/names.ts';
import { parseSchedule, ScheduleError } from './schedule.ts';

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

/** One that can never run stands in nobody's way, nor does one without a schedule whose runs have ended. */
function hasMoreToDo({ spec, status, metadata }: RegistryGC): boolean {
  const runAt = metadata.annotations?.[RUN_AT_ANNOTATION];
  const isAsked = runAt !== undefined && runAt !== status?.lastHandledRunAt;
  if (spec.schedule === undefined) return isAsked || status?.lastRun?.result === undefined;
  try {
    return parseSchedule(spec.schedule, spec.timeZone).next(0) !== undefined || isAsked;
  } catch (error) {
    if (!(error instanceof ScheduleError)) throw error;
    return false;
  }
}
