import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { ConfigMap } from '../kube/resources.ts';
import { childMeta, childNames } from './child-names.ts';
import type { Served } from './served.ts';

export const CLIENT_AUTHORITIES_KEY = 'ca.crt';

/** The authorities of client certificates, which the server re-reads when they change. */
export function desiredClientAuthorities(
  registry: Stored<Served>,
  certificates: string,
): ApplyFields<ConfigMap> {
  return {
    metadata: childMeta(registry, childNames(registry).clientAuthorities),
    data: { [CLIENT_AUTHORITIES_KEY]: certificates },
  };
}
