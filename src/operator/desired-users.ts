import { createHash } from 'node:crypto';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { Secret } from '../kube/resources.ts';
import { childMeta, childNames, contentOwnership, type Named } from './child-names.ts';
import { encodeData } from './secret-data.ts';
import type { Served } from './served.ts';

export const USERS_KEY = 'htpasswd';

/** The users of the server, which re-reads them when they change. An empty file lets nobody in. */
export function desiredUsers(registry: Stored<Served>, htpasswd: string): ApplyFields<Secret> {
  return {
    metadata: childMeta(registry, childNames(registry).users),
    type: 'Opaque',
    data: encodeData({ [USERS_KEY]: htpasswd }),
  };
}

/** By which the Secrets of generated passwords are told from the other children. */
export const PASSWORD_TYPE = 'kubernetes.io/basic-auth';

/** A user's name where it can stand in the name of an object, else a hash of it, which begins with `x-`. */
export function passwordSecretName(registry: Named, user: string): string {
  const fits = /^(?!x-)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(user);
  const hash = createHash('sha256').update(user).digest('hex').slice(0, 16);
  return childNames(registry).password(fits ? user : `x-${hash}`);
}

/** A generated password, for the user to look up and for pods to mount. Made once, by POST. */
export function desiredPassword(
  registry: Stored<Served>,
  user: string,
  password: string,
): ApplyFields<Secret> {
  const name = passwordSecretName(registry, user);
  return {
    metadata: childMeta(registry, name, contentOwnership(registry)),
    type: PASSWORD_TYPE,
    data: encodeData({ username: user, password }),
  };
}
