import type { RegistryMirror } from '../api/registry-mirror.ts';
import { writeAccessRules, writeUsers } from './access-steps.ts';
import { keepAuthorities, publishTrustBundle, retireAuthorities } from './authority-steps.ts';
import { certifyServer } from './certificate-steps.ts';
import { writeClients } from './client-steps.ts';
import { copyClientAuthorities, copyTokenKeys } from './copied-keys.ts';
import { exposeService, limitNetwork, makeMonitoring, removeForeign } from './exposure-steps.ts';
import { planNodes } from './node-steps.ts';
import type { Step } from './registry-look.ts';
import { removeUnused } from './registry-steps.ts';
import { releaseShares, sharePullSecrets } from './share-steps.ts';
import { copyUpstreams, removeUnusedUpstreams } from './upstream-steps.ts';
import { awaitUpgrade, checkPermissions, claimVolume, runServer, writeConfig } from './workload-steps.ts';

/** As `registrySteps`: what a mirror has as a Registry has it, and what it has alone. */
export const mirrorSteps: readonly Step<RegistryMirror>[] = [
  removeForeign,
  planNodes,
  exposeService,
  writeUsers,
  writeAccessRules,
  copyTokenKeys,
  copyClientAuthorities,
  copyUpstreams,
  claimVolume,
  keepAuthorities,
  publishTrustBundle,
  certifyServer,
  checkPermissions,
  awaitUpgrade,
  writeConfig,
  runServer,
  limitNetwork,
  makeMonitoring,
  writeClients,
  retireAuthorities,
  sharePullSecrets,
  releaseShares,
  removeUnused,
  removeUnusedUpstreams,
];
