import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { Secret } from '../kube/resources.ts';
import { childMeta, childNames } from './child-names.ts';
import type { Variables } from './credentials.ts';
import { hasDrifted } from './drift.ts';
import type { Credentials } from './pod-parts.ts';
import { encodeData } from './secret-data.ts';
import type { Served } from './served.ts';

/**
 * On the Secret, and on the pods that were started with it: a random value that is another with each change of the
 * credentials, so that a change rolls the pods. A hash would let who may see pods try passwords.
 */
export const CREDENTIALS_ANNOTATION = 'stevedore.dev/credentials-revision';

/**
 * What is there already has the revision that it has for as long as it says the same. Another key that somebody added
 * is nothing to the pods; which keys they get is in their template anyway.
 */
export function revisionOf(existing: Secret | undefined, variables: Variables): string | undefined {
  if (hasDrifted(encodeData(variables), existing?.data)) return undefined;
  return existing?.metadata.annotations?.[CREDENTIALS_ANNOTATION];
}

/** What pods are given of the Secret; undefined: there is none. */
export function credentialsIn(secret: Secret | undefined): Credentials | undefined {
  const revision = secret?.metadata.annotations?.[CREDENTIALS_ANNOTATION];
  if (revision === undefined) return undefined;
  // Whoever may write Secrets is not thereby allowed to set other variables of a pod.
  const names = Object.keys(secret?.data ?? {}).filter((name) => name.startsWith('REGISTRY_'));
  return { names, revision };
}

/** The variables of the server's environment that are secret, by their names. */
export function desiredCredentials(
  registry: Stored<Served>,
  variables: Variables,
  revision: string,
): ApplyFields<Secret> {
  return {
    metadata: {
      ...childMeta(registry, childNames(registry).credentials),
      annotations: { [CREDENTIALS_ANNOTATION]: revision },
    },
    type: 'Opaque',
    data: encodeData(variables),
  };
}
