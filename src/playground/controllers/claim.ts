import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { NamespacedName, Stored } from '../../kube/object.ts';
import { done, type Outcome } from '../../kube/outcome.ts';
import { persistentVolumeClaims, type PersistentVolumeClaim } from '../../kube/resources.ts';
import type { ControllerTools } from './controllers.ts';
import { writeStatus } from './write-status.ts';

const PROTECTION = 'kubernetes.io/pvc-protection';

/**
 * Gives each claim a folder below `folder`, whatever its class and access modes: there is one node, and it is here. The
 * folder goes with the claim, which stays until no pod uses it. It never fills up at the size of the claim.
 */
export function createClaimReconciler({ client, caches, log }: ControllerTools, folder: string) {
  caches.claims.onChange((change) => {
    const name = change.object.spec?.volumeName;
    if (change.type !== 'deleted' || name === undefined || name !== volumeName(change.object)) return;
    rm(join(folder, name), { recursive: true, force: true }).catch((error: unknown) => {
      log.warn({ error, claim: change.object.metadata.name }, 'volume not removed');
    });
  });
  return async (key: NamespacedName): Promise<Outcome> => {
    const claim = caches.claims.get(key);
    if (claim === undefined) return done;
    const { metadata, spec } = claim;
    if (metadata.deletionTimestamp !== undefined) {
      const finalizers = metadata.finalizers ?? [];
      if (!finalizers.includes(PROTECTION) || isUsed(key)) return done;
      const kept = finalizers.filter((name) => name !== PROTECTION);
      await client.patch(persistentVolumeClaims, key, { metadata: { uid: metadata.uid, finalizers: kept } });
      return done;
    }
    const name = spec?.volumeName ?? volumeName(claim);
    if (name !== volumeName(claim)) return done;
    await mkdir(join(folder, name), { recursive: true });
    const bound =
      spec?.volumeName === undefined
        ? await client.patch(persistentVolumeClaims, key, {
            metadata: { uid: metadata.uid, annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } },
            spec: { volumeName: name },
          })
        : claim;
    await writeStatus(client, persistentVolumeClaims, bound, {
      ...bound.status,
      phase: 'Bound',
      accessModes: spec?.accessModes ?? [],
      capacity: { storage: spec?.resources?.requests?.['storage'] },
    });
    return done;
  };

  function isUsed({ namespace, name }: NamespacedName): boolean {
    return caches.pods
      .list({ namespace })
      .filter(({ status }) => status?.phase !== 'Succeeded' && status?.phase !== 'Failed')
      .some(({ spec }) => spec?.volumes?.some((volume) => volume.persistentVolumeClaim?.claimName === name));
  }
}

function volumeName({ metadata }: Stored<PersistentVolumeClaim>): string {
  return `pvc-${metadata.uid}`;
}
