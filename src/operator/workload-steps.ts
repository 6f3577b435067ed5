import { randomBytes } from 'node:crypto';
import type { Registry } from '../api/registry.ts';
import { done, stalled, waiting, type Outcome } from '../kube/outcome.ts';
import { serviceAccounts } from '../kube/resources.ts';
import { applyChild, applyOver, findChild } from './apply-child.ts';
import { childNames } from './child-names.ts';
import { configFlaw } from './config-overrides.ts';
import { credentialsOf, credentialUses, mayBeUsed, notPermitted, type Variables } from './credentials.ts';
import { USE_CREDENTIALS, USE_LABEL } from '../api/names.ts';
import { claimMismatch, desiredClaim } from './desired-claim.ts';
import { configFile, configHash, desiredConfig } from './desired-config.ts';
import { desiredCredentials, revisionOf } from './desired-credentials.ts';
import { desiredDeployment } from './desired-deployment.ts';
import { desiredDisruptionBudget } from './desired-disruption-budget.ts';
import { fingerprint } from './drift.ts';
import { findSecret } from './referenced-secret.ts';
import type { RegistryLook, RegistryTools } from './registry-look.ts';
import { removeChild } from './remove-child.ts';
import { replicasOf } from './served.ts';
import { storageReach } from './storage-reach.ts';
import {
  REVISION_ANNOTATION,
  revisionText,
  UPGRADED_ANNOTATION,
  upgradeMark,
  type Revision,
} from './upgrade-queue.ts';

/** How often what can't be watched is looked at. */
const UNWATCHED_MS = 30_000;
/** An upgrade takes about as long as a pod takes to start. */
const QUEUE_MS = 5000;

export async function claimVolume({ kube, world }: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { registry, facts } = look;
  const { namespace } = registry.metadata;
  const { filesystem } = registry.spec.storage;
  if (filesystem === undefined) return done;
  const { existingClaim } = filesystem;
  if (existingClaim !== undefined) {
    const claim = await kube.find(world.claims.type, { namespace, name: existingClaim });
    if (claim === undefined) {
      const message = `There is no PersistentVolumeClaim ${existingClaim}, which spec.storage.filesystem.existingClaim names. Make it; it is looked for each half minute.`;
      return waiting(UNWATCHED_MS, 'ClaimNotFound', message);
    }
    if (!mayBeUsed(claim)) {
      facts.claimRefusal = notPermitted(existingClaim, 'PersistentVolumeClaim');
      return waiting(UNWATCHED_MS, 'NotPermitted', facts.claimRefusal);
    }
    facts.claim = claim;
    return done;
  }
  const existing = await findChild(kube, world.claims, registry, childNames(registry).claim);
  if (existing?.outcome !== undefined) return existing.outcome;
  const mismatch = existing === undefined ? undefined : claimMismatch(filesystem, existing.object);
  if (mismatch !== undefined) return stalled('ClaimMismatch', mismatch);
  const desired = desiredClaim(registry, filesystem, existing?.object);
  const child = await applyOver(kube, world.claims.type, existing, desired);
  if (child.outcome !== undefined) return child.outcome;
  facts.claim = child.object;
  return done;
}

/** What a namespace's user may not have the pods be without somebody's leave. */
export async function checkPermissions(
  { kube, allowImageOverride }: RegistryTools,
  { registry }: RegistryLook,
): Promise<Outcome> {
  const { image, serviceAccountName: name } = registry.spec.podTemplate ?? {};
  if (image !== undefined && !allowImageOverride) {
    return stalled(
      'NotPermitted',
      'spec.podTemplate.image may not be set in this cluster. Remove it, or ask who installed Stevedore for the value allowImageOverride.',
    );
  }
  if (name === undefined) return done;
  const account = await kube.find(serviceAccounts, { namespace: registry.metadata.namespace, name });
  if (account === undefined) {
    const message = `There is no ServiceAccount ${name}, which spec.podTemplate.serviceAccountName names. Make it, with the label ${USE_LABEL}=${USE_CREDENTIALS}.`;
    return waiting(UNWATCHED_MS, 'ServiceAccountNotFound', message);
  }
  if (mayBeUsed(account)) return done;
  return waiting(UNWATCHED_MS, 'NotPermitted', notPermitted(name, 'ServiceAccount'));
}

/** What the server gets of Secrets goes into one of its own, so that only what it needs reaches the pod. */
export async function writeCredentials(tools: RegistryTools, look: RegistryLook<Registry>): Promise<Outcome> {
  const { kube, world } = tools;
  const { registry } = look;
  const { namespace } = registry.metadata;
  const { outcome, variables } = await readCredentials(tools, look);
  if (outcome !== undefined) return outcome;
  look.variables = variables;
  if (Object.keys(variables).length === 0) return done;
  const key = { namespace, name: childNames(registry).credentials };
  const revision =
    revisionOf(world.secrets.get(key), variables) ??
    // The cache may lag behind our own last write, and another revision would roll the pods for nothing.
    revisionOf(await kube.find(world.secrets.type, key), variables) ??
    randomBytes(8).toString('hex');
  const child = await applyChild(
    kube,
    world.secrets,
    registry,
    desiredCredentials(registry, variables, revision),
  );
  if (child.outcome !== undefined) return child.outcome;
  look.credentials = { names: Object.keys(variables), revision };
  return done;
}

async function readCredentials(
  tools: RegistryTools,
  { registry }: RegistryLook<Registry>,
): Promise<
  | { readonly variables: Variables; readonly outcome?: undefined }
  | { readonly variables?: undefined; readonly outcome: Outcome }
> {
  const variables: Record<string, string> = {};
  for (const use of credentialUses(registry)) {
    const secret = await findSecret(tools, registry.metadata.namespace, use.secretName);
    const found = credentialsOf(use, secret);
    if (found.problem !== undefined) {
      return { outcome: waiting(UNWATCHED_MS, found.problem.reason, found.problem.message) };
    }
    Object.assign(variables, found.variables);
  }
  return { variables };
}

/** Whose turn it is not keeps everything that would start its pods anew, so that it goes on as it is. */
export async function awaitUpgrade(tools: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { world, upgrades } = tools;
  const { registry } = look;
  const { namespace, generation } = registry.metadata;
  // Somebody who changes a Registry is not made to wait for all the others.
  const isChanged = generation !== registry.status?.observedGeneration;
  const key = { namespace, name: childNames(registry).deployment };
  if (isChanged || upgrades.admits(key, wantedRevision(tools, look), world.deployments)) return done;
  return waiting(QUEUE_MS, 'UpgradeQueued');
}

function imageFor({ image }: RegistryTools, { registry }: RegistryLook): string {
  return registry.spec.podTemplate?.image ?? image;
}

/** Of pods without credentials: that those change is no upgrade. */
function wantedRevision(tools: RegistryTools, look: RegistryLook): Revision {
  const { registry, facts } = look;
  const image = imageFor(tools, look);
  const reach = storageReach(registry, facts.claim);
  const { spec } = desiredDeployment(registry, { image, reach, credentials: undefined });
  return { image, generation: registry.metadata.generation ?? 0, pods: fingerprint(spec?.template) };
}

export async function writeConfig({ kube, world }: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { registry, variables = {} } = look;
  const file = configFile(registry);
  const overrides = registry.kind === 'Registry' ? registry.spec.config : undefined;
  const flaw = configFlaw(overrides ?? {}, file, variables);
  if (flaw !== undefined) return stalled('InvalidConfig', flaw);
  const child = await applyChild(kube, world.configMaps, registry, desiredConfig(registry));
  if (child.outcome !== undefined) return child.outcome;
  look.facts.configHash = configHash(file);
  return done;
}

export async function runServer(tools: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { kube, world } = tools;
  const { registry, credentials } = look;
  const { namespace } = registry.metadata;
  const reach = storageReach(registry, look.facts.claim);
  if (replicasOf(registry) > 1 && reach !== 'everywhere') {
    const claim = look.facts.claim?.metadata.name ?? '';
    return stalled(
      'ReplicasNotSupportedByStorage',
      `The claim ${claim} can be mounted on one node at a time. Write replicas 1, or make a second Registry with ReadWriteMany or a bucket and copy the images to it.`,
    );
  }
  const existing = world.deployments.get({ namespace, name: childNames(registry).deployment });
  const revision = wantedRevision(tools, look);
  const mark = upgradeMark(existing, revision);
  const desired = desiredDeployment(registry, { image: revision.image, reach, credentials });
  const child = await applyChild(kube, world.deployments, registry, {
    ...desired,
    metadata: {
      ...desired.metadata,
      annotations: {
        [REVISION_ANNOTATION]: revisionText(revision),
        ...(mark !== undefined && { [UPGRADED_ANNOTATION]: mark }),
      },
    },
  });
  if (child.outcome !== undefined) return child.outcome;
  look.facts.deployment = child.object;
  return done;
}

export async function protectReplicas(
  { kube, world }: RegistryTools,
  look: RegistryLook<Registry>,
): Promise<Outcome> {
  const { registry } = look;
  if (registry.spec.replicas <= 1) {
    const name = childNames(registry).disruptionBudget;
    await removeChild(kube, world.disruptionBudgets, registry, name);
    return done;
  }
  const desired = desiredDisruptionBudget(registry);
  const child = await applyChild(kube, world.disruptionBudgets, registry, desired);
  return child.outcome ?? done;
}
