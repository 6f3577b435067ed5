import { createHash } from 'node:crypto';
import type { AgentOptions, RequestOptions } from 'node:https';
import { delimiter } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import type { Dispatcher } from 'undici';
import type { Clock } from '../process/clock.ts';
import { createDispatcher, type Connection } from './dispatcher.ts';

/** What one request needs to be let in. */
interface Access {
  readonly server: URL;
  readonly dispatcher: Dispatcher;
  /** Holds the token: never logged. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Credentials {
  current(): Promise<Access>;
  /** The server refused them: read everything anew for the next request. */
  forget(): void;
  /** Cuts every connection. */
  close(): Promise<void>;
}

/** CA and certificate files are compared this often; in-cluster tokens live for an hour and are re-read each minute. */
const REFRESH_MS = 10_000;

/**
 * Reads a kubeconfig: the files of `kubeconfig` (as the KUBECONFIG variable has them), or the pod's service account
 * when it is absent. Throws Error with the remedy when there is neither.
 */
export function loadKubeConfig(kubeconfig: string | undefined): KubeConfig {
  const [first, ...others] = (kubeconfig ?? '').split(delimiter).filter((file) => file !== '');
  const config = new KubeConfig();
  if (first === undefined) {
    config.loadFromCluster();
    if (config.getCurrentCluster()?.server.includes('undefined') !== false) {
      throw new Error(
        'not in a cluster (KUBERNETES_SERVICE_HOST is not set): set KUBECONFIG to a kubeconfig file',
      );
    }
    return config;
  }
  config.loadFromFile(first);
  for (const file of others) {
    const other = new KubeConfig();
    other.loadFromFile(file);
    config.mergeConfig(other, true);
  }
  if (config.getCurrentCluster() === null) {
    throw new Error(
      `${first} has no cluster for its current-context: set one with kubectl config use-context`,
    );
  }
  return config;
}

/**
 * The client library makes a new agent, and so a TLS handshake, for every request; here one is kept until the CA, the
 * client certificate or the server changes. `load` is called at first and after each refusal.
 */
export function createCredentials(options: {
  readonly load: () => KubeConfig;
  readonly clock: Clock;
}): Credentials {
  const { load, clock } = options;
  let config: KubeConfig | undefined;
  let kept: { readonly fingerprint: string; readonly dispatcher: Dispatcher } | undefined;
  let access: { readonly value: Promise<Access>; readonly readAt: number } | undefined;

  async function read(): Promise<Access> {
    config ??= load();
    const cluster = config.getCurrentCluster();
    if (cluster === null) throw new Error('the kubeconfig has no current cluster');
    const auth: RequestOptions & AgentOptions = { headers: {} };
    await config.applyToHTTPSOptions(auth);
    const connection: Connection = { proxy: cluster.proxyUrl, tls: tlsOptions(auth) };
    const fingerprint = createHash('sha256')
      .update(JSON.stringify([cluster.server, connection]))
      .digest('hex');
    if (kept?.fingerprint !== fingerprint) {
      // Requests under way finish on the old connections; watches end there within minutes.
      void kept?.dispatcher.close();
      kept = { fingerprint, dispatcher: createDispatcher(connection) };
    }
    return { server: new URL(cluster.server), dispatcher: kept.dispatcher, headers: authHeaders(auth) };
  }

  return {
    async current() {
      if (access === undefined || clock.monotonic() - access.readAt >= REFRESH_MS) {
        access = { value: read(), readAt: clock.monotonic() };
      }
      try {
        return await access.value;
      } catch (error) {
        access = undefined;
        throw error;
      }
    },
    forget() {
      config = undefined;
      access = undefined;
    },
    async close() {
      await kept?.dispatcher.destroy();
      kept = undefined;
      access = undefined;
    },
  };
}

function authHeaders(auth: RequestOptions): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(auth.headers ?? {}))
    headers[name.toLowerCase()] = String(value).trim();
  if (typeof auth.auth === 'string')
    headers['authorization'] = `Basic ${Buffer.from(auth.auth).toString('base64')}`;
  return headers;
}

const TLS_FIELDS = ['ca', 'cert', 'key', 'pfx', 'passphrase', 'rejectUnauthorized', 'servername'] as const;

function tlsOptions(auth: AgentOptions): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const field of TLS_FIELDS) {
    if (auth[field] !== undefined) options[field] = auth[field];
  }
  return options;
}
