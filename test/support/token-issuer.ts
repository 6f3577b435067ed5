import { constants, createHmac, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';

/** A key that signs with `alg`. `jwk` is what the other side needs of it. */
export interface SigningKey {
  readonly alg: string;
  readonly jwk: object;
  sign(data: Buffer): Buffer;
}

type KeyPair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject };

/** An ECDSA key of one's own, or a new one. */
export function ecdsaKey(alg: 'ES256' | 'ES384' | 'ES512' = 'ES256', pair?: KeyPair): SigningKey {
  const [hash, namedCurve] = {
    ES256: ['sha256', 'P-256'],
    ES384: ['sha384', 'P-384'],
    ES512: ['sha512', 'P-521'],
  }[alg];
  const { publicKey, privateKey } = pair ?? generateKeyPairSync('ec', { namedCurve: namedCurve ?? '' });
  return {
    alg,
    jwk: publicKey.export({ format: 'jwk' }),
    sign: (data) => sign(hash, data, { key: privateKey, dsaEncoding: 'ieee-p1363' }),
  };
}

/** RS… and PS…, for the same RSA key where one is given. */
export function rsaKey(alg: string, pair: KeyPair): SigningKey {
  const padding = alg.startsWith('PS') ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
  return {
    alg,
    jwk: pair.publicKey.export({ format: 'jwk' }),
    sign: (data) => sign(`sha${alg.slice(2)}`, data, { key: pair.privateKey, padding, saltLength }),
  };
}

export function ed25519Key(): SigningKey {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return {
    alg: 'EdDSA',
    jwk: publicKey.export({ format: 'jwk' }),
    sign: (data) => sign(null, data, privateKey),
  };
}

export function hmacKey(alg: string, secret: Buffer = randomBytes(64)): SigningKey {
  return {
    alg,
    jwk: { kty: 'oct', k: secret.toString('base64url') },
    sign: (data) =>
      createHmac(`sha${alg.slice(2)}`, secret)
        .update(data)
        .digest(),
  };
}

/** Claims that a registry called `registry` takes from `issuer`, with changes. */
export function claims(changes: object = {}, now = Date.now()): object {
  const seconds = Math.floor(now / 1000);
  return {
    iss: 'issuer',
    sub: 'ann',
    aud: 'registry',
    exp: seconds + 300,
    nbf: seconds,
    iat: seconds,
    jti: 'x',
    access: [{ type: 'repository', name: 'a', actions: ['pull', 'push'] }],
    ...changes,
  };
}

/** A signed token in the compact form. */
export function token(key: SigningKey, header: object, payload: unknown = claims()): string {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const data = `${encode({ typ: 'JWT', alg: key.alg, ...header })}.${encode(payload)}`;
  return `${data}.${key.sign(Buffer.from(data)).toString('base64url')}`;
}
