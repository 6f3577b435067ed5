import type { RegistryGC } from '../api/registry-gc.ts';
import type { Stored } from '../kube/object.ts';
import { refusalOf, type Kube } from './apply-child.ts';
import { retentionName } from './child-names.ts';
import type { Obstacle } from './collection-facts.ts';
import { desiredRetention } from './desired-retention.ts';
import { hasDrifted } from './drift.ts';
import type { World } from './world.ts';

/** Writes the rules that the next run reads, or takes them away. What stands in the way is told. */
export async function keepRetention(
  { kube, world }: { readonly kube: Kube; readonly world: World },
  gc: Stored<RegistryGC>,
): Promise<Obstacle | undefined> {
  const { namespace, uid } = gc.metadata;
  const { retention } = gc.spec;
  const key = { namespace, name: retentionName(gc) };
  const { type } = world.configMaps;
  const seen = world.configMaps.get(key);
  const existing = retention === undefined ? seen : (seen ?? (await kube.find(type, key)));
  const isOwn = existing?.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;
  if (retention === undefined) {
    if (existing !== undefined && isOwn) await kube.delete(type, key, { uid: existing.metadata.uid });
    return undefined;
  }
  if (existing !== undefined && !isOwn) {
    const message = `There is a ConfigMap ${key.name} that does not belong to this RegistryGC. Delete or rename it.`;
    return { reason: 'NameConflict', message, stalled: true };
  }
  const desired = desiredRetention(gc, retention);
  if (existing !== undefined && !hasDrifted(desired, existing)) return undefined;
  try {
    if (existing === undefined) await kube.apply(type, desired, { force: false });
    else {
      // The uid: should somebody else have made it anew, that one is not taken over.
      await kube.apply(type, { ...desired, metadata: { ...desired.metadata, uid: existing.metadata.uid } });
    }
  } catch (error) {
    const message = refusalOf(error, type.kind, key.name);
    if (message === undefined) throw error;
    return { reason: 'Refused', message, stalled: true };
  }
  return undefined;
}
