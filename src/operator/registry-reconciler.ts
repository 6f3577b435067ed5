import type { Registry } from '../api/registry.ts';
import { registryStatus } from './registry-status.ts';
import { registrySteps } from './registry-steps.ts';
import { readRegistry } from './resource-types.ts';
import { createServerReconciler, type ServerReconcilerOptions } from './server-reconciler.ts';

export function createRegistryReconciler(options: ServerReconcilerOptions) {
  return createServerReconciler<Registry>(options, {
    kind: 'Registry',
    read: readRegistry,
    steps: registrySteps,
    statusOf: registryStatus,
  });
}
