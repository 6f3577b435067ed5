import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { Agent, request, type Dispatcher } from 'undici';
import { loadKubeConfig } from '../../../src/kube/credentials.ts';
import type { Json, JsonObject, Rule } from './scenario.ts';

/** A server to play scenarios on: the real one or ours. */
export interface GoldenServer {
  readonly origin: string;
  /** Trusts the server's certificate and shows none of its own. */
  readonly dispatcher: Dispatcher;
  /** Of the administrator; hold a token. */
  readonly administrator: Readonly<Record<string, string>>;
  /** Credentials of a new ServiceAccount that may do what the rules say in its namespace. */
  account(namespace: string, name: string, rules: readonly Rule[]): Promise<Readonly<Record<string, string>>>;
  /** Forgets all history up to now. */
  compact(): Promise<void>;
  /** Lets a watch reach its timeout, which is `seconds` away. Absent where real time does that. */
  passTime?(seconds: number): Promise<void>;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** The server of a kubeconfig whose user has a token. `etcd`: the address of its store, for compactions. */
export async function connectToRealServer(kubeconfig: string, etcd: string): Promise<GoldenServer> {
  const config = loadKubeConfig(kubeconfig);
  const cluster = config.getCurrentCluster();
  const token = config.getCurrentUser()?.token;
  if (cluster === null || token === undefined) throw new Error(`${kubeconfig} has no cluster or no token`);
  const ca =
    Buffer.from(cluster.caData ?? '', 'base64').toString() || (await readFile(cluster.caFile ?? '', 'utf8'));
  const server: GoldenServer = {
    origin: cluster.server.replace(/\/$/, ''),
    dispatcher: new Agent({ connect: { ca }, allowH2: false }),
    administrator: { authorization: `Bearer ${token}` },
    account: (namespace, name, rules) => makeAccount(server, namespace, name, rules),
    compact: () => compactEtcd(etcd),
  };
  return server;
}

/** One exchange as the administrator, outside of what is recorded. Throws when the answer is no success. */
export async function administrate(
  server: GoldenServer,
  method: Dispatcher.HttpMethod,
  path: string,
  body?: Json,
): Promise<JsonObject> {
  const response = await request(server.origin + path, {
    method,
    dispatcher: server.dispatcher,
    headers: { ...server.administrator, 'content-type': 'application/json', 'user-agent': 'golden-setup/1' },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.body.text();
  if (response.statusCode >= 300) throw new Error(`${method} ${path}: ${response.statusCode} ${text}`);
  return JSON.parse(text) as JsonObject;
}

/** Makes the CustomResourceDefinition of a file, or updates the one that is there, and waits until its objects can be asked for. */
export async function install(server: GoldenServer, file: string): Promise<void> {
  const definition = load(await readFile(join(import.meta.dirname, '../../..', file), 'utf8')) as JsonObject;
  const metadata = definition['metadata'] as { readonly name: string };
  const { group, versions, names } = definition['spec'] as {
    readonly group: string;
    readonly versions: readonly { readonly name: string }[];
    readonly names: { readonly plural: string };
  };
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const find = (at: string) => administrate(server, 'GET', at).catch(() => undefined);
  const present = await find(`${path}/${metadata.name}`);
  if (present === undefined) {
    await administrate(server, 'POST', path, definition);
  } else {
    const { resourceVersion } = present['metadata'] as { readonly resourceVersion: string };
    await administrate(server, 'PUT', `${path}/${metadata.name}`, {
      ...definition,
      metadata: { ...metadata, resourceVersion },
    });
  }
  for (const { name } of versions) {
    const isServed = async () => (await find(`/apis/${group}/${name}/${names.plural}`)) !== undefined;
    await until(isServed, `${metadata.name} to be served`);
  }
}

/** Asks again, up to half a minute. Throws when it has not come by then. */
export async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 30_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited 30 s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function makeAccount(
  server: GoldenServer,
  namespace: string,
  name: string,
  rules: readonly Rule[],
): Promise<Readonly<Record<string, string>>> {
  const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  await administrate(server, 'POST', accounts, { metadata: { name } });
  await administrate(server, 'POST', `${rbac}/roles`, { metadata: { name }, rules } as unknown as Json);
  await administrate(server, 'POST', `${rbac}/rolebindings`, {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  });
  const answer = await administrate(server, 'POST', `${accounts}/${name}/token`, { spec: {} });
  const { token } = answer['status'] as { readonly token: string };
  return { authorization: `Bearer ${token}` };
}

/** Over the JSON gateway of etcd, up to the revision it has. */
async function compactEtcd(etcd: string): Promise<void> {
  const call = async (path: string, body: object): Promise<JsonObject> => {
    const response = await request(`${etcd}/v3/kv/${path}`, { method: 'POST', body: JSON.stringify(body) });
    const answer = (await response.body.json()) as JsonObject;
    if (response.statusCode !== 200) throw new Error(`etcd: ${JSON.stringify(answer)}`);
    return answer;
  };
  const { header } = (await call('range', { key: 'AA==' })) as {
    readonly header: { readonly revision: string };
  };
  await call('compaction', { revision: header.revision, physical: true });
}
