import type { Registry } from '../api/registry.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { PodDisruptionBudget } from '../kube/resources.ts';
import { childMeta, childNames, serverSelector } from './child-names.ts';

/** Drains take one replica at a time. Of a single pod there is none: it would keep its node from being drained at all. */
export function desiredDisruptionBudget(registry: Stored<Registry>): ApplyFields<PodDisruptionBudget> {
  return {
    metadata: childMeta(registry, childNames(registry).disruptionBudget),
    spec: {
      maxUnavailable: 1,
      selector: { matchLabels: serverSelector(registry) },
      // A pod that does not work serves nobody, and must not hold up who would mend the node.
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  };
}
