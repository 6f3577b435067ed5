import type { KubeObject, Stored } from '../../../src/kube/object.ts';
import { resourceType } from '../../../src/kube/resources.ts';

/** A kind for tests. */
export interface Boat extends KubeObject {
  readonly spec: { readonly crew: readonly string[] };
}

export const boats = resourceType<Boat>({
  group: 'harbor.test',
  version: 'v1',
  plural: 'boats',
  kind: 'Boat',
  namespaced: true,
});

let uids = 0;

/** A stored Boat: valid, with small changes. Each has a uid of its own unless one is given. */
export function boat(
  name: string,
  change: {
    readonly uid?: string;
    readonly version?: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly crew?: readonly string[];
  } = {},
): Stored<Boat> {
  return {
    apiVersion: 'harbor.test/v1',
    kind: 'Boat',
    metadata: {
      name,
      namespace: change.namespace ?? 'port',
      uid: change.uid ?? `uid-${++uids}`,
      resourceVersion: change.version ?? '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(change.labels && { labels: change.labels }),
    },
    spec: { crew: change.crew ?? [] },
  };
}
