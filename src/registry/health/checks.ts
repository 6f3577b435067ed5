import { stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { fetch, type Dispatcher } from 'undici';
import { parseAddress, type Config } from '../../contract/config/config.ts';
import { createOutgoing } from '../../process/outgoing.ts';
import { PathNotFoundError, type StorageDriver } from '../storage/driver.ts';
import { REGISTRY_ROOT } from '../storage/paths.ts';
import type { HealthCheck } from './health-monitor.ts';

type Section = Config['health'];

/** A store that takes longer than this to answer, in milliseconds, is no good to clients either. */
const STORE_ANSWERS_WITHIN = 5000;

/** @param deps.environment where HTTP_PROXY, HTTPS_PROXY and NO_PROXY are looked up. */
export function configuredChecks(
  { storagedriver, file, http, tcp }: Section,
  deps: {
    readonly driver: StorageDriver;
    readonly kind: string;
    readonly environment: Readonly<Record<string, string | undefined>>;
  },
): readonly HealthCheck[] {
  return [
    ...(storagedriver.enabled ? [storageCheck(storagedriver, deps)] : []),
    ...file.map(fileCheck),
    ...httpChecks(http, deps.environment),
    ...tcp.map(tcpCheck),
  ];
}

function storageCheck(
  { interval, threshold }: Section['storagedriver'],
  { driver, kind }: { readonly driver: StorageDriver; readonly kind: string },
): HealthCheck {
  return {
    name: `storagedriver_${kind}`,
    concern: 'storage',
    interval,
    threshold,
    timeout: STORE_ANSWERS_WITHIN,
    async check() {
      try {
        await driver.stat(REGISTRY_ROOT);
      } catch (error) {
        // Nothing was pushed yet.
        if (!(error instanceof PathNotFoundError)) throw error;
      }
    },
  };
}

function fileCheck({ file, interval, threshold }: Section['file'][number]): HealthCheck {
  return {
    name: file,
    concern: 'instance',
    interval,
    threshold,
    timeout: STORE_ANSWERS_WITHIN,
    async check() {
      try {
        await stat(file);
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
        throw error;
      }
      throw new Error('file exists');
    },
  };
}

function httpChecks(
  http: Section['http'],
  environment: Readonly<Record<string, string | undefined>>,
): readonly HealthCheck[] {
  // With proxies the connections need the system's certificates, which take their time.
  if (http.length === 0) return [];
  const dispatcher = createOutgoing({ environment });
  return http.map((options) => httpCheck(options, dispatcher));
}

function httpCheck(options: Section['http'][number], dispatcher: Dispatcher): HealthCheck {
  const { uri, headers, statuscode, timeout, interval, threshold } = options;
  return {
    name: withoutCredentials(uri),
    concern: 'dependency',
    interval,
    threshold,
    timeout,
    async check(signal) {
      const url = new URL(uri);
      const lines = Object.entries(headers).flatMap(([name, values]) =>
        values.map((value): [string, string] => [name, value]),
      );
      const answer = await fetch(withoutCredentials(uri), {
        method: 'HEAD',
        headers: [...basicCredentials(url), ...lines],
        signal,
        dispatcher,
      }).catch((error: unknown) => {
        throw new Error(`error while checking: ${reasonOf(error)}`, { cause: error });
      });
      if (answer.status !== statuscode) {
        throw new Error(`downstream service returned unexpected status: ${answer.status}`);
      }
    },
  };
}

function tcpCheck({ addr, timeout, interval, threshold }: Section['tcp'][number]): HealthCheck {
  return {
    name: addr,
    concern: 'dependency',
    interval,
    threshold,
    timeout,
    async check(signal) {
      const { host = 'localhost', port = 0 } = parseAddress(addr) ?? {}; // parseConfig has checked the address
      const socket = connect({ host, port, signal });
      try {
        await new Promise<void>((resolve, reject) => {
          socket.once('connect', resolve);
          socket.on('error', (error) => reject(new Error(`connection failed: ${reasonOf(error)}`)));
        });
      } finally {
        socket.destroy();
      }
    },
  };
}

/** `fetch` takes no URL with credentials; curl and Go send them as Basic. */
function basicCredentials({ username, password }: URL): [string, string][] {
  if (username === '' && password === '') return [];
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return [['authorization', `Basic ${Buffer.from(text).toString('base64')}`]];
}

function withoutCredentials(uri: string): string {
  const url = new URL(uri);
  if (url.username === '' && url.password === '') return uri;
  url.username = '';
  url.password = '';
  return url.href;
}

/** What `fetch` and sockets say in the cause, or in a code. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause instanceof Error) return reasonOf(error.cause);
  return 'code' in error && typeof error.code === 'string' && error.message === ''
    ? error.code
    : error.message;
}
