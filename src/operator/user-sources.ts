import type { Registry } from '../api/registry.ts';
import type { Secret } from '../kube/resources.ts';
import { mayBeUsed, notPermitted } from './credentials.ts';
import { isUserName, parseHtpasswd } from './htpasswd-file.ts';
import { passwordIn, type UserProblem } from './password.ts';
import { dataBytes, dataText } from './secret-data.ts';
import { USERS_KEY } from './desired-users.ts';

/** How a user proves who it is: a password that is still to be hashed, or the hash that somebody else made. */
export type Credential = { readonly password: Buffer } | { readonly hash: string };

/** Users by name, and what was left out. */
export interface UserList {
  readonly credentials: ReadonlyMap<string, Credential>;
  readonly problems: readonly UserProblem[];
}

type Htpasswd = NonNullable<NonNullable<Registry['spec']['auth']>['htpasswd']>;
export type RegistryUser = Htpasswd['users'][number];
type SecretRef = NonNullable<Htpasswd['secretRefs']>[number];

/** One user of the spec with its own password. */
export function singleUser(
  name: string,
  secretName: string,
  key: string,
  secret: Secret | undefined,
): UserList {
  const found = passwordIn({ name, secretName, key }, secret);
  return 'problem' in found ? { credentials: new Map(), problems: [found.problem] } : oneUser(name, found);
}

/** The lines of a whole htpasswd file. What is wrong is told by its line, since a line may be a password. */
export function listedUsers({ name, key }: SecretRef, secret: Secret | undefined): UserList {
  const problem = (reason: UserProblem['reason'], message: string): UserList => ({
    credentials: new Map(),
    problems: [{ name, reason, message }],
  });
  if (secret === undefined) {
    return problem(
      'SecretNotFound',
      `There is no Secret ${name}. Make it, with htpasswd lines under ${key}.`,
    );
  }
  if (!mayBeUsed(secret)) return problem('NotPermitted', notPermitted(name));
  const text = dataText(secret, key);
  if (text === undefined) {
    return problem('KeyNotFound', `The Secret ${name} has no key ${key}. Add it, or name another key.`);
  }
  const { entries, problems } = parseHtpasswd(text);
  return {
    credentials: new Map(entries.map(({ name: user, hash }) => [user, { hash }])),
    problems: problems.map(({ line, reason, message }) => ({
      name,
      reason,
      message: `Line ${line} of ${key} in the Secret ${name} ${message}`,
    })),
  };
}

/** A Secret that a selector found: a whole file, or one user as in kubernetes.io/basic-auth. */
export function selectedUsers(secret: Secret): UserList {
  const { name } = secret.metadata;
  if (dataBytes(secret, USERS_KEY) !== undefined) return listedUsers({ name, key: USERS_KEY }, secret);
  const user = dataText(secret, 'username')?.trim();
  if (user === undefined || !isUserName(user)) {
    return {
      credentials: new Map(),
      problems: [
        {
          name,
          reason: 'KeyNotFound',
          message: `The Secret ${name}, which the selector found, has neither the key ${USERS_KEY} nor a user name under username.`,
        },
      ],
    };
  }
  const found = passwordIn({ name: user, secretName: name, key: 'password' }, secret);
  // Named by the Secret: who reads the Registry is not thereby told what is in it.
  return 'problem' in found
    ? { credentials: new Map(), problems: [{ ...found.problem, name }] }
    : oneUser(user, found);
}

/** All lists as one. A user who is in two of them is the one of the first. */
export function mergeUsers(lists: readonly { readonly source: string; readonly list: UserList }[]): UserList {
  const credentials = new Map<string, Credential>();
  const problems: UserProblem[] = [];
  for (const { source, list } of lists) {
    const before = credentials.size;
    for (const [name, credential] of list.credentials) {
      if (!credentials.has(name)) credentials.set(name, credential);
    }
    const left = before + list.credentials.size - credentials.size;
    problems.push(...list.problems);
    if (left === 0) continue;
    problems.push({
      name: source,
      reason: 'DuplicateUser',
      message: `Of the users in ${source}, ${left} ${left === 1 ? 'is' : 'are'} in an earlier source already, which counts.`,
    });
  }
  return { credentials, problems };
}

function oneUser(name: string, credential: Credential): UserList {
  return { credentials: new Map([[name, credential]]), problems: [] };
}
