import { ApiError } from '../kube/api-error.ts';
import type { ApplyFields } from '../kube/client.ts';
import { formatKey, type KubeObject, type ObjectKey, type Stored } from '../kube/object.ts';
import { done, stalled, type Done, type Outcome, type Stalled } from '../kube/outcome.ts';
import { namespaces, type ConfigMap, type Secret } from '../kube/resources.ts';
import type { Kube, Seen } from './apply-child.ts';
import { pullSecret, SHARED_BY_LABEL, sharedBundle, sharedBy, sharingObstacle } from './desired-shares.ts';
import { hasDrifted } from './drift.ts';
import { dropFinalizer, hasFinalizer, keepFinalizer } from './finalizers.ts';
import type { RegistryLook, RegistryTools } from './registry-look.ts';
import type { UnreadObject } from './resource-types.ts';
import { pullSecretsOf, type Served } from './served.ts';
import { servedIn } from './world.ts';

/** On a resource that has put something into another namespace, which its deletion must take back. */
const SHARES_FINALIZER = 'stevedore.dev/shares';

/** Why something is not where it should be. */
export interface ShareProblem {
  readonly reason: 'NotPermitted' | 'NameConflict' | 'UserNotFound' | 'Refused';
  readonly message: string;
}

type Tools = Pick<RegistryTools, 'kube' | 'world' | 'shareFromNamespaces'>;

/** The bundle, in the namespaces that take it. Before an authority that is new in it counts as published. */
export async function shareTrustBundle(tools: Tools, look: RegistryLook): Promise<void> {
  const { registry, trusted } = look;
  const wanted = trusted === undefined ? [] : (registry.spec.tls.trustBundleNamespaces ?? []);
  const targets = await permittedTargets(tools, look, wanted);
  await share(
    tools,
    look,
    tools.world.configMaps,
    targets.map((target) => sharedBundle(registry, target, trusted ?? '')),
  );
}

export async function sharePullSecrets(tools: Tools, look: RegistryLook): Promise<Outcome> {
  const { registry, passwords } = look;
  const desired: ApplyFields<Secret>[] = [];
  for (const { user, namespaces: wanted } of pullSecretsOf(registry) ?? []) {
    const password = passwords?.get(user);
    if (password === undefined) {
      look.shareProblems.push({
        reason: 'UserNotFound',
        message: `No user ${user} of auth.htpasswd.users has a password for pullSecrets.`,
      });
      continue;
    }
    for (const target of await permittedTargets(tools, look, wanted)) {
      desired.push(pullSecret(registry, target, user, password));
    }
  }
  await share(tools, look, tools.world.secrets, desired);
  look.facts.shares =
    pullSecretsOf(registry) === undefined && registry.spec.tls.trustBundleNamespaces === undefined
      ? undefined
      : look.shareProblems;
  return done;
}

async function permittedTargets(
  { kube, shareFromNamespaces }: Tools,
  look: RegistryLook,
  wanted: readonly string[],
): Promise<readonly string[]> {
  const { namespace } = look.registry.metadata;
  const permitted: string[] = [];
  for (const target of wanted) {
    // A namespace that may share nothing learns nothing of others either.
    const isAsked = target !== namespace && shareFromNamespaces.includes(namespace);
    const found = isAsked ? await kube.find(namespaces, { name: target }) : undefined;
    const message = sharingObstacle(namespace, target, shareFromNamespaces, found);
    if (message === undefined) permitted.push(target);
    else look.shareProblems.push({ reason: 'NotPermitted', message });
  }
  return permitted;
}

/** Makes what is desired of one kind, and takes back what is not any more. */
async function share<T extends KubeObject>(
  tools: Tools,
  look: RegistryLook,
  seen: Seen<T> & { byIndex(index: 'sharedBy', value: string): readonly Stored<T>[] },
  desired: readonly ApplyFields<T>[],
): Promise<void> {
  const { kube, world } = tools;
  const { kind, metadata } = look.registry;
  if (desired.some((object) => object.metadata.namespace !== metadata.namespace)) {
    await keepFinalizer(kube, servedIn(world, kind), metadata, SHARES_FINALIZER);
  }
  for (const object of desired) await applyShare(kube, seen, look, object);
  const wanted = new Set(desired.map((object) => formatKey(object.metadata)));
  for (const old of seen.byIndex('sharedBy', sharedBy(kind, metadata))) {
    if (!wanted.has(formatKey(old.metadata))) await remove(kube, seen, old);
  }
}

async function applyShare<T extends KubeObject>(
  kube: Pick<Kube, 'find' | 'apply'>,
  seen: Seen<T>,
  look: RegistryLook,
  desired: ApplyFields<T>,
): Promise<void> {
  const { metadata } = desired;
  const existing = seen.get(metadata) ?? (await kube.find(seen.type, metadata));
  if (existing === undefined) {
    // Without force: what somebody makes at this very moment is not taken over.
    await unlessRefused(seen, look, desired, () => kube.apply(seen.type, desired, { force: false }));
    return;
  }
  if (existing.metadata.labels?.[SHARED_BY_LABEL] !== sharedBy(look.registry.kind, look.registry.metadata)) {
    look.shareProblems.push({
      reason: 'NameConflict',
      message: `There is a ${seen.type.kind} ${formatKey(metadata)} that this ${look.registry.kind} has not made. Delete or rename it.`,
    });
    return;
  }
  if (!hasDrifted(desired, existing)) return;
  const { uid } = existing.metadata;
  const again = { ...desired, metadata: { ...metadata, uid } };
  await unlessRefused(seen, look, desired, () => kube.apply(seen.type, again));
}

/** What a namespace refuses, by a quota or because it goes, is nothing that the Registry itself must suffer from. */
async function unlessRefused<T extends KubeObject>(
  { type }: Pick<Seen<T>, 'type'>,
  look: RegistryLook,
  { metadata }: ApplyFields<T>,
  write: () => Promise<unknown>,
): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (!(error instanceof ApiError) || ![403, 404, 422].includes(error.status)) throw error;
    const message = `The API server refuses the ${type.kind} ${formatKey(metadata)}: ${error.message}`;
    look.shareProblems.push({ reason: 'Refused', message });
  }
}

/**
 * Takes back everything that the Registry has put into other namespaces, when nothing is to be there any more: it is
 * being deleted, or its spec asks for nothing. Then it can go.
 */
export async function withdrawShares(
  { kube, world }: Pick<Tools, 'kube' | 'world'>,
  kind: Served['kind'],
  object: Stored<UnreadObject>,
): Promise<Done | Stalled> {
  const { namespace = '', name } = object.metadata;
  if (!hasFinalizer(object, SHARES_FINALIZER)) return done;
  const labelSelector = `${SHARED_BY_LABEL}=${sharedBy(kind, { namespace, name })}`;
  try {
    // Asked of the API server, since what a cache does not show yet would stay for ever.
    for (const type of [world.configMaps.type, world.secrets.type]) {
      const { items } = await kube.listAll<ConfigMap | Secret>(type, { labelSelector });
      for (const item of items.filter(({ metadata }) => metadata.namespace !== namespace)) {
        await remove(kube, { type }, item);
      }
    }
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 403) throw error;
    // It was told to stay in one namespace since.
    return stalled(
      'NotPermitted',
      `The operator has no rights in other namespaces any more, where this ${kind} has put trust bundles or pull secrets. Whoever has can take them back: kubectl delete configmaps,secrets --all-namespaces --selector=${labelSelector}; then remove the finalizer ${SHARES_FINALIZER} from the ${kind}.`,
    );
  }
  await dropFinalizer(kube, servedIn(world, kind).type, object, SHARES_FINALIZER);
  return done;
}

/** The finalizer goes when nothing is shared with another namespace. Last, when all was taken back. */
export async function releaseShares(tools: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { registry } = look;
  const { namespace } = registry.metadata;
  const pullSecrets = pullSecretsOf(registry) ?? [];
  const { tls } = registry.spec;
  const targets = [...(tls.trustBundleNamespaces ?? []), ...pullSecrets.flatMap((one) => one.namespaces)];
  if (look.trusted === undefined) await shareTrustBundle(tools, look);
  const object = servedIn(tools.world, registry.kind).get(registry.metadata);
  const shares =
    tools.shareFromNamespaces.includes(namespace) && targets.some((target) => target !== namespace);
  if (object === undefined || shares) return done;
  const withdrawn = await withdrawShares(tools, registry.kind, object);
  if (withdrawn.kind === 'stalled') {
    // The Registry itself is none the worse for it.
    look.shareProblems.push({ reason: 'NotPermitted', message: withdrawn.message });
    look.facts.shares = look.shareProblems;
  }
  return done;
}

async function remove<T extends KubeObject>(
  kube: Pick<Kube, 'delete'>,
  { type }: Pick<Seen<T>, 'type'>,
  { metadata }: Stored<T>,
): Promise<void> {
  const key: ObjectKey = { namespace: metadata.namespace, name: metadata.name };
  await kube.delete(type, key, { uid: metadata.uid });
}
