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
    // At first sight, what is as it should be from the start is no news.
    if (event === false || (previous === undefined && reason === 'Writable')) return [];
    return [{ type: event, reason, action: 'Reconcile', note: message }];
  });
}
