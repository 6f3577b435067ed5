import type { RegistryGCStatus } from '../api/registry-gc.ts';
import type { CollectionFacts } from './collection-facts.ts';
import { isFirstRunPending } from './collection-plan.ts';
import type { LastRun, RunResult } from './collection-run.ts';
import { timestamp, type Finding } from './conditions.ts';
import { reasons, type ConditionType, type Reason } from './reasons.ts';
import { podProblem } from './rollout.ts';

type Verdict = Omit<Finding, 'type'>;
type Phase = NonNullable<RegistryGCStatus['phase']>;

/** The conditions that follow from the facts. */
export function collectionFindings(facts: CollectionFacts): readonly Finding[] {
  const ready = readyVerdict(facts);
  const found = (type: ConditionType, verdict: Verdict | undefined): Finding[] =>
    verdict === undefined ? [] : [{ type, ...verdict }];
  return [
    ...found('Ready', ready),
    ...found('Reconciling', reconcilingVerdict(facts)),
    ...found('Stalled', facts.obstacle?.stalled === true ? { ...ready, status: 'True' } : undefined),
  ];
}

/** Where it stands, in one word. */
export function collectionPhase(facts: CollectionFacts): Phase {
  const { gc, registry, active, lastRun, plan } = facts;
  if (active !== undefined) {
    if (!facts.pods.some((pod) => pod.status?.phase === 'Running')) return 'Pending';
    return registry?.status?.readOnly?.reason === 'Draining' ? 'Draining' : 'Running';
  }
  if (plan.due !== undefined || isFirstRunPending(gc, [])) return 'Pending';
  if (gc.spec.schedule !== undefined || lastRun?.result === undefined) return 'Idle';
  return lastRun.result === 'Succeeded' ? 'Succeeded' : 'Failed';
}

function verdict(
  status: Finding['status'],
  reason: Reason,
  message: string = reasons[reason].meaning,
): Verdict {
  return { status, reason, message };
}

function readyVerdict(facts: CollectionFacts): Verdict {
  const { gc, obstacle, lastRun, plan } = facts;
  if (obstacle !== undefined) return verdict('False', obstacle.reason, obstacle.message);
  // For `kubectl wait`: one that runs once is ready when that has succeeded.
  const once = gc.spec.schedule === undefined;
  if (once && facts.active !== undefined) return activeVerdict(facts, 'Unknown');
  if (lastRun?.result !== undefined && lastRun.result !== 'Succeeded')
    return failure(lastRun, lastRun.result);
  if (gc.spec.suspend) return verdict('True', 'Suspended');
  if (once) {
    if (lastRun === undefined) return verdict('Unknown', 'RunPending');
    return verdict('True', 'Succeeded', lastRun.message ?? reasons.Succeeded.meaning);
  }
  const { nextRunTime } = plan;
  return nextRunTime === undefined
    ? verdict('True', 'Scheduled', 'The schedule has no further time.')
    : verdict('True', 'Scheduled', `The next run is due at ${timestamp(nextRunTime)}.`);
}

function failure({ name, message }: LastRun, result: Exclude<RunResult, 'Succeeded'>): Verdict {
  const reason = result === 'Failed' ? 'RunFailed' : result === 'Conflict' ? 'AnotherCollector' : result;
  return verdict('False', reason, `The run ${name}: ${message ?? reasons[reason].meaning}`);
}

function reconcilingVerdict(facts: CollectionFacts): Verdict | undefined {
  if (facts.active !== undefined) return activeVerdict(facts, 'True');
  const { plan, obstacle } = facts;
  if (plan.due === undefined || obstacle === undefined || obstacle.stalled) return undefined;
  return verdict('True', obstacle.reason, obstacle.message);
}

function activeVerdict({ active, pods }: CollectionFacts, status: Finding['status']): Verdict {
  const name = active?.metadata.name ?? '';
  if (pods.some((pod) => pod.status?.phase === 'Running'))
    return verdict(status, 'Running', `The run ${name} is going on.`);
  const [problem] = pods.map(podProblem).filter((found) => found !== undefined);
  return verdict(status, 'RunPending', problem ?? `The pod of the run ${name} has not started.`);
}
