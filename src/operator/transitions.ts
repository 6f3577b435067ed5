import type { EventDetails } from '../kube/event-recorder.ts';
import type { Condition } from './conditions.ts';
import { isReason, reasons } from './reasons.ts';

/** The Events that a change of conditions is worth: one for each condition that took on a reason that is told of. */
export function transitionEvents(
  before: readonly Condition[] | undefined,
  after: readonly Condition[],
): readonly EventDetails[] {
  return after.flatMap(({ type, status, reason, message }) => {
    if (type === 'Reconciling' || type === 'Stalled' || !isReason(reason)) return [];
    const previous = before?.find((condition) => condition.type === type);
    if (previous?.reason === reason && previous.status === status) return [];
    const { event } = reasons[reason];
    // A server that takes writes is news after one that did not, and not after one that had yet to be asked.
    if (event === false || (reason === 'Writable' && previous?.status !== 'True')) return [];
    return [{ type: event, reason, action: 'Reconcile', note: message }];
  });
}
