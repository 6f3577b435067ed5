import { request, type Dispatcher } from 'undici';
import type { Clock } from '../process/clock.ts';
import { parseChallenge, type Challenge } from './challenge.ts';
import type { Credentials } from './credentials.ts';
import { readBody } from './read-body.ts';
import { PASSING_STATUSES, RegistryRefusal } from './refusal.ts';
import { TransientError } from './retry.ts';

/** Tokens are taken for this much shorter-lived than they say, in milliseconds. */
const MARGIN = 10_000;

/** A token that does not say how long it lives does so for a minute, as clients have agreed. */
const SHORTEST_LIFE_SECONDS = 60;

/** Bytes of what a token server says. */
const LONGEST_ANSWER = 1024 * 1024;

interface Token {
  readonly header: string;
  /** Monotonic. */
  readonly expiresAt: number;
}

/** What a token server answers. */
interface TokenDocument {
  readonly token?: string;
  readonly access_token?: string;
  readonly expires_in?: number;
}

export interface AuthorizationDependencies {
  readonly credentials: Credentials | undefined;
  /** The registry speaks TLS: then nobody else gets the credentials without. */
  readonly isSecure: boolean;
  /** How to connect to a token server. */
  readonly dispatcherFor: (realm: URL) => Dispatcher;
  readonly clock: Clock;
}

/** The login to one registry, as it asks for it: nothing, a password with each request, or tokens by scope. */
export class Authorization {
  readonly #deps: AuthorizationDependencies;
  #challenge: Challenge | undefined;
  /** By scopes; on their way until they are there. */
  readonly #tokens = new Map<string, Promise<Token>>();

  constructor(deps: AuthorizationDependencies) {
    this.#deps = deps;
  }

  /**
   * The header for a request that needs `scopes`, as far as it is known by now.
   * @throws RegistryRefusal, TransientError when no token can be had.
   */
  async header(scopes: readonly string[]): Promise<string | undefined> {
    if (this.#challenge?.scheme === 'basic') return this.#basic();
    if (this.#challenge?.scheme !== 'bearer') return undefined;
    const key = scopes.join(' ');
    const asked = this.#tokens.get(key);
    if (asked !== undefined) {
      const known = await asked.catch(() => undefined);
      if (known !== undefined && this.#deps.clock.monotonic() < known.expiresAt) return known.header;
    }
    const token = this.#fetchToken(this.#challenge, scopes);
    this.#tokens.set(key, token);
    return (await token).header;
  }

  /**
   * Learns from a 401. @param sent the header that was refused.
   * @returns whether the request may succeed when it is sent again.
   */
  learn(header: string | undefined, scopes: readonly string[], sent: string | undefined): boolean {
    const challenge = parseChallenge(header);
    this.#tokens.delete(scopes.join(' '));
    if (challenge?.scheme === 'basic') {
      this.#challenge = challenge;
      const basic = this.#basic();
      return basic !== undefined && basic !== sent;
    }
    if (challenge?.scheme !== 'bearer' || challenge.parameters['realm'] === undefined) return false;
    this.#challenge = challenge;
    return true;
  }

  #basic(): string | undefined {
    const { credentials } = this.#deps;
    if (credentials === undefined || 'identityToken' in credentials) return undefined;
    return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;
  }

  /** "Docker Registry v2 authentication via central service", and its OAuth2 form for an identity token. */
  async #fetchToken({ parameters }: Challenge, scopes: readonly string[]): Promise<Token> {
    const { credentials, isSecure, clock } = this.#deps;
    const realm = new URL(parameters['realm'] ?? '');
    if (isSecure && realm.protocol !== 'https:' && credentials !== undefined) {
      throw new RegistryRefusal(`${realm.host} asks for the credentials over plain HTTP`, 401);
    }
    const began = clock.monotonic();
    const document = await this.#ask(realm, parameters['service'] ?? '', scopes);
    const life = Math.max(document.expires_in ?? 0, SHORTEST_LIFE_SECONDS) * 1000;
    return {
      header: `Bearer ${document.token ?? document.access_token ?? ''}`,
      expiresAt: began + life - MARGIN,
    };
  }

  /** @throws RegistryRefusal; TransientError when the server is away or busy. */
  async #ask(realm: URL, service: string, scopes: readonly string[]): Promise<TokenDocument> {
    const name = `${realm.host}${realm.pathname}`;
    try {
      const answer = await request(...this.#tokenRequest(realm, service, scopes));
      const text = String(await readBody(answer.body, LONGEST_ANSWER));
      if (answer.statusCode === 200) return JSON.parse(text) as TokenDocument; // the format of that specification
      const message = `${name} gave no token: ${answer.statusCode} ${text.slice(0, 200)}`;
      if (!PASSING_STATUSES.has(answer.statusCode)) throw new RegistryRefusal(message, answer.statusCode);
      throw new TransientError(message);
    } catch (cause) {
      if (cause instanceof RegistryRefusal || cause instanceof TransientError) throw cause;
      throw new TransientError(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`, {
        cause,
      });
    }
  }

  #tokenRequest(realm: URL, service: string, scopes: readonly string[]): Parameters<typeof request> {
    const { credentials, dispatcherFor } = this.#deps;
    const dispatcher = dispatcherFor(realm);
    if (credentials === undefined || !('identityToken' in credentials)) {
      const url = new URL(realm);
      url.searchParams.append('service', service);
      for (const scope of scopes) url.searchParams.append('scope', scope);
      const basic = this.#basic();
      return [url, { dispatcher, headers: basic === undefined ? {} : { authorization: basic } }];
    }
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: credentials.identityToken,
      client_id: 'stevedore',
      service,
      scope: scopes.join(' '),
    });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    return [realm, { dispatcher, method: 'POST', headers, body: form.toString() }];
  }
}
