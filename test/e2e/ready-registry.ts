import { ask, type RegistryPlace } from './registry-client.ts';
import type { Stage } from './stage.ts';
import { waitFor } from './wait.ts';

/**
 * Waits until a Registry is Ready and its node port leads to it, which kube-proxy brings about a moment later. Returns where
 * it is, with the CA that its ConfigMap gives to clients.
 */
export async function readyRegistry(
  stage: Pick<Stage, 'ready' | 'field'>,
  registry: string,
  where: Omit<RegistryPlace, 'authority'>,
): Promise<RegistryPlace> {
  await stage.ready(`registry/${registry}`);
  const authority = await stage.field(`configmap/${registry}-ca`, '.data.ca\\.crt');
  if (authority === undefined) throw new Error(`there is no ConfigMap ${registry}-ca with a ca.crt`);
  const place = { ...where, authority };
  await waitFor('the node port answers', () => ask(place, 'GET', '/v2/'), { timeout: 10_000 });
  return place;
}
