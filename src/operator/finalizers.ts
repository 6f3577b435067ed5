import { isNotFound } from '../kube/api-error.ts';
import type { Stored } from '../kube/object.ts';
import type { ResourceType } from '../kube/resources.ts';
import type { Kube } from './apply-child.ts';
import type { UnreadObject } from './resource-types.ts';
import type { World } from './world.ts';

/** Marks of what the deletion of a resource must take back, where an owner reference can't. */

/** Before what it stands for is done: otherwise a deletion at the wrong moment would leave something behind. */
export async function keepFinalizer(
  kube: Pick<Kube, 'patch'>,
  seen: World['registries'],
  key: { readonly namespace: string; readonly name: string },
  finalizer: string,
): Promise<void> {
  const object = seen.get(key);
  const present = object?.metadata.finalizers ?? [];
  if (object === undefined || present.includes(finalizer)) return;
  await patchFinalizers(kube, seen.type, object, [...present, finalizer]);
}

/** When everything is taken back. */
export async function dropFinalizer(
  kube: Pick<Kube, 'patch'>,
  type: ResourceType<UnreadObject>,
  object: Stored<UnreadObject>,
  finalizer: string,
): Promise<void> {
  const others = (object.metadata.finalizers ?? []).filter((one) => one !== finalizer);
  await patchFinalizers(kube, type, object, others);
}

export function hasFinalizer({ metadata }: Stored<UnreadObject>, finalizer: string): boolean {
  return metadata.finalizers?.includes(finalizer) ?? false;
}

async function patchFinalizers(
  kube: Pick<Kube, 'patch'>,
  type: ResourceType<UnreadObject>,
  { metadata: { namespace, name, resourceVersion } }: Stored<UnreadObject>,
  finalizers: readonly string[],
): Promise<void> {
  try {
    // The list as a whole: should somebody have changed it, the version says so.
    await kube.patch(type, { namespace, name }, { metadata: { resourceVersion, finalizers } });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
