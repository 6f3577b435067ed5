import type { KeyObject } from 'node:crypto';
import { keyOfChain } from './certificate-chain.ts';
import { signingAlgorithms } from './signing-algorithms.ts';
import { importKey, type TrustedKeys } from './trusted-keys.ts';

/** What a token says, once its signature was found right. RFC 7519 §4.1, and docker's `access`. */
export interface Claims {
  readonly issuer: string;
  readonly subject: string;
  readonly audience: readonly string[];
  /** Seconds since the epoch. */
  readonly expires: number;
  readonly notBefore: number;
  readonly access: readonly AccessClaim[];
}

interface AccessClaim {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** Why a token is not taken, in words for the log. Clients are told that it is invalid, and no more. */
export class TokenError extends Error {
  override readonly name = 'TokenError';
}

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Checks the signature of a token in the compact form of RFC 7515 §3.1 and reads its claims.
 * @param algorithms that are allowed. @param now milliseconds since the epoch, for certificates.
 * @throws TokenError
 */
export function readToken(
  token: string,
  keys: TrustedKeys,
  algorithms: ReadonlySet<string>,
  now: number,
): Claims {
  const parts = token.split('.');
  const [header = '', payload = '', signature = ''] = parts;
  if (parts.length !== 3 || signature === '') throw new TokenError('it is no signed token');
  const fields = decodeObject(header);
  if (fields['crit'] !== undefined) throw new TokenError('it needs extensions that are not known');
  const name = typeof fields['alg'] === 'string' ? fields['alg'] : '';
  const algorithm = algorithms.has(name) ? signingAlgorithms[name] : undefined;
  if (algorithm === undefined) throw new TokenError('its algorithm is not allowed');
  const key = signingKey(fields, keys, now);
  if (key === undefined) throw new TokenError('its key is not trusted');
  const signed = {
    data: Buffer.from(`${header}.${payload}`),
    signature: Buffer.from(signature, 'base64url'),
  };
  if (!algorithm.fits(key) || !algorithm.verify(signed, key)) throw new TokenError('its signature is wrong');
  return claimsOf(decodeObject(payload));
}

/** A chain of certificates, else a key that is given and trusted, else the name of one. RFC 7515 §4.1. */
function signingKey(header: JsonObject, keys: TrustedKeys, now: number): KeyObject | undefined {
  const { x5c, jwk, kid } = header;
  if (x5c !== undefined) return isStrings(x5c) ? keyOfChain(x5c, keys.roots, now) : undefined;
  if (isObject(jwk)) return keyOfHeader(jwk, keys, now);
  return typeof kid === 'string' ? keys.byId.get(kid) : undefined;
}

/** The key itself is compared, so that its name need not be believed. */
function keyOfHeader(jwk: JsonObject, keys: TrustedKeys, now: number): KeyObject | undefined {
  const { x5c } = jwk;
  if (x5c !== undefined) return isStrings(x5c) ? keyOfChain(x5c, keys.roots, now) : undefined;
  // Node checks each field as it imports it.
  const key = importKey(jwk);
  if (key?.type !== 'public') return undefined;
  return [...keys.byId.values()].find((trusted) => trusted.equals(key));
}

function claimsOf(payload: JsonObject): Claims {
  const { iss, sub, aud, exp, nbf, access } = payload;
  return {
    issuer: text(iss),
    subject: text(sub),
    audience: typeof aud === 'string' ? [aud] : isStrings(aud) ? aud : [],
    expires: number(exp),
    notBefore: number(nbf),
    access: Array.isArray(access) ? access.map(accessOf) : [],
  };
}

function accessOf(item: unknown): AccessClaim {
  if (!isObject(item) || !isStrings(item['actions'])) throw new TokenError('its access claims are malformed');
  return { type: text(item['type']), name: text(item['name']), actions: item['actions'] };
}

function decodeObject(part: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
  } catch {
    throw new TokenError('it is not JSON');
  }
  if (!isObject(value)) throw new TokenError('it is not made of objects');
  return value;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function number(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
