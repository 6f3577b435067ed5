import { isConflict } from '../kube/api-error.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import { waiting } from '../kube/outcome.ts';
import type { Secret } from '../kube/resources.ts';
import { findChild, type Child, type Kube } from './apply-child.ts';
import { childMeta, contentOwnership } from './child-names.ts';
import type { RegistryTools } from './registry-look.ts';
import type { Served } from './served.ts';
import type { World } from './world.ts';

/**
 * A Secret with something random in it: made once, when the API server says that there is none, and never written
 * again. It stays or goes with the content of the Registry, and one that was left behind is found again.
 */
export async function keepSecret(
  { kube, world }: Pick<RegistryTools, 'kube' | 'world'>,
  registry: Stored<Served>,
  name: string,
  make: () => Promise<ApplyFields<Secret>>,
): Promise<Child<Secret>> {
  const found = await findChild(kube, world.secrets, registry, name);
  if (found?.outcome !== undefined) return found;
  const object = found?.object ?? (await create(kube, world, await make()));
  if (object === undefined) return { outcome: waiting(1000, 'PredecessorTerminating') };
  await followDeletionPolicy(kube, world, registry, object);
  return { object };
}

/** Undefined: somebody made a Secret of that name at this very moment. */
async function create(
  kube: Kube,
  world: World,
  desired: ApplyFields<Secret>,
): Promise<Stored<Secret> | undefined> {
  try {
    return await kube.create(world.secrets.type, desired);
  } catch (error) {
    if (isConflict(error)) return undefined;
    throw error;
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
