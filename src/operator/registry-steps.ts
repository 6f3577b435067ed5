import { createHash } from 'node:crypto';
import { done, stalled, waiting, type Outcome } from '../kube/outcome.ts';
import type { Secret } from '../kube/resources.ts';
import { applyChild, findChild } from './apply-child.ts';
import { certifyServer, keepAuthority, publishTrustBundle } from './certificate-steps.ts';
import { childNames } from './child-names.ts';
import { claimMismatch, desiredClaim } from './desired-claim.ts';
import { configFile, configHash, desiredConfig } from './desired-config.ts';
import { desiredDeployment } from './desired-deployment.ts';
import { desiredService } from './desired-service.ts';
import { desiredUsers, USERS_KEY } from './desired-users.ts';
import { htpasswdFits, writeHtpasswd } from './htpasswd-file.ts';
import { passwordOf, type RegistryUser, type UserProblem } from './password.ts';
import type { RegistryLook, RegistryTools, Step } from './registry-look.ts';
import { dataText } from './secret-data.ts';

/**
 * In this order: what a step makes is there before a later one refers to it. Each can be cut off after any write; the
 * next look finds what is there and goes on.
 */
export const registrySteps: readonly Step[] = [
  exposeService,
  writeConfig,
  writeUsers,
  claimVolume,
  keepAuthority,
  publishTrustBundle,
  certifyServer,
  runServer,
  removeUnused,
];

/** How often what can't be watched is looked at. */
const UNWATCHED_MS = 30_000;

/** First, since its addresses are names of the certificate. */
async function exposeService({ kube, world }: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const child = await applyChild(kube, world.services, look.registry, desiredService(look.registry));
  if (child.outcome !== undefined) return child.outcome;
  look.service = child.object;
  return done;
}

async function writeConfig({ kube, world }: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const child = await applyChild(kube, world.configMaps, look.registry, desiredConfig(look.registry));
  if (child.outcome !== undefined) return child.outcome;
  look.facts.configHash = configHash(configFile(look.registry));
  return done;
}

async function writeUsers(tools: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { kube, world, hasher } = tools;
  const { registry } = look;
  const { namespace, name } = registry.metadata;
  const users = registry.spec.auth?.htpasswd.users;
  if (users === undefined) return done;
  const { passwords, problems } = await readPasswords(tools, namespace, users);
  const key = { namespace, name: childNames(name).users };

  let existing = dataText(world.secrets.get(key), USERS_KEY) ?? '';
  if (!(await htpasswdFits(passwords, existing, hasher))) {
    // The cache may lag behind our own last write, and a hash that is made twice is a change for nothing.
    existing = dataText(await kube.find(world.secrets.type, key), USERS_KEY) ?? '';
  }
  const htpasswd = await writeHtpasswd(passwords, existing, hasher);
  const child = await applyChild(kube, world.secrets, registry, desiredUsers(registry, htpasswd));
  if (child.outcome !== undefined) return child.outcome;
  look.facts.users = { hash: createHash('sha256').update(htpasswd).digest('hex'), problems };
  return done;
}

/** One user's mistake leaves the others as they are. */
async function readPasswords(
  { kube, world }: RegistryTools,
  namespace: string,
  users: readonly RegistryUser[],
): Promise<{ readonly passwords: ReadonlyMap<string, Buffer>; readonly problems: readonly UserProblem[] }> {
  const passwords = new Map<string, Buffer>();
  const problems: UserProblem[] = [];
  for (const user of users) {
    const key = { namespace, name: user.passwordSecretRef.name };
    // Only Secrets with our label are watched; asking tells one without it from none.
    const secret = world.credentials.get(key) ?? (await kube.find<Secret>(world.credentials.type, key));
    const found = passwordOf(user, secret);
    if ('problem' in found) problems.push(found.problem);
    else passwords.set(user.name, found.password);
  }
  return { passwords, problems };
}

async function claimVolume({ kube, world }: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { registry, facts } = look;
  const { namespace, name } = registry.metadata;
  const { existingClaim, size } = registry.spec.storage.filesystem;
  if (existingClaim !== undefined) {
    const claim = await kube.find(world.claims.type, { namespace, name: existingClaim });
    if (claim === undefined) return waiting(UNWATCHED_MS, 'ClaimNotFound');
    facts.claim = claim;
    return done;
  }
  const existing = await findChild(kube, world.claims, registry, childNames(name).claim);
  if (existing?.outcome !== undefined) return existing.outcome;
  const mismatch = existing === undefined ? undefined : claimMismatch(registry, existing.object);
  if (mismatch !== undefined) return stalled('ClaimMismatch', mismatch);
  // A rule of the CRD asks for a size where there is no existing claim.
  const desired = desiredClaim(registry, size ?? 0, existing?.object);
  const child = await applyChild(kube, world.claims, registry, desired);
  if (child.outcome !== undefined) return child.outcome;
  facts.claim = child.object;
  return done;
}

async function runServer({ kube, world, image }: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const desired = desiredDeployment(look.registry, image);
  const child = await applyChild(kube, world.deployments, look.registry, desired);
  if (child.outcome !== undefined) return child.outcome;
  look.facts.deployment = child.object;
  return done;
}

/** What the spec no longer asks for, once no pod is to mount it. The authority stays: clients may still trust it. */
async function removeUnused({ kube, world }: RegistryTools, { registry }: RegistryLook): Promise<Outcome> {
  const { spec } = registry;
  const { name, namespace, uid } = registry.metadata;
  const names = childNames(name);
  const unused = [
    ...(spec.auth === undefined ? [{ cache: world.secrets, name: names.users }] : []),
    ...(spec.tls.mode === 'Disabled' ? [{ cache: world.secrets, name: names.certificate }] : []),
    ...(spec.tls.mode === 'Disabled' ? [{ cache: world.configMaps, name: names.trustBundle }] : []),
  ];
  for (const { cache, name } of unused) {
    const object = cache.get({ namespace, name });
    if (!object?.metadata.ownerReferences?.some((owner) => owner.uid === uid)) continue;
    await kube.delete(cache.type, { namespace, name }, { uid: object.metadata.uid });
  }
  return done;
}
