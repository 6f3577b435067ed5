import { isDeepStrictEqual } from 'node:util';
import type { KubeClient } from '../../kube/client.ts';
import { keyOf, type KubeObject, type Stored } from '../../kube/object.ts';
import type { ResourceType } from '../../kube/resources.ts';

/** Makes the status say this and nothing else, if it does not yet. @throws ApiError 409 when the object has changed since */
export async function writeStatus<T extends KubeObject & { readonly status?: object }>(
  client: Pick<KubeClient, 'patch'>,
  type: ResourceType<T>,
  object: Stored<T>,
  status: Readonly<Record<string, unknown>>,
): Promise<void> {
  const before: Readonly<Record<string, unknown>> = { ...object.status };
  const changes = Object.fromEntries(
    [...new Set([...Object.keys(before), ...Object.keys(status)])]
      .filter((field) => !isDeepStrictEqual(before[field], status[field]))
      .map((field) => [field, status[field] ?? null]),
  );
  if (Object.keys(changes).length === 0) return;
  const { resourceVersion } = object.metadata;
  await client.patch(
    type,
    keyOf(object),
    { metadata: { resourceVersion }, status: changes },
    { subresource: 'status' },
  );
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

/** `condition` with the time since when it has been so. */
export function sinceWhen<T extends Condition>(
  before: readonly Condition[] | undefined,
  condition: T,
  now: string,
): T & { readonly lastTransitionTime: string } {
  const old = before?.find(({ type }) => type === condition.type);
  const since = old?.status === condition.status ? old.lastTransitionTime : undefined;
  return { ...condition, lastTransitionTime: since ?? now };
}
