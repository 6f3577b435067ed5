import type { Secret } from '../kube/resources.ts';
import type { RegistryTools } from './registry-look.ts';

/** A Secret of the user's. Only those with our label are watched; asking tells one without it from none. */
export async function findSecret(
  { kube, world }: Pick<RegistryTools, 'kube' | 'world'>,
  namespace: string,
  name: string,
): Promise<Secret | undefined> {
  const key = { namespace, name };
  return world.credentials.get(key) ?? kube.find<Secret>(world.credentials.type, key);
}
