import type { RegistryMirror } from '../api/registry-mirror.ts';
import type { Registry } from '../api/registry.ts';

/**
 * A resource that has servers: a registry that is pushed to, or one that mirrors others. The steps do for both what both
 * have; what one of them alone has is asked of its `kind`.
 */
export type Served = Registry | RegistryMirror;

/** A mirror is pulled from by nodes, which need none. */
export function pullSecretsOf(registry: Served): Registry['spec']['pullSecrets'] {
  return registry.kind === 'Registry' ? registry.spec.pullSecrets : undefined;
}

/** How many pods are to serve. A mirror has one: its cache is counted and evicted by one process. */
export function replicasOf(registry: Served): number {
  return registry.kind === 'Registry' ? registry.spec.replicas : 1;
}
