import type { RegistryGC } from '../api/registry-gc.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { ConfigMap } from '../kube/resources.ts';
import { collectionLabels, ownerReference, retentionName } from './child-names.ts';

export const RETENTION_KEY = 'retention.json';

type Retention = NonNullable<RegistryGC['spec']['retention']>;

/** The file of rules that the collector reads when it starts, as `garbage-collect --retention` takes it. */
export function desiredRetention(gc: Stored<RegistryGC>, retention: Retention): ApplyFields<ConfigMap> {
  return {
    metadata: {
      name: retentionName(gc),
      namespace: gc.metadata.namespace,
      labels: collectionLabels(gc),
      ownerReferences: [ownerReference(gc)],
    },
    data: { [RETENTION_KEY]: `${JSON.stringify({ retention }, undefined, 2)}\n` },
  };
}
