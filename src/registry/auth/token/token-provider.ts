import { LRUCache } from 'lru-cache';
import type { Clock } from '../../../process/clock.ts';
import type { Logger } from '../../../process/logger.ts';
import { followFile, type FollowedFile } from '../followed-file.ts';
import { accessRecord, scopeOf, type Need } from '../need.ts';
import { bearerChallenge, type AuthProvider, type Caller } from '../provider.ts';
import { readToken, TokenError, type Claims } from './json-web-token.ts';
import { signingAlgorithms } from './signing-algorithms.ts';
import { parseCertificateBundle, parseKeySet, type TrustedKeys } from './trusted-keys.ts';

/** How far the clocks of the issuer and of this machine may be apart, in seconds; docker distribution's number. */
const LEEWAY = 60;

const TOKENS_AT_MOST = 1000;

export interface TokenOptions {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  readonly rootcertbundle: string | undefined;
  readonly jwks: string | undefined;
  /** Empty: all. */
  readonly signingalgorithms: readonly string[];
  readonly autoredirect: boolean;
  readonly autoredirectpath: string;
}

/**
 * Users who bring a token that a server elsewhere has signed; it says what they may do. docker's "Token Authentication
 * Specification".
 * @throws Error when a file with keys cannot be used at the start.
 */
export function tokenProvider(deps: {
  readonly options: TokenOptions;
  readonly clock: Clock;
  readonly log: Logger;
}): AuthProvider {
  const { options, clock, log } = deps;
  const names = options.signingalgorithms;
  const algorithms = new Set(names.length === 0 ? Object.keys(signingAlgorithms) : names);
  /** Tokens whose signature was right, until the keys change. Clients send the same one for minutes. */
  const read = new LRUCache<string, Claims>({ max: TOKENS_AT_MOST });
  const follow = (
    path: string | undefined,
    parse: (text: string) => TrustedKeys,
  ): readonly FollowedFile<TrustedKeys>[] =>
    path === undefined ? [] : [followFile({ path, parse, changed: () => read.clear(), clock, log })];
  const files = [
    ...follow(options.rootcertbundle, parseCertificateBundle),
    ...follow(options.jwks, parseKeySet),
  ];

  function claimsOf(token: string): Claims {
    const keys = files.map((file) => file.current());
    let claims = read.get(token);
    if (claims === undefined) {
      const all: TrustedKeys = {
        byId: new Map(keys.flatMap(({ byId }) => [...byId])),
        roots: keys.flatMap(({ roots }) => roots),
      };
      claims = readToken(token, all, algorithms, clock.now());
      read.set(token, claims);
    }
    checkClaims(claims, options, clock.now() / 1000);
    return claims;
  }

  return {
    async identify({ authorization }) {
      const token = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
      if (token === undefined) return 'none';
      try {
        const { subject, access } = claimsOf(token);
        return { user: subject || undefined, allows: (need) => covers(access, need) };
      } catch (error) {
        if (!(error instanceof TokenError)) throw error;
        log.info({ reason: error.message }, 'refused a token');
        return 'wrong';
      }
    },
    challenge: (caller, needs, error) =>
      bearerChallenge({
        realm: options.autoredirect ? redirectedRealm(caller, options.autoredirectpath) : options.realm,
        service: options.service,
        scope: scopeOf(needs),
        error,
      }),
  };
}

/** @param now seconds since the epoch @throws TokenError */
function checkClaims(claims: Claims, { issuer, service }: TokenOptions, now: number): void {
  if (claims.issuer !== issuer) throw new TokenError('it is from another issuer');
  if (!claims.audience.includes(service)) throw new TokenError('it is for another service');
  if (now > claims.expires + LEEWAY) throw new TokenError('it has expired');
  if (now < claims.notBefore - LEEWAY) throw new TokenError('it is not valid yet');
}

function covers(access: Claims['access'], need: Need): boolean {
  const { Type, Name, Action } = accessRecord(need);
  return access.some(
    ({ type, name, actions }) =>
      type === Type && name === Name && (actions.includes(Action) || actions.includes('*')),
  );
}

/** As docker distribution builds it, which takes for granted that something in front of it ends TLS. */
function redirectedRealm({ host, forwardedProto }: Caller, path: string): string {
  return `${forwardedProto ?? 'https'}://${host ?? ''}${path}`;
}
