import type { KubeObject, Stored } from '../kube/object.ts';
import type { Kube, Seen } from './apply-child.ts';
import type { Served } from './served.ts';

/** Deletes a child that the spec no longer asks for, where it is there and the Registry owns it. */
export async function removeChild<T extends KubeObject>(
  kube: Pick<Kube, 'delete'>,
  seen: Seen<T>,
  { metadata: { namespace, uid } }: Stored<Served>,
  name: string,
): Promise<void> {
  const object = seen.get({ namespace, name });
  if (!object?.metadata.ownerReferences?.some((owner) => owner.uid === uid)) return;
  await kube.delete(seen.type, { namespace, name }, { uid: object.metadata.uid });
}
