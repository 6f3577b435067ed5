import type { Caller } from '../auth/provider.ts';
import { RegistryError } from '../errors.ts';
import { callerOf } from './access.ts';
import type { Exchange } from './exchange.ts';
import type { Links } from './links.ts';

/** Seconds after which clients come back. The credentials are checked on each request anyway. */
const EXPIRES_IN = 300;

/** What clients that were asked for a token get it from. */
export interface TokenIssuer {
  /** @returns undefined for wrong credentials */
  token(caller: Caller): Promise<string | undefined>;
}

/**
 * GET /v2/_token: gives out tokens where a registry lets everybody pull and knows users by their passwords. No
 * repository can have this name. docker's "Token Authentication Specification".
 * @throws RegistryError UNAUTHORIZED for wrong credentials; UNSUPPORTED for a POST, after which clients try a GET
 */
export async function giveToken(exchange: Exchange, issuer: TokenIssuer, links: Links): Promise<void> {
  const { method } = exchange.request;
  if (method !== 'GET' && method !== 'HEAD') {
    throw new RegistryError({ code: 'UNSUPPORTED' }, { headers: { allow: 'GET, HEAD' } });
  }
  const token = await issuer.token(callerOf(exchange, links));
  if (token === undefined) {
    throw new RegistryError(
      { code: 'UNAUTHORIZED' },
      { headers: { 'www-authenticate': 'Basic realm="token"' } },
    );
  }
  const headers = { 'cache-control': 'no-store' };
  exchange.answerJson(200, { token, access_token: token, expires_in: EXPIRES_IN }, headers);
}
