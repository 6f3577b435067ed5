import { constants, createHmac, timingSafeEqual, verify, type KeyObject } from 'node:crypto';

interface Signed {
  readonly data: Buffer;
  readonly signature: Buffer;
}

/** How a signature of RFC 7518 §3.1 is checked. `fits`: is the key of this kind? A key never does for two. */
interface SigningAlgorithm {
  readonly fits: (key: KeyObject) => boolean;
  readonly verify: (signed: Signed, key: KeyObject) => boolean;
}

function rsa(hash: string): SigningAlgorithm {
  return {
    fits: (key) => key.asymmetricKeyType === 'rsa',
    verify: ({ data, signature }, key) => verify(hash, data, key, signature),
  };
}

function pss(hash: string): SigningAlgorithm {
  const options = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  return {
    fits: (key) => key.asymmetricKeyType === 'rsa' || key.asymmetricKeyType === 'rsa-pss',
    verify: ({ data, signature }, key) => verify(hash, data, { key, ...options }, signature),
  };
}

function ecdsa(hash: string, namedCurve: string): SigningAlgorithm {
  return {
    fits: (key) => key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === namedCurve,
    verify: ({ data, signature }, key) => verify(hash, data, { key, dsaEncoding: 'ieee-p1363' }, signature),
  };
}

function hmac(hash: string): SigningAlgorithm {
  return {
    fits: (key) => key.type === 'secret',
    verify({ data, signature }, key) {
      const own = createHmac(hash, key).update(data).digest();
      return own.length === signature.length && timingSafeEqual(own, signature);
    },
  };
}

/** The algorithms that docker distribution has. `none` is none of them. */
export const signingAlgorithms: Readonly<Record<string, SigningAlgorithm>> = {
  EdDSA: {
    fits: (key) => key.asymmetricKeyType === 'ed25519',
    verify: ({ data, signature }, key) => verify(null, data, key, signature),
  },
  HS256: hmac('sha256'),
  HS384: hmac('sha384'),
  HS512: hmac('sha512'),
  RS256: rsa('sha256'),
  RS384: rsa('sha384'),
  RS512: rsa('sha512'),
  ES256: ecdsa('sha256', 'prime256v1'),
  ES384: ecdsa('sha384', 'secp384r1'),
  ES512: ecdsa('sha512', 'secp521r1'),
  PS256: pss('sha256'),
  PS384: pss('sha384'),
  PS512: pss('sha512'),
};
