import { createHash, randomBytes } from 'node:crypto';
import type { Stored } from '../kube/object.ts';
import { done, type Outcome } from '../kube/outcome.ts';
import type { Secret } from '../kube/resources.ts';
import { applyChild } from './apply-child.ts';
import { childNames } from './child-names.ts';
import { accessFile, accessProblems, desiredAccess, hasAccessRules } from './desired-access.ts';
import {
  desiredPassword,
  desiredUsers,
  PASSWORD_TYPE,
  passwordSecretName,
  USERS_KEY,
} from './desired-users.ts';
import { htpasswdFits, writeHtpasswd } from './htpasswd-file.ts';
import { passwordUnder } from './password.ts';
import type { RegistryLook, RegistryTools } from './registry-look.ts';
import { findSecret } from './referenced-secret.ts';
import { keepSecret } from './retained-secret.ts';
import { dataText } from './secret-data.ts';
import type { Served } from './served.ts';
import {
  listedUsers,
  mergeUsers,
  selectedUsers,
  singleUser,
  type RegistryUser,
  type UserList,
} from './user-sources.ts';
import { childrenIn } from './world.ts';

export async function writeUsers(tools: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { kube, world, hasher } = tools;
  const { registry } = look;
  const { namespace } = registry.metadata;
  if (registry.spec.auth?.htpasswd === undefined) return done;
  const found = await findUsers(tools, registry);
  if ('outcome' in found) return found.outcome;
  const { credentials, problems } = found;
  const key = { namespace, name: childNames(registry).users };

  let existing = dataText(world.secrets.get(key), USERS_KEY) ?? '';
  if (!(await htpasswdFits(credentials, existing, hasher))) {
    // The cache may lag behind our own last write, and a hash that is made twice is a change for nothing.
    existing = dataText(await kube.find(world.secrets.type, key), USERS_KEY) ?? '';
  }
  const htpasswd = await writeHtpasswd(credentials, existing, hasher);
  const child = await applyChild(kube, world.secrets, registry, desiredUsers(registry, htpasswd));
  if (child.outcome !== undefined) return child.outcome;
  const known = [...credentials].flatMap(([user, credential]) =>
    'password' in credential ? [[user, credential.password] as const] : [],
  );
  look.passwords = new Map(known);
  look.facts.users = { hash: hashOf(htpasswd), problems };
  return done;
}

/** From every source, in the order in which they count. One user's mistake leaves the others as they are. */
async function findUsers(
  tools: RegistryTools,
  registry: Stored<Served>,
): Promise<UserList | { readonly outcome: Outcome }> {
  const { users = [], secretRefs = [], selector } = registry.spec.auth?.htpasswd ?? {};
  const { namespace } = registry.metadata;
  const lists: { source: string; list: UserList }[] = [];
  for (const user of users) {
    const found = await findUser(tools, registry, user);
    if ('outcome' in found) return found;
    lists.push({ source: user.name, list: found });
  }
  for (const ref of secretRefs) {
    const list = listedUsers(ref, await findSecret(tools, namespace, ref.name));
    lists.push({ source: ref.name, list });
  }
  // Of a Secret that is named besides, the named key counts.
  const named = new Set(secretRefs.map((ref) => ref.name));
  const selected = selector === undefined ? [] : selectedSecrets(tools, namespace, selector.matchLabels);
  for (const secret of selected.filter(({ metadata }) => !named.has(metadata.name))) {
    lists.push({ source: secret.metadata.name, list: selectedUsers(secret) });
  }
  return mergeUsers(lists);
}

async function findUser(
  tools: RegistryTools,
  registry: Stored<Served>,
  { name, passwordSecretRef: ref }: RegistryUser,
): Promise<UserList | { readonly outcome: Outcome }> {
  if (ref !== undefined) {
    return singleUser(
      name,
      ref.name,
      ref.key,
      await findSecret(tools, registry.metadata.namespace, ref.name),
    );
  }
  const secretName = passwordSecretName(registry, name);
  const child = await keepSecret(tools, registry, secretName, async () =>
    desiredPassword(registry, name, randomBytes(24).toString('base64url')),
  );
  if (child.outcome !== undefined) return { outcome: child.outcome };
  const found = passwordUnder({ name, secretName, key: 'password' }, child.object);
  return 'problem' in found
    ? { credentials: new Map(), problems: [found.problem] }
    : { credentials: new Map([[name, found]]), problems: [] };
}

/** In a stable order, since the first of two that have the same user counts. */
function selectedSecrets(
  { world }: RegistryTools,
  namespace: string,
  labels: Readonly<Record<string, string>>,
): readonly Secret[] {
  const found = world.credentials.list({ namespace, labels });
  return found.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

export async function writeAccessRules({ kube, world }: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { registry } = look;
  if (!hasAccessRules(registry)) return done;
  const child = await applyChild(kube, world.configMaps, registry, desiredAccess(registry));
  if (child.outcome !== undefined) return child.outcome;
  look.facts.access = { hash: hashOf(accessFile(registry)), problems: accessProblems(registry) };
  return done;
}

/** Passwords of users who are no longer in the spec: nobody can log in with them. */
export function unusedPasswords({ world }: RegistryTools, registry: Stored<Served>): readonly Secret[] {
  const users = registry.spec.auth?.htpasswd?.users ?? [];
  const wanted = new Set(
    users.filter(({ generate }) => generate).map((user) => passwordSecretName(registry, user.name)),
  );
  return childrenIn(world.secrets, registry).filter(
    ({ type, metadata }) => type === PASSWORD_TYPE && !wanted.has(metadata.name),
  );
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
