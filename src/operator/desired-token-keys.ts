import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { Secret } from '../kube/resources.ts';
import { bundleOf } from '../pki/certificate-chain.ts';
import { childMeta, childNames } from './child-names.ts';
import { encodeData } from './secret-data.ts';
import type { Served } from './served.ts';

/** Keys of the Secret, which are the names of files in the pod, by the field that says where they come from. */
export const TOKEN_KEYS = { rootCertBundle: 'rootcertbundle.pem', jwks: 'jwks.json' } as const;

/** What a text is instead of certificates: the end of a sentence. */
export const NO_CERTIFICATES = 'no certificates in PEM';

export type TokenKeys = Partial<Readonly<Record<keyof typeof TOKEN_KEYS, string>>>;

/** The keys that sign tokens, copied from where the Registry says: what is broken there never reaches the server. */
export function desiredTokenKeys(registry: Stored<Served>, keys: TokenKeys): ApplyFields<Secret> {
  const { rootCertBundle, jwks } = keys;
  return {
    metadata: childMeta(registry, childNames(registry).tokenKeys),
    type: 'Opaque',
    data: encodeData({
      ...(rootCertBundle !== undefined && { [TOKEN_KEYS.rootCertBundle]: rootCertBundle }),
      ...(jwks !== undefined && { [TOKEN_KEYS.jwks]: jwks }),
    }),
  };
}

/** What the text is instead of keys: the end of a sentence; undefined when it is keys. */
export function tokenKeysFlaw(field: keyof typeof TOKEN_KEYS, text: string): string | undefined {
  if (field === 'rootCertBundle') return bundleOf(text) === undefined ? NO_CERTIFICATES : undefined;
  try {
    return hasKeys(JSON.parse(text)) ? undefined : 'no JSON Web Key Set with keys';
  } catch {
    return 'no JSON';
  }
}

function hasKeys(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    'keys' in value &&
    Array.isArray(value.keys) &&
    value.keys.length > 0
  );
}
