import { isDeepStrictEqual } from 'node:util';
import type { Registry } from '../api/registry.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { Secret } from '../kube/resources.ts';
import { childMeta, childNames } from './child-names.ts';
import type { Variables } from './credentials.ts';
import type { Credentials } from './pod-parts.ts';
import { encodeData } from './secret-data.ts';

/**
 * On the Secret, and on the pods that were started with it: a random value that is another with each change of the
 * credentials, so that a change rolls the pods. A hash would let who may see pods try passwords.
 */
export const CREDENTIALS_ANNOTATION = 'stevedore.dev/credentials-revision';

/** What is there already has the revision that it has for as long as it says the same. */
export function revisionOf(existing: Secret | undefined, variables: Variables): string | undefined {
  if (!isDeepStrictEqual({ ...existing?.data }, { ...encodeData(variables) })) return undefined;
  return existing?.metadata.annotations?.[CREDENTIALS_ANNOTATION];
}

/** What pods are given of the Secret; undefined: there is none. */
export function credentialsIn(secret: Secret | undefined): Credentials | undefined {
  const revision = secret?.metadata.annotations?.[CREDENTIALS_ANNOTATION];
  return revision === undefined ? undefined : { names: Object.keys(secret?.data ?? {}), revision };
}

/** The variables of the server's environment that are secret, by their names. */
export function desiredCredentials(
  registry: Stored<Registry>,
  variables: Variables,
  revision: string,
): ApplyFields<Secret> {
  return {
    metadata: {
      ...childMeta(registry, childNames(registry.metadata.name).credentials),
      annotations: { [CREDENTIALS_ANNOTATION]: revision },
    },
    type: 'Opaque',
    data: encodeData(variables),
  };
}
