import type { RegistryGC, RegistryGCStatus } from '../api/registry-gc.ts';
import type { EventDetails } from '../kube/event-recorder.ts';
import { collectionFindings, collectionPhase } from './collection-conditions.ts';
import type { CollectionFacts } from './collection-facts.ts';
import { finishedRun, historyOf, type LastRun } from './collection-run.ts';
import { timestamp, toConditions } from './conditions.ts';

/** The status that follows from the facts. `now`: milliseconds since the epoch, the time when a condition changed. */
export function collectionStatus(
  facts: CollectionFacts,
  ended: readonly LastRun[],
  lastHandledRunAt: string | undefined,
  now: number,
): RegistryGCStatus {
  const { gc, lastRun, plan } = facts;
  const generation = gc.metadata.generation ?? 0;
  const history = historyOf(
    gc,
    ended.flatMap((run) => finishedRun(run) ?? []),
  );
  return {
    observedGeneration: generation,
    conditions: toConditions(collectionFindings(facts), gc.status?.conditions, { generation, now }),
    phase: collectionPhase(facts),
    ...(lastRun !== undefined && { lastRun }),
    ...(plan.nextRunTime !== undefined && { nextRunTime: timestamp(plan.nextRunTime) }),
    ...(history.length > 0 && { history }),
    ...(lastHandledRunAt !== undefined && { lastHandledRunAt }),
  };
}

/** The Events that a change of the last run is worth. */
export function runEvents(before: RegistryGC['status'], after: RegistryGCStatus): readonly EventDetails[] {
  const [old, run] = [before?.lastRun, after.lastRun];
  if (run === undefined) return [];
  const events: EventDetails[] = [];
  if (old?.name !== run.name) {
    events.push({
      type: 'Normal',
      reason: 'GCStarted',
      action: 'Collect',
      note: `The run ${run.name} was started.`,
    });
  }
  if (run.result !== undefined && (old?.name !== run.name || old.result === undefined)) {
    const good = run.result === 'Succeeded';
    events.push({
      type: good ? 'Normal' : 'Warning',
      reason: good ? 'GCCompleted' : 'GCFailed',
      action: 'Collect',
      note: good ? successNote(run) : `The run ${run.name} ended with ${run.result}: ${run.message ?? ''}`,
    });
  }
  return events;
}

function successNote(run: LastRun): string {
  const {
    tagsDeleted = 0,
    manifestsDeleted = 0,
    blobsDeleted = 0,
    bytesReclaimed = 0,
    bytesInTrash = 0,
    readOnlySeconds = 0,
  } = run;
  const tags = tagsDeleted === 0 ? '' : `${tagsDeleted} tags, `;
  const what = `${tags}${manifestsDeleted} manifests and ${blobsDeleted} blobs`;
  return run.dryRun === true
    ? `The dry run ${run.name} would delete ${what}; ${bytesReclaimed} bytes would come back, ${bytesInTrash} would be in the trash.`
    : `The run ${run.name} deleted ${what}; ${bytesReclaimed} bytes came back, ${bytesInTrash} are in the trash. Writes were held for ${readOnlySeconds} s.`;
}
