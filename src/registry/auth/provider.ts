import type { Need } from './need.ts';

/** What a request brings to say who sends it. */
export interface Caller {
  /** The Authorization header. */
  readonly authorization: string | undefined;
  /** The user that a client certificate names which the server has verified. */
  readonly certificateUser: string | undefined;
  /** The address of the other end of the connection. */
  readonly remote: string;
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal;
  readonly host: string | undefined;
  readonly forwardedProto: string | undefined;
  /** The URL by which the client reaches what is at this path below `/v2/`. */
  apiUrl(path: string): string;
}

export interface Identity {
  /** Undefined for a client that says that it is nobody. */
  readonly user: string | undefined;
  /** What these credentials allow by themselves. Absent: the rules of the registry decide. */
  readonly allows?: (need: Need) => boolean;
}

/** Why a Bearer token does not do. RFC 6750 §3.1. */
export type TokenFailure = 'invalid_token' | 'insufficient_scope';

/** One way to know users: what `auth` configures. */
export interface AuthProvider {
  /**
   * @returns `none` when the request brings no credentials of this kind, `wrong` when they are not right.
   * @throws RegistryError UNAVAILABLE when they cannot be checked now
   */
  identify(caller: Caller): Promise<Identity | 'none' | 'wrong'>;
  /** The WWW-Authenticate header of a 401, in characters that each are a byte. */
  challenge(caller: Caller, needs: readonly Need[], failure?: TokenFailure): string;
}

/** A quoted string of a challenge. Node writes a header byte by character: these are the bytes of UTF-8, as Go sends them. */
export function quoted(text: string): string {
  return `"${Buffer.from(text.replaceAll(/["\\]/g, String.raw`\$&`)).toString('latin1')}"`;
}

/** As docker's clients understand it; RFC 6750 §3. */
export function bearerChallenge(parameters: {
  readonly realm: string;
  readonly service: string;
  readonly scope: string;
  readonly error?: TokenFailure | undefined;
}): string {
  const { realm, service, scope, error } = parameters;
  const parts = [`realm=${quoted(realm)}`, `service=${quoted(service)}`];
  if (scope !== '') parts.push(`scope=${quoted(scope)}`);
  if (error !== undefined) parts.push(`error=${quoted(error)}`);
  return `Bearer ${parts.join(',')}`;
}
