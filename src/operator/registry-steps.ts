import type { Registry } from '../api/registry.ts';
import { done, type Outcome } from '../kube/outcome.ts';
import type { ConfigMap, Secret } from '../kube/resources.ts';
import { unusedPasswords, writeAccessRules, writeUsers } from './access-steps.ts';
import { keepAuthorities, publishTrustBundle, retireAuthorities } from './authority-steps.ts';
import { certifyServer } from './certificate-steps.ts';
import { childNames } from './child-names.ts';
import { copyClientAuthorities, copyTokenKeys } from './copied-keys.ts';
import { credentialUses } from './credentials.ts';
import { hasAccessRules } from './desired-access.ts';
import {
  exposeService,
  limitNetwork,
  makeIngress,
  makeMonitoring,
  makeRoute,
  removeForeign,
} from './exposure-steps.ts';
import { planNodes } from './node-steps.ts';
import { releaseShares, sharePullSecrets } from './share-steps.ts';
import { removeChild } from './remove-child.ts';
import type { RegistryLook, RegistryTools, Step } from './registry-look.ts';
import {
  awaitUpgrade,
  checkPermissions,
  claimVolume,
  protectReplicas,
  runServer,
  writeConfig,
  writeCredentials,
} from './workload-steps.ts';

/**
 * In this order: what a step makes is there before a later one refers to it. Each can be cut off after any write; the
 * next look finds what is there and goes on.
 */
export const registrySteps: readonly Step<Registry>[] = [
  removeForeign,
  planNodes,
  exposeService,
  writeUsers,
  writeAccessRules,
  copyTokenKeys,
  copyClientAuthorities,
  claimVolume,
  keepAuthorities,
  publishTrustBundle,
  certifyServer,
  checkPermissions,
  writeCredentials,
  awaitUpgrade,
  writeConfig,
  runServer,
  protectReplicas,
  limitNetwork,
  makeIngress,
  makeRoute,
  makeMonitoring,
  retireAuthorities,
  sharePullSecrets,
  releaseShares,
  removeUnused,
];

/** What the spec no longer asks for, once no pod is to mount it. The authority stays: clients may still trust it. */
export async function removeUnused(
  tools: RegistryTools,
  { registry, trusted }: RegistryLook,
): Promise<Outcome> {
  const { kube, world } = tools;
  const { spec } = registry;
  const { namespace } = registry.metadata;
  const names = childNames(registry);
  const unused = [
    ...(registry.kind === 'Registry' && credentialUses(registry).length === 0
      ? [{ cache: world.secrets, name: names.credentials }]
      : []),
    ...(spec.auth?.htpasswd === undefined ? [{ cache: world.secrets, name: names.users }] : []),
    ...(spec.auth?.token === undefined ? [{ cache: world.secrets, name: names.tokenKeys }] : []),
    ...(spec.tls.clientCAs === undefined ? [{ cache: world.configMaps, name: names.clientAuthorities }] : []),
    ...(hasAccessRules(registry) ? [] : [{ cache: world.configMaps, name: names.access }]),
    ...(spec.tls.mode === 'Disabled' ? [{ cache: world.secrets, name: names.certificate }] : []),
    ...(trusted === undefined ? [{ cache: world.configMaps, name: names.trustBundle }] : []),
  ];
  for (const { cache, name } of unused) await removeChild<ConfigMap | Secret>(kube, cache, registry, name);
  for (const { metadata } of unusedPasswords(tools, registry)) {
    await kube.delete(world.secrets.type, { namespace, name: metadata.name }, { uid: metadata.uid });
  }
  return done;
}
