import { request } from 'undici';
import type { Clock } from '../process/clock.ts';
import { createOutgoing } from '../process/outgoing.ts';
import { Authorization } from './authorization.ts';
import type { Credentials } from './credentials.ts';
import { RegistryClient } from './registry-client.ts';
import { RegistryHttp } from './registry-http.ts';

/** How long a registry may take to connect, to begin an answer (it may hash a large blob first), and to go on with it. */
const TIMEOUTS = { connect: 10_000, headers: 5 * 60_000, body: 60_000 };

export interface RegistryConnection {
  /** As in `registry.example.com:5000`; `docker.io` is Docker's own. */
  readonly host: string;
  /** Undefined: https, and for `insecure` hosts http where there is no https. */
  readonly scheme?: 'http' | 'https';
  /** Any certificate, or none; a token server on another host needs a good one. Hosts of the loopback address always are, as for docker. */
  readonly insecure: boolean;
  /** Further certificates to trust, PEM. */
  readonly authorities: readonly string[];
  readonly credentials: Credentials | undefined;
  readonly retries: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal;
}

/** A client of a registry. Asks an insecure one first whether it speaks TLS. */
export async function connectRegistry(options: RegistryConnection): Promise<RegistryClient> {
  const { clock, credentials, environment, authorities } = options;
  const insecure = options.insecure || isLoopback(options.host);
  const outgoing = { environment, authorities, timeouts: TIMEOUTS };
  const dispatcher = createOutgoing({ ...outgoing, skipVerify: insecure });
  const host = options.host === 'docker.io' ? 'registry-1.docker.io' : options.host;
  const speaksTls = async (): Promise<boolean> => {
    try {
      const answer = await request(`https://${host}/v2/`, { dispatcher });
      await answer.body.dump();
      return true;
    } catch {
      return false;
    }
  };
  const scheme = options.scheme ?? (!insecure || (await speaksTls()) ? 'https' : 'http');
  const base = new URL(`${scheme}://${host}`);
  const verified = insecure ? createOutgoing(outgoing) : dispatcher;
  const http = new RegistryHttp(base, {
    dispatcher,
    authorization: new Authorization({
      credentials,
      objection: (realm, withCredentials) =>
        withCredentials && scheme === 'https' && realm.protocol !== 'https:'
          ? 'it asks for the credentials over plain HTTP'
          : undefined,
      // The credentials go there: what the registry may do without, another host may not.
      dispatcherFor: (realm) => (realm.hostname === base.hostname ? dispatcher : verified),
      clock,
    }),
    retry: {
      retries: options.retries,
      clock,
      random: options.random,
      ...(options.signal && { signal: options.signal }),
    },
  });
  return new RegistryClient(http);
}

function isLoopback(host: string): boolean {
  const { hostname } = new URL(`http://${host}`);
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
