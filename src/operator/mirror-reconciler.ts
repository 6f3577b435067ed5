import type { RegistryMirror } from '../api/registry-mirror.ts';
import { mirrorStatus } from './mirror-status.ts';
import { mirrorSteps } from './mirror-steps.ts';
import { readRegistryMirror } from './resource-types.ts';
import { createServerReconciler, type ServerReconcilerOptions } from './server-reconciler.ts';

export function createMirrorReconciler(options: ServerReconcilerOptions) {
  return createServerReconciler<RegistryMirror>(options, {
    kind: 'RegistryMirror',
    read: readRegistryMirror,
    steps: mirrorSteps,
    statusOf: mirrorStatus,
  });
}
