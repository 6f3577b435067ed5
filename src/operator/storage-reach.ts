import type { PersistentVolumeClaim } from '../kube/resources.ts';
import type { Served } from './served.ts';

/** Which pods can have the content at once: those on all nodes, those on one node, or a single one. */
export type StorageReach = 'everywhere' | 'node' | 'pod';

/**
 * How far the storage of a Registry reaches. `claim`: what is there, which for an existing claim is all that tells.
 *
 * @see https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes
 */
export function storageReach(
  { kind, spec: { storage } }: Served,
  claim: PersistentVolumeClaim | undefined,
): StorageReach {
  const { filesystem, ephemeral } = storage;
  if (ephemeral !== undefined) return 'pod';
  if (filesystem === undefined) return 'everywhere';
  const wanted = filesystem.existingClaim === undefined ? filesystem.accessModes : [];
  const modes = claim?.spec?.accessModes ?? wanted;
  // What a mirror keeps is counted and evicted by one process, wherever its volume reaches.
  if (modes.includes('ReadWriteMany') && kind === 'Registry') return 'everywhere';
  return modes.length > 0 && modes.every((mode) => mode === 'ReadWriteOncePod') ? 'pod' : 'node';
}

/** Whether content lies in the bucket or container of a service, so that there is no volume. */
export function isBucket({ spec: { storage } }: Served): boolean {
  return storage.filesystem === undefined && storage.ephemeral === undefined;
}
