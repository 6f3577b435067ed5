import { conditionOf, timestamp, type Condition, type Finding } from './conditions.ts';

/** How long something may not be ready before somebody should know. Restarts, rollouts and drained nodes take less. */
const PATIENCE_MS = 300_000;

type Verdict = Omit<Finding, 'type'>;

interface WithConditions {
  readonly conditions?: readonly Condition[];
}

/**
 * Whether what was ready has not been for too long. Undefined: it never was, or it is stopped on purpose. That it was
 * ready is remembered by the condition itself. `now`: milliseconds since the epoch.
 */
export function degradedVerdict(
  ready: Verdict,
  previous: WithConditions | undefined,
  now: number,
): Verdict | undefined {
  if (ready.reason === 'ScaledToZero') return undefined;
  if (ready.status === 'True') return withinLimits;
  if (conditionOf(previous, 'Degraded') === undefined) return undefined;
  const before = conditionOf(previous, 'Ready');
  const since = before?.status === ready.status ? Date.parse(before.lastTransitionTime) : now;
  if (now - since < PATIENCE_MS) return withinLimits;
  const message = `Not ready since ${timestamp(since)} (${ready.reason}): ${ready.message}`;
  return { status: 'True', reason: 'NotReady', message };
}

const withinLimits: Verdict = {
  status: 'False',
  reason: 'WithinLimits',
  message: 'Is ready, or has not been for less than five minutes.',
};

/** When time alone makes what these conditions are of degraded, in milliseconds since the epoch; undefined: it does not. */
export function degradesAt(status: WithConditions): number | undefined {
  const ready = conditionOf(status, 'Ready');
  if (ready === undefined || ready.status === 'True') return undefined;
  return conditionOf(status, 'Degraded')?.status === 'False'
    ? Date.parse(ready.lastTransitionTime) + PATIENCE_MS
    : undefined;
}
