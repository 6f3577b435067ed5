import { LRUCache } from 'lru-cache';
import { request, type Dispatcher } from 'undici';
import type { Clock } from '../process/clock.ts';
import { parseChallenges, type Challenge } from './challenge.ts';
import type { Credentials } from './credentials.ts';
import { readBody } from './read-body.ts';
import { PASSING_STATUSES, RegistryRefusal } from './refusal.ts';
import { RefusedLogins } from './refused-logins.ts';
import { TransientError } from './retry.ts';

/** The part of a token's life after which another is fetched. */
const USED_LIFE = 0.8;

/** A token that does not say how long it lives does so for a minute, as clients have agreed. */
const SHORTEST_LIFE_SECONDS = 60;

/** Bytes of what a token server says. */
const LONGEST_ANSWER = 128 * 1024;

const MOST_REDIRECTS = 5;

/** How servers answer that know the form of OAuth2 not at all, or not for this user. */
const WITHOUT_FORM: ReadonlySet<number> = new Set([400, 401, 404, 405]);

/** Repositories whose tokens are kept. */
const MOST_GRANTS = 1000;

/** Where a token server refuses a password: it is that for all repositories. */
const TOKEN_SERVER = '';

interface Token {
  readonly header: string;
  /** Monotonic. */
  readonly renewAt: number;
}

/** What requests of some kind need, and the token for it. */
interface Grant {
  readonly scopes: readonly string[];
  token?: Token | undefined;
  /** On its way: everybody waits for the same. */
  next?: Promise<Token> | undefined;
}

/** What a token server answers. */
interface TokenDocument {
  readonly token?: string;
  readonly access_token?: string;
  readonly expires_in?: number;
}

export interface AuthorizationDependencies {
  readonly credentials: Credentials | undefined;
  /** Why a token server, which the registry or that server itself names, may not be asked; undefined when it may. */
  readonly objection: (realm: URL, withCredentials: boolean) => string | undefined;
  /** How to connect to a token server. */
  readonly dispatcherFor: (realm: URL) => Dispatcher;
  readonly clock: Clock;
}

/** The login to one registry, as it asks for it: nothing, a password with each request, or tokens by scope. */
export class Authorization {
  readonly #deps: AuthorizationDependencies;
  #challenge: Challenge | undefined;
  /** By what requests need. */
  readonly #grants = new LRUCache<string, Grant>({ max: MOST_GRANTS });
  /** Of a registry that asks for the same whatever the repository, as Amazon's public one does. */
  #scopesOfAll: readonly string[] | undefined;
  /** By what requests need: a registry that takes passwords may answer 401 for a repository that is not the user's. */
  readonly #refused: RefusedLogins;

  constructor(deps: AuthorizationDependencies) {
    this.#deps = deps;
    this.#refused = new RefusedLogins(deps.clock);
  }

  /**
   * The header for a request that needs `scopes`, as far as it is known by now.
   * @throws RegistryRefusal, TransientError when no token can be had.
   */
  async header(scopes: readonly string[]): Promise<string | undefined> {
    if (this.#challenge?.scheme === 'basic') {
      this.#refused.assertNone(this.#keyOf(scopes));
      return this.#basic();
    }
    if (this.#challenge === undefined) return undefined;
    const grant = this.#grantOf(scopes);
    if (grant.token !== undefined && this.#deps.clock.monotonic() < grant.token.renewAt) {
      return grant.token.header;
    }
    this.#refused.assertNone(TOKEN_SERVER);
    grant.next ??= this.#renew(this.#challenge, grant);
    return (await grant.next).header;
  }

  /**
   * Learns from a 401. @param header all its challenges. @param sent the authorization that was refused.
   * @returns whether the request may succeed when it is sent again.
   */
  learn(header: string | undefined, scopes: readonly string[], sent: string | undefined): boolean {
    const challenges = parseChallenges(header ?? '');
    const bearer = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters['realm']);
    if (bearer !== undefined) return this.#learnScopes(bearer, scopes, sent);
    const basic = challenges.find(({ scheme }) => scheme === 'basic');
    if (basic === undefined) return false;
    this.#challenge = basic;
    const login = this.#basic();
    if (login === undefined) return false;
    if (login !== sent) return true;
    const error = new RegistryRefusal('401, the credentials are wrong, or do not open this', 401);
    this.#refused.add(this.#keyOf(scopes), error);
    return false;
  }

  #learnScopes(challenge: Challenge, scopes: readonly string[], sent: string | undefined): boolean {
    this.#challenge = challenge;
    const { scope = '', error } = challenge.parameters;
    const named = scope.split(/\s+/).filter((each) => each !== '');
    const known = named.every((each) => scopes.some((own) => covers(own, each)));
    // That the request needs more than its first scope, such as the source of a mount, a registry may not know.
    const needed = known ? scopes : [...new Set([...named, ...scopes.slice(1)])];
    this.#scopesOfAll = !known && !scope.includes(':') ? needed : undefined;
    const grant = this.#grantOf(scopes);
    if (grant.scopes.join(' ') !== needed.join(' ')) {
      this.#grants.set(this.#keyOf(scopes), { scopes: needed });
      return true;
    }
    // Another may have come meanwhile.
    if (sent === undefined || grant.token?.header !== sent) return true;
    grant.token = undefined;
    return error !== 'insufficient_scope';
  }

  #keyOf(scopes: readonly string[]): string {
    return (this.#scopesOfAll ?? scopes).join(' ');
  }

  #grantOf(scopes: readonly string[]): Grant {
    const key = this.#keyOf(scopes);
    const grant = this.#grants.get(key) ?? { scopes: this.#scopesOfAll ?? scopes };
    this.#grants.set(key, grant);
    return grant;
  }

  async #renew(challenge: Challenge, grant: Grant): Promise<Token> {
    try {
      return (grant.token = await this.#fetchToken(challenge, grant.scopes));
    } finally {
      grant.next = undefined;
    }
  }

  #basic(): string | undefined {
    const { credentials } = this.#deps;
    return credentials === undefined || 'identityToken' in credentials
      ? undefined
      : basic(credentials.username, credentials.password);
  }

  /** "Docker Registry v2 authentication via central service". */
  async #fetchToken({ parameters }: Challenge, scopes: readonly string[]): Promise<Token> {
    const realm = URL.parse(parameters['realm'] ?? '');
    if (realm === null) throw new RegistryRefusal('the address of the token server is none', 401);
    const began = this.#deps.clock.monotonic();
    const document = await this.#askForToken(realm, parameters['service'], scopes);
    const token = document.token ?? document.access_token;
    if (!token) throw new TransientError(`${nameOf(realm)} gave no token`);
    const life = Math.max(Number(document.expires_in) || 0, SHORTEST_LIFE_SECONDS) * 1000;
    return { header: `Bearer ${token}`, renewAt: began + life * USED_LIFE };
  }

  /** By query, or by the form of OAuth2 for an identity token, where the server knows it. */
  async #askForToken(
    realm: URL,
    service: string | undefined,
    scopes: readonly string[],
  ): Promise<TokenDocument> {
    const { credentials } = this.#deps;
    const url = new URL(realm);
    if (service !== undefined) url.searchParams.append('service', service);
    for (const scope of scopes) url.searchParams.append('scope', scope);
    if (credentials === undefined) return this.#ask(url, {});
    if (!('identityToken' in credentials)) {
      url.searchParams.append('account', credentials.username);
      return this.#ask(url, { login: basic(credentials.username, credentials.password) });
    }
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: credentials.identityToken,
      client_id: 'stevedore',
      service: service ?? '',
      scope: scopes.join(' '),
    });
    try {
      return await this.#ask(realm, { form: form.toString() });
    } catch (error) {
      if (!(error instanceof RegistryRefusal) || !WITHOUT_FORM.has(error.status)) throw error;
      return this.#ask(url, { login: basic('', credentials.identityToken) });
    }
  }

  /** @throws RegistryRefusal; TransientError when the server is away or busy. */
  async #ask(
    realm: URL,
    secret: { readonly login?: string; readonly form?: string },
  ): Promise<TokenDocument> {
    let url = realm;
    for (let redirects = 0; ; redirects++) {
      const answer = await this.#askOnce(url, secret);
      const { status, location, text } = answer;
      if (status === 200) return parse(url, text);
      const message = `${nameOf(url)} gave no token: ${status} ${text.slice(0, 200)}`;
      if (PASSING_STATUSES.has(status)) throw new TransientError(message, { status });
      const keepsMethod = [307, 308].includes(status) || (secret.form === undefined && status < 400);
      const next = location === undefined ? null : URL.parse(location, url);
      if (!keepsMethod || next === null || redirects >= MOST_REDIRECTS) {
        const error = new RegistryRefusal(message, status);
        // With another status it refuses what was asked for.
        if (status === 401 && secret.login !== undefined) this.#refused.add(TOKEN_SERVER, error);
        throw error;
      }
      url = next;
    }
  }

  async #askOnce(
    url: URL,
    { login, form }: { readonly login?: string; readonly form?: string },
  ): Promise<{ readonly status: number; readonly location: string | undefined; readonly text: string }> {
    const { objection, dispatcherFor } = this.#deps;
    const reason = objection(url, login !== undefined || form !== undefined);
    if (reason !== undefined) throw new RegistryRefusal(`no token from ${nameOf(url)}: ${reason}`, 401);
    try {
      const { statusCode, headers, body } = await request(url, {
        dispatcher: dispatcherFor(url),
        headers: {
          'user-agent': 'stevedore',
          ...(login !== undefined && { authorization: login }),
          ...(form !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
        },
        ...(form !== undefined && { method: 'POST', body: form }),
      });
      const text = String((await readBody(body, LONGEST_ANSWER)) ?? '');
      const { location } = headers;
      return { status: statusCode, location: typeof location === 'string' ? location : undefined, text };
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new TransientError(`${nameOf(url)}: ${message}`, { cause });
    }
  }
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function parse(url: URL, text: string): TokenDocument {
  try {
    return JSON.parse(text) as TokenDocument; // the format of that specification
  } catch (cause) {
    throw new TransientError(`${nameOf(url)} gave no token but nonsense`, { cause });
  }
}

/** Whether a scope such as `repository:a:pull,push` has all that `repository:a:pull` has. */
function covers(wide: string, narrow: string): boolean {
  const [whole, part] = [wide, narrow].map((scope) => {
    const end = scope.lastIndexOf(':') + 1;
    return { resource: scope.slice(0, end), actions: scope.slice(end).split(',') };
  });
  return whole?.resource === part?.resource && !!part?.actions.every((each) => whole?.actions.includes(each));
}

/** Without the query, where names are. */
function nameOf({ host, pathname }: URL): string {
  return `${host}${pathname}`;
}
