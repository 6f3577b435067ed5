import { isConflict } from '../kube/api-error.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import { waiting } from '../kube/outcome.ts';
import type { Secret } from '../kube/resources.ts';
import { asChild, findChild, type Child, type Kube } from './apply-child.ts';
import { childMeta, contentOwnership } from './child-names.ts';
import type { RegistryTools } from './registry-look.ts';
import type { Served } from './served.ts';
import type { World } from './world.ts';

/**
 * A Secret with something random in it: made once, by a create that fails where there is one already, and never written
 * again. It stays or goes with the content of the Registry, and one that was left behind is found again.
 */
export async function keepSecret(
  { kube, world }: Pick<RegistryTools, 'kube' | 'world'>,
  registry: Stored<Served>,
  name: string,
  make: () => Promise<ApplyFields<Secret>>,
): Promise<Child<Secret>> {
  const seen = world.secrets.get({ namespace: registry.metadata.namespace, name });
  const child =
    asChild(world.secrets.type, registry, seen) ?? (await create(kube, world, registry, await make()));
  if (child.object !== undefined) await followDeletionPolicy(kube, world, registry, child.object);
  return child;
}

/** What the cache has not seen may be there all the same, of an earlier Registry or of somebody else. */
async function create(
  kube: Kube,
  world: World,
  registry: Stored<Served>,
  desired: ApplyFields<Secret>,
): Promise<Child<Secret>> {
  try {
    return { object: await kube.create(world.secrets.type, desired) };
  } catch (error) {
    if (!isConflict(error)) throw error;
    const found = await findChild(kube, world.secrets, registry, desired.metadata.name);
    return found ?? { outcome: waiting(1000, 'PredecessorTerminating') };
  }
}

/** By a patch of the owner alone, since the data is nothing that is ever applied. */
async function followDeletionPolicy(
  kube: Kube,
  world: World,
  registry: Stored<Served>,
  secret: Stored<Secret>,
): Promise<void> {
  const { name, namespace, uid } = secret.metadata;
  const wanted = childMeta(registry, name, contentOwnership(registry)).ownerReferences ?? [];
  const present = secret.metadata.ownerReferences ?? [];
  if (wanted.length === present.length && wanted[0]?.uid === present[0]?.uid) return;
  const metadata = { uid, ownerReferences: wanted.length === 0 ? null : wanted };
  await kube.patch(world.secrets.type, { namespace, name }, { metadata });
}
