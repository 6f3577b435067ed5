import type { RegistryGC } from '../api/registry-gc.ts';
import type { Stored } from '../kube/object.ts';
import { conditionOf, type Condition } from './conditions.ts';
import { isReason, reasons } from './reasons.ts';
import { readIfFits, readRegistryGC, readServed, type UnreadObject } from './resource-types.ts';
import type { Served } from './served.ts';

/** One resource, as a table of the fleet and programs are told of it. */
export interface FleetEntry {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly ready: Condition['status'];
  readonly reason: string;
  readonly message: string;
  /** What else is not as it should be: types of conditions. */
  readonly troubles: readonly string[];
  /** Of what has servers. */
  readonly serving?: {
    readonly url: string | undefined;
    /** How many of them are ready. */
    readonly pods: string | undefined;
    /** RFC 3339. */
    readonly certificateUntil: string | undefined;
    readonly readOnly: string | undefined;
  };
  /** Of a RegistryGC. */
  readonly collection?: Pick<NonNullable<RegistryGC['status']>, 'phase' | 'lastRun' | 'nextRunTime'> & {
    readonly registry: string;
  };
}

export function fleetEntry(object: Stored<UnreadObject>): FleetEntry {
  const { kind, metadata } = object;
  const { namespace = '', name } = metadata;
  const read = readIfFits<Stored<Served> | Stored<RegistryGC>>(
    object,
    kind === 'RegistryGC' ? readRegistryGC : readServed,
  );
  if (read === undefined) {
    const message = 'The object does not fit the schema of this version of Stevedore.';
    return { kind, namespace, name, ready: 'Unknown', reason: 'InvalidSpec', message, troubles: [] };
  }
  const ready = conditionOf(read.status, 'Ready');
  return {
    kind,
    namespace,
    name,
    ready: ready?.status ?? 'Unknown',
    reason: ready?.reason ?? 'NotSeen',
    message: ready?.message ?? 'No operator has looked at it yet. Does one run, and for this namespace?',
    troubles: (read.status?.conditions ?? []).filter(isTrouble).map(({ type }) => type),
    ...(read.kind === 'RegistryGC' ? { collection: collectionOf(read) } : { serving: servingOf(read) }),
  };
}

function servingOf(served: Stored<Served>): NonNullable<FleetEntry['serving']> {
  const { status } = served;
  const readOnly = conditionOf(status, 'ReadOnly');
  return {
    url: status?.url,
    pods:
      served.kind === 'Registry' ? `${served.status?.readyReplicas ?? 0}/${served.spec.replicas}` : undefined,
    certificateUntil: status?.certificate?.notAfter,
    readOnly: readOnly?.status === 'True' ? readOnly.reason : undefined,
  };
}

function collectionOf({ spec, status }: Stored<RegistryGC>): NonNullable<FleetEntry['collection']> {
  const { phase, lastRun, nextRunTime } = status ?? {};
  return {
    registry: spec.registryRef.name,
    ...(phase !== undefined && { phase }),
    ...(lastRun !== undefined && { lastRun }),
    ...(nextRunTime !== undefined && { nextRunTime }),
  };
}

/** Whether a condition is one that somebody should look at. */
function isTrouble({ type, status }: Condition): boolean {
  if (type === 'Stalled' || type === 'Degraded') return status === 'True';
  return type.endsWith('Ready') && status !== 'True';
}

/** A condition with what its reason means and what to do about it. */
export interface ExplainedCondition extends Condition {
  readonly trouble: boolean;
  readonly meaning?: string;
  readonly remedy?: string;
}

export function explained(condition: Condition): ExplainedCondition {
  const trouble = isTrouble(condition);
  if (!isReason(condition.reason)) return { ...condition, trouble };
  const { meaning, remedy }: { readonly meaning: string; readonly remedy?: string } =
    reasons[condition.reason];
  return { ...condition, trouble, meaning, ...(remedy !== undefined && { remedy }) };
}
