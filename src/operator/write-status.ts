import { isDeepStrictEqual } from 'node:util';
import { FIELD_MANAGER } from '../api/names.ts';
import { isConflict, isNotFound } from '../kube/api-error.ts';
import type { ResourceType } from '../kube/resources.ts';
import type { Kube } from './apply-child.ts';
import type { Condition } from './conditions.ts';
import type { UnreadObject } from './resource-types.ts';

/** Status has a manager of its own, so that applying one never drops what the other owns. */
const STATUS_MANAGER = `${FIELD_MANAGER}-status`;

interface Status {
  readonly conditions?: readonly Condition[];
}

interface WithStatus {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion: string };
  readonly status?: Status;
}

/**
 * Writes the status when it says something new. `stale`: the object has changed since it was read, or is gone, so that
 * what follows from it may be wrong; whoever changed it has caused another look.
 */
export async function writeStatus(
  kube: Pick<Kube, 'apply'>,
  type: ResourceType<UnreadObject>,
  object: WithStatus,
  status: Status,
): Promise<'unchanged' | 'written' | 'stale'> {
  if (isDeepStrictEqual(comparable(status), comparable(object.status))) return 'unchanged';
  const { name, namespace, resourceVersion } = object.metadata;
  try {
    await kube.apply(
      type,
      { metadata: { name, namespace, resourceVersion }, status },
      { subresource: 'status', fieldManager: STATUS_MANAGER },
    );
    return 'written';
  } catch (error) {
    if (isConflict(error) || isNotFound(error)) return 'stale';
    throw error;
  }
}

/** The API server may keep the conditions, which are a map by type, in another order. */
function comparable(status: Status | undefined): unknown {
  const conditions = (status?.conditions ?? []).toSorted((a, b) => a.type.localeCompare(b.type));
  // As it looks on the wire, whatever it is made of here.
  return JSON.parse(JSON.stringify({ ...status, conditions })) as unknown;
}
