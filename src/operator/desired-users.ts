import type { Registry } from '../api/registry.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { Secret } from '../kube/resources.ts';
import { childMeta, childNames } from './child-names.ts';
import { encodeData } from './secret-data.ts';

export const USERS_KEY = 'htpasswd';

/** The users of the server, which re-reads them when they change. An empty file lets nobody in. */
export function desiredUsers(registry: Stored<Registry>, htpasswd: string): ApplyFields<Secret> {
  return {
    metadata: childMeta(registry, childNames(registry.metadata.name).users),
    type: 'Opaque',
    data: encodeData({ [USERS_KEY]: htpasswd }),
  };
}
