import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Clock } from '../../process/clock.ts';
import type { Container } from './environment.ts';

type Probe = NonNullable<Container['livenessProbe']>;

/** Undefined: it succeeded; otherwise why not, as the kubelet words it. */
export type ProbeFailure = string | undefined;

/**
 * Looks again and again, as a kubelet does: first after `initialDelaySeconds`, then each `periodSeconds`. Tells `verdict`
 * true after `successThreshold` successes in a row, and false after `failureThreshold` failures. Ends with the signal.
 */
export async function watchProbe(
  options: {
    readonly probe: Probe;
    readonly look: (probe: Probe) => Promise<ProbeFailure>;
    readonly verdict: (success: boolean, failure: ProbeFailure) => void;
    /** Each failure, also one that decides nothing. */
    readonly failed: (failure: string) => void;
    readonly clock: Clock;
  },
  signal: AbortSignal,
): Promise<void> {
  const { probe, look, verdict, failed, clock } = options;
  const { initialDelaySeconds = 0, periodSeconds = 10, successThreshold = 1, failureThreshold = 3 } = probe;
  let successes = 0;
  let failures = 0;
  try {
    if (initialDelaySeconds > 0) await clock.sleep(initialDelaySeconds * 1000, signal);
    while (!signal.aborted) {
      const failure = await look(probe);
      if (signal.aborted) return;
      successes = failure === undefined ? successes + 1 : 0;
      failures = failure === undefined ? 0 : failures + 1;
      if (failure !== undefined) failed(failure);
      if (successes >= successThreshold) verdict(true, undefined);
      if (failures >= failureThreshold) verdict(false, failure);
      await clock.sleep(periodSeconds * 1000, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** One look at a container on `address`. Never throws. */
export async function probeOnce(probe: Probe, container: Container, address: string): Promise<ProbeFailure> {
  const { httpGet, timeoutSeconds = 1 } = probe;
  if (httpGet === undefined) return 'this node knows httpGet probes alone';
  const port = portNumber(httpGet.port, container);
  if (port === undefined) return `couldn't find port: ${String(httpGet.port)}`;
  return get({ ...httpGet, host: httpGet.host ?? address, port }, timeoutSeconds * 1000);
}

/** The number of a port of a container that is given by number or by name. */
export function portNumber(port: unknown, container: Container): number | undefined {
  const text = String(port);
  if (/^\d+$/.test(text)) return Number(text);
  return container.ports?.find(({ name }) => name === text)?.containerPort;
}

function get(
  target: Omit<NonNullable<Probe['httpGet']>, 'port' | 'host'> & {
    readonly host: string;
    readonly port: number;
  },
  timeoutMs: number,
): Promise<ProbeFailure> {
  const { host, port, path = '/', scheme = 'HTTP', httpHeaders = [] } = target;
  const url = `${scheme.toLowerCase()}://${host}:${port}${path}`;
  const headers = Object.fromEntries(httpHeaders.map(({ name, value }) => [name, value]));
  return new Promise((resolve) => {
    const options = {
      headers: { 'user-agent': 'kube-probe/1.34', accept: '*/*', connection: 'close', ...headers },
      agent: false,
      signal: AbortSignal.timeout(timeoutMs),
      // A probe asks whether it answers, not who it is.
      rejectUnauthorized: false,
    } as const;
    const outgoing = (scheme === 'HTTPS' ? requestHttps : requestHttp)(url, options, (response) => {
      const status = response.statusCode ?? 0;
      response.destroy();
      resolve(status >= 200 && status < 400 ? undefined : `HTTP probe failed with statuscode: ${status}`);
    });
    outgoing.on('error', (error) => resolve(`Get "${url}": ${error.message}`));
    outgoing.end();
  });
}
