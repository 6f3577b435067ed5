import { registryGCDefinition } from './registry-gc.ts';
import { registryMirrorDefinition } from './registry-mirror.ts';
import { registryDefinition } from './registry.ts';
import type { ResourceDefinition } from './resource.ts';

/** Every kind of the project. What is generated or checked for each kind goes over this list. */
export const resources: readonly ResourceDefinition[] = [
  registryDefinition,
  registryMirrorDefinition,
  registryGCDefinition,
];
