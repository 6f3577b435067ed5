import type { RegistryMirror } from '../api/registry-mirror.ts';
import { done, type Outcome } from '../kube/outcome.ts';
import { applyChild } from './apply-child.ts';
import { desiredClients, mirrorEndpoint } from './desired-clients.ts';
import type { RegistryLook, RegistryTools } from './registry-look.ts';

/** For people who configure clients by hand. Without an address there is nothing to tell them yet. */
export async function writeClients(
  { kube, world }: RegistryTools,
  { registry: mirror, service, trusted }: RegistryLook<RegistryMirror>,
): Promise<Outcome> {
  const endpoint = mirrorEndpoint(mirror, service);
  if (endpoint === undefined) return done;
  const child = await applyChild(kube, world.configMaps, mirror, desiredClients(mirror, endpoint, trusted));
  return child.outcome ?? done;
}
