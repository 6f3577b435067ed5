import { readFile } from 'node:fs/promises';
import type { Dispatcher } from 'undici';
import { Authorization } from '../../oci-client/authorization.ts';
import type { Credentials } from '../../oci-client/credentials.ts';
import { RegistryHttp } from '../../oci-client/registry-http.ts';
import type { RetryOptions } from '../../oci-client/retry.ts';
import { createOutgoing } from '../../process/outgoing.ts';
import type { CredentialSource } from './credential-source.ts';
import { realmObjection } from './realm-objection.ts';

export interface ConnectionOptions {
  /** Scheme, host and port. */
  readonly url: URL;
  readonly credentials: CredentialSource | undefined;
  /** A file of further certificates to trust, PEM. */
  readonly ca: string | undefined;
  readonly realmHosts: readonly string[];
  /** How long connecting may take, how long the headers of an answer, and each piece of its body; milliseconds. */
  readonly timeouts: { readonly connect: number; readonly headers: number; readonly body: number };
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly retry: RetryOptions;
}

/** The way to an upstream, with the credentials and authorities that its files have at the moment. */
export class Connection {
  readonly #options: ConnectionOptions;
  #outgoing: { readonly authority: string | undefined; readonly dispatcher: Dispatcher } | undefined;
  #login: { readonly key: string; readonly dispatcher: Dispatcher; readonly http: RegistryHttp } | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /**
   * Looks at the files each time: they are small, and whoever changes them expects the next request to go well.
   * @throws Error when they cannot be read
   */
  async http(): Promise<RegistryHttp> {
    const { credentials, ca } = this.#options;
    const [login, authority] = await Promise.all([credentials?.current(), ca && readFile(ca, 'utf8')]);
    const dispatcher = this.#dispatcherFor(authority);
    const key = JSON.stringify(login ?? null);
    if (this.#login?.key !== key || this.#login.dispatcher !== dispatcher) {
      this.#login = { key, dispatcher, http: this.#logIn(login, dispatcher) };
    }
    return this.#login.http;
  }

  /** The upstream does not take the credentials. */
  wasRefused(): void {
    this.#options.credentials?.wasRefused();
  }

  async close(): Promise<void> {
    await this.#outgoing?.dispatcher.destroy();
  }

  #dispatcherFor(authority: string | undefined): Dispatcher {
    if (this.#outgoing === undefined || this.#outgoing.authority !== authority) {
      // What is under way goes on to its end.
      void this.#outgoing?.dispatcher.close();
      const { environment, timeouts } = this.#options;
      const authorities = authority === undefined ? [] : [authority];
      this.#outgoing = { authority, dispatcher: createOutgoing({ environment, timeouts, authorities }) };
    }
    return this.#outgoing.dispatcher;
  }

  #logIn(credentials: Credentials | undefined, dispatcher: Dispatcher): RegistryHttp {
    const { url, realmHosts, retry } = this.#options;
    const authorization = new Authorization({
      credentials,
      objection: (realm, withCredentials) => realmObjection(url, realmHosts, realm, withCredentials),
      dispatcherFor: () => dispatcher,
      clock: retry.clock,
    });
    return new RegistryHttp(url, { dispatcher, authorization, retry });
  }
}
