import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { Registry } from 'prom-client';
import { createKubeClient, type KubeClient } from '../../../../src/kube/client.ts';
import { createKubeMetrics } from '../../../../src/kube/metrics.ts';
import { createTokenCredentials } from '../../../../src/kube/token-credentials.ts';
import { createTransport, type Transport } from '../../../../src/kube/transport.ts';
import type { GrantedRule } from '../../../../src/playground/api-server/http/authorize.ts';
import {
  startApiServer,
  type ApiServer,
  type ApiServerOptions,
} from '../../../../src/playground/api-server/http/server.ts';
import { createIdentity, type Identity } from '../../../../src/playground/api-server/identity.ts';
import { systemClock, type Clock } from '../../../../src/process/clock.ts';
import { logSink } from '../../../support/log-sink.ts';

const root = join(import.meta.dirname, '../../../..');
let identity: Promise<Identity> | undefined;

export interface TestServer extends AsyncDisposable {
  readonly server: ApiServer;
  readonly client: KubeClient;
  readonly transport: Transport;
  /** A client of one who may do this alone. */
  clientOf(name: string, rules: readonly GrantedRule[]): KubeClient;
  /** `clock`: by which it waits before it tries again. */
  transportOf(name: string, rules: readonly GrantedRule[], clock: Clock): Transport;
}

/** An API server in memory, or on the file at `path`, and its administrator. */
export async function startTestServer(
  options: Partial<Pick<ApiServerOptions, 'path' | 'faults' | 'window' | 'random' | 'podLogs'>> & {
    readonly clock?: Clock;
  } = {},
): Promise<TestServer> {
  identity ??= createIdentity(Date.now());
  const { authority, tls, token } = await identity;
  const clock = options.clock ?? systemClock;
  const server = await startApiServer({
    path: undefined,
    random: Math.random,
    ...options,
    clock,
    tls,
    users: [{ name: 'admin', token, rules: 'all' }],
    log: logSink().log,
  });
  const transports: Transport[] = [];
  const connect = (
    userToken: string,
    pauses: Clock = systemClock,
  ): { transport: Transport; client: KubeClient } => {
    const credentials = createTokenCredentials({ server: server.url, authority, token: userToken });
    const metrics = createKubeMetrics(new Registry());
    const transport = createTransport({ credentials, clock: pauses, metrics, userAgent: 'test/1' });
    transports.push(transport);
    return { transport, client: createKubeClient({ transport, fieldManager: 'test' }) };
  };
  const connectAs = (name: string, rules: readonly GrantedRule[], pauses?: Clock) => {
    server.admit({ name, token: `token-of-${name}`, rules });
    return connect(`token-of-${name}`, pauses);
  };
  return {
    server,
    ...connect(token),
    clientOf: (name, rules) => connectAs(name, rules).client,
    transportOf: (name, rules, pauses) => connectAs(name, rules, pauses).transport,
    async [Symbol.asyncDispose]() {
      for (const transport of transports) await transport.close();
      await server.close();
    },
  };
}

/** Makes the kinds of the project known to a server, from the generated files. */
export async function installDefinitions({ transport }: TestServer): Promise<void> {
  for (const name of ['registries', 'registrymirrors', 'registrygcs']) {
    const text = readFileSync(join(root, `crds/stevedore.dev_${name}.yaml`), 'utf8');
    await transport.exchange({
      method: 'POST',
      path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
      body: load(text) as object,
    });
  }
}
