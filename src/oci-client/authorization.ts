import { request, type Dispatcher } from 'undici';
import type { Clock } from '../process/clock.ts';
import { parseChallenge, type Challenge } from './challenge.ts';
import type { Credentials } from './credentials.ts';

/** Tokens are taken for this much shorter-lived than they say, in milliseconds. */
const MARGIN = 10_000;

/** A token that does not say how long it lives does so for a minute, as clients have agreed. */
const SHORTEST_LIFE_SECONDS = 60;

interface Token {
  readonly header: string;
  /** Monotonic. */
  readonly expiresAt: number;
}

/** The login to one registry, as it asks for it: nothing, a password with each request, or tokens by scope. */
export class Authorization {
  readonly #deps: {
    readonly credentials: Credentials | undefined;
    readonly dispatcher: Dispatcher;
    readonly clock: Clock;
  };
  #challenge: Challenge | undefined;
  readonly #tokens = new Map<string, Token>();

  constructor(deps: {
    readonly credentials: Credentials | undefined;
    readonly dispatcher: Dispatcher;
    readonly clock: Clock;
  }) {
    this.#deps = deps;
  }

  /** The header for a request that needs `scopes`, as far as it is known by now. */
  async header(scopes: readonly string[]): Promise<string | undefined> {
    if (this.#challenge?.scheme === 'basic') return this.#basic();
    if (this.#challenge?.scheme !== 'bearer') return undefined;
    const key = scopes.join(' ');
    const known = this.#tokens.get(key);
    if (known !== undefined && this.#deps.clock.monotonic() < known.expiresAt) return known.header;
    const token = await this.#fetchToken(this.#challenge, scopes);
    this.#tokens.set(key, token);
    return token.header;
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
    const { credentials, dispatcher, clock } = this.#deps;
    const url = new URL(parameters['realm'] ?? '');
    const service = parameters['service'] ?? '';
    const began = clock.monotonic();
    const identity = credentials && 'identityToken' in credentials ? credentials.identityToken : undefined;
    const basic = this.#basic();
    const fields: [string, string][] = [
      ['service', service],
      ...scopes.map((scope): [string, string] => ['scope', scope]),
    ];
    let answer: Dispatcher.ResponseData;
    if (identity === undefined) {
      for (const [name, value] of fields) url.searchParams.append(name, value);
      answer = await request(url, {
        dispatcher,
        headers: basic === undefined ? {} : { authorization: basic },
      });
    } else {
      const form = new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token: identity,
        client_id: 'stevedore',
        service,
        scope: scopes.join(' '),
      });
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      answer = await request(url, { dispatcher, method: 'POST', headers, body: form.toString() });
    }
    const text = await answer.body.text();
    if (answer.statusCode !== 200) {
      throw new Error(
        `${url.origin}${url.pathname} gave no token: ${answer.statusCode} ${text.slice(0, 200)}`,
      );
    }
    const document = JSON.parse(text) as {
      readonly token?: string;
      readonly access_token?: string;
      readonly expires_in?: number;
    }; // the format of that specification
    const life = Math.max(document.expires_in ?? 0, SHORTEST_LIFE_SECONDS) * 1000;
    return {
      header: `Bearer ${document.token ?? document.access_token ?? ''}`,
      expiresAt: began + life - MARGIN,
    };
  }
}
