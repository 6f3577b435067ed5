import { TEAM_NAMESPACE, type Cluster } from './cluster.ts';
import { ask, type RegistryPlace } from './registry-client.ts';
import { waitFor } from './wait.ts';

/**
 * Waits until a Registry is Ready and its node port leads to it, which kube-proxy brings about a moment later. Returns where
 * it is, with the CA that its ConfigMap gives to clients.
 */
export async function readyRegistry(
  cluster: Cluster,
  registry: string,
  where: Omit<RegistryPlace, 'authority'>,
): Promise<RegistryPlace> {
  const options = ['--for=condition=Ready', `--namespace=${TEAM_NAMESPACE}`, '--timeout=60s'];
  await cluster.kubectl(['wait', `registry/${registry}`, ...options]);
  const authority = await cluster.field(`configmap/${registry}-ca`, '.data.ca\\.crt');
  if (authority === undefined) throw new Error(`there is no ConfigMap ${registry}-ca with a ca.crt`);
  const place = { ...where, authority };
  await waitFor('the node port answers', () => ask(place, 'GET', '/v2/'), { timeout: 10_000 });
  return place;
}
