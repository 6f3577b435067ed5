import {
  createHash,
  createPublicKey,
  createSecretKey,
  X509Certificate,
  type KeyObject,
  type webcrypto,
} from 'node:crypto';

/** Keys that tokens may be signed with, by the names that a token may call them. */
export interface TrustedKeys {
  readonly byId: ReadonlyMap<string, KeyObject>;
  readonly roots: readonly X509Certificate[];
}

/**
 * Reads `rootcertbundle`: the certificates are roots for chains, and their own keys sign too.
 * @throws Error when there is no certificate.
 */
export function parseCertificateBundle(text: string): TrustedKeys {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  const roots = blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw new Error(`certificate ${index + 1} of the bundle is damaged`, { cause });
    }
  });
  if (roots.length === 0) throw new Error('the bundle holds no certificate');
  const byId = new Map<string, KeyObject>();
  for (const { publicKey } of roots) for (const id of keyIds(publicKey)) byId.set(id, publicKey);
  return { byId, roots };
}

/**
 * Reads a key set, RFC 7517 §5. Keys of a kind that is not known are left out, as the RFC says.
 * @throws Error when it is no key set or has no key of use.
 */
export function parseKeySet(text: string): TrustedKeys {
  const byId = new Map<string, KeyObject>();
  for (const jwk of keysOf(text)) {
    const key = importKey(jwk);
    if (key === undefined) continue;
    for (const id of keyIds(key)) byId.set(id, key);
    if (jwk.kid !== undefined) byId.set(jwk.kid, key);
  }
  if (byId.size === 0) throw new Error('the key set holds no key that can check a signature');
  return { byId, roots: [] };
}

/** A key of a set. Node's type leaves its name out. */
type NamedKey = webcrypto.JsonWebKey & { readonly kid?: string };

function keysOf(text: string): readonly NamedKey[] {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new Error('the key set is not JSON', { cause });
  }
  const keys = typeof document === 'object' && document !== null && 'keys' in document ? document.keys : [];
  // Node checks each field of a key as it imports it.
  return Array.isArray(keys)
    ? (keys.filter((key) => typeof key === 'object' && key !== null) as NamedKey[])
    : [];
}

/** @returns undefined for what is no key, or one for encryption. */
export function importKey(jwk: webcrypto.JsonWebKey): KeyObject | undefined {
  if (jwk.use !== undefined && jwk.use !== 'sig') return undefined;
  try {
    if (jwk.kty !== 'oct') return createPublicKey({ key: jwk, format: 'jwk' });
    const secret = Buffer.from(jwk.k ?? '', 'base64url');
    return secret.length === 0 ? undefined : createSecretKey(secret);
  } catch {
    return undefined;
  }
}

/** What a token's `kid` may call a key: distribution 2's fingerprint by libtrust, and distribution 3's by RFC 7638. */
function keyIds(key: KeyObject): readonly string[] {
  return key.type === 'public' ? [libtrustId(key), thumbprint(key)] : [];
}

/** SHA-256 of the key's DER, cut to 240 bits, in base32, in groups of four: `ABCD:EFGH:…`. */
function libtrustId(key: KeyObject): string {
  const hash = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest();
  const letters = base32(hash.subarray(0, 30));
  return (letters.match(/.{4}/g) ?? []).join(':');
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** RFC 4648 §6. @param bytes whole groups of five */
function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{5}/g) ?? []).map((group) => BASE32[Number.parseInt(group, 2)]).join('');
}

/** The members that RFC 7638 §3.2 names, in their order. */
const THUMBPRINT_MEMBERS: Readonly<Record<string, readonly (keyof webcrypto.JsonWebKey)[]>> = {
  RSA: ['e', 'kty', 'n'],
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
};

function thumbprint(key: KeyObject): string {
  const jwk = key.export({ format: 'jwk' });
  const members = THUMBPRINT_MEMBERS[jwk.kty ?? ''] ?? [];
  const json = JSON.stringify(Object.fromEntries(members.map((name) => [name, jwk[name]])));
  return createHash('sha256').update(json).digest('base64url');
}
