import type { RegistryStatus } from '../api/registry.ts';
import { conditionTypes, type ConditionType, type Reason } from './reasons.ts';

/** As it is in a status: metav1.Condition. */
export type Condition = NonNullable<RegistryStatus['conditions']>[number];

/** What was found, before it is compared with what was there. */
export interface Finding {
  readonly type: ConditionType;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: Reason;
  readonly message: string;
}

/** The longest message; the rest of one that quotes others is cut. */
const LONGEST_MESSAGE = 1024;

/** The conditions that say what was found, in the order of the table. A time changes only with its verdict. */
export function toConditions(
  findings: readonly Finding[],
  previous: readonly Condition[] | undefined,
  context: { readonly generation: number; readonly now: number },
): readonly Condition[] {
  return Object.keys(conditionTypes).flatMap((type) => {
    const finding = findings.find((other) => other.type === type);
    if (finding === undefined) return [];
    const before = previous?.find((condition) => condition.type === type);
    return [
      {
        type,
        status: finding.status,
        reason: finding.reason,
        message: shorten(finding.message),
        lastTransitionTime:
          before?.status === finding.status ? before.lastTransitionTime : timestamp(context.now),
        observedGeneration: context.generation,
      },
    ];
  });
}

function shorten(message: string): string {
  return message.length <= LONGEST_MESSAGE ? message : `${message.slice(0, LONGEST_MESSAGE - 1)}…`;
}

/** RFC 3339 in UTC with whole seconds, as Kubernetes writes times. */
export function timestamp(milliseconds: number): string {
  return `${new Date(Math.floor(milliseconds / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}

export function conditionOf(
  status: { readonly conditions?: readonly Condition[] } | undefined,
  type: ConditionType,
): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}
