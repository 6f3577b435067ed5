import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SYSTEM_NAMESPACE, TEAM_NAMESPACE, operatorPod, type Cluster } from '../cluster.ts';
import { readyRegistry } from '../ready-registry.ts';
import { ask, pathOf, servedCertificate, type RegistryPlace, type User } from '../registry-client.ts';
import { kubernetesStage } from '../stage.ts';
import { step, type Step } from '../step.ts';
import { waitFor } from '../wait.ts';
import { whileClientsLoop } from './looping-clients.ts';

export const PORT = 30511;
/** Of node-1. */
export const ADDRESS = '10.244.255.1';
export const ALICE: User = { name: 'alice', password: 'correct horse' };
const CONTENT = Buffer.from('what is pulled again and again\n'.repeat(1000));
const DIGEST = `sha256:${createHash('sha256').update(CONTENT).digest('hex')}`;

export const userSecret = ({ name, password }: User) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, labels: { 'stevedore.dev/use': 'credentials' } },
  stringData: { password },
});

/** A Registry on a volume of one node, with a blob that clients pull again and again while something happens around it. */
export class LoopedRegistry {
  readonly cluster: Cluster;
  #place: RegistryPlace | undefined;
  #pods = '';

  constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  get place(): RegistryPlace {
    if (this.#place === undefined) throw new Error('the registry was not started');
    return this.#place;
  }

  async start(): Promise<string> {
    await this.cluster.apply(userSecret(ALICE));
    await this.apply();
    this.#place = await readyRegistry(kubernetesStage(this.cluster), 'looped', {
      name: ADDRESS,
      address: ADDRESS,
      port: PORT,
    });
    await waitFor('alice is let in', async () => (await this.login(ALICE)) === 200);
    const begun = await ask(this.place, 'POST', '/v2/loop/blobs/uploads/', { user: ALICE });
    const path = pathOf(begun.headers.location);
    const put = `${path}${path.includes('?') ? '&' : '?'}digest=${DIGEST}`;
    const headers = { 'content-type': 'application/octet-stream' };
    assert.equal((await ask(this.place, 'PUT', put, { user: ALICE, headers, body: CONTENT })).status, 201);
    this.#pods = await this.#podsNow();
    return DIGEST;
  }

  /** Has clients trust another bundle from now on. */
  follow(authority: string): void {
    this.#place = { ...this.place, authority };
  }

  /** Makes it what it is by itself, with these fields of the spec besides. */
  apply(spec: object = {}, users: readonly User[] = [ALICE]): Promise<string> {
    return this.cluster.apply({
      apiVersion: 'stevedore.dev/v1alpha1',
      kind: 'Registry',
      metadata: { name: 'looped' },
      spec: {
        hostname: `${ADDRESS}:${PORT}`,
        storage: { filesystem: { size: '1Gi', deletionPolicy: 'Delete' } },
        service: { type: 'NodePort', nodePort: PORT },
        auth: { htpasswd: { users: users.map(({ name }) => ({ name, passwordSecretRef: { name } })) } },
        ...spec,
      },
    });
  }

  async login(user: User): Promise<number> {
    return (await ask(this.place, 'GET', '/v2/', { user })).status;
  }

  /** @param authority what the client trusts; what was published at the start unless said */
  async pull(authority = this.place.authority, signal?: AbortSignal): Promise<void> {
    const place = { ...this.place, authority };
    const input = { user: ALICE, ...(signal !== undefined && { signal }) };
    const { status, bytes } = await ask(place, 'GET', `/v2/loop/blobs/${DIGEST}`, input);
    assert.equal(status, 200);
    assert.ok(bytes.equals(CONTENT));
  }

  /** Does something while clients pull, each with its own bundle of authorities; throws what they met. */
  async whilePulling(
    work: () => Promise<void>,
    bundles: Readonly<Record<string, () => string>> = { pulls: () => this.place.authority },
  ): Promise<string> {
    const clients = Object.fromEntries(
      Object.entries(bundles).map(([name, bundle]) => [name, () => this.pull(bundle())]),
    );
    const told = await whileClientsLoop(this.cluster, clients, work);
    assert.equal(await this.#podsNow(), this.#pods);
    return `${told}, in the same pod`;
  }

  #podsNow(): Promise<string> {
    return this.cluster.kubectl([
      'get',
      'pods',
      `--namespace=${TEAM_NAMESPACE}`,
      '--selector=app.kubernetes.io/component=registry,app.kubernetes.io/instance=looped',
      '--output=jsonpath={.items[*].metadata.uid} {.items[*].status.containerStatuses[0].restartCount}',
    ]);
  }
}

/** The API server takes no request for a while, as it does when its store hangs, and goes on. */
export function apiServerStandsStill(looped: LoopedRegistry, milliseconds: number): Step {
  const { cluster } = looped;
  return step(`The API server stands still for ${milliseconds / 60_000} minutes`, async () => {
    const operator = await operatorPod(cluster);
    const restarts = async () =>
      Number(await cluster.field(operator, '.status.containerStatuses[0].restartCount', SYSTEM_NAMESPACE));
    const before = await restarts();
    const pulls = await looped.whilePulling(async () => {
      const [pid] = readFileSync(join(cluster.state, 'apiserver.pid'), 'utf8').split(' ');
      process.kill(-Number(pid), 'SIGSTOP');
      try {
        await delay(milliseconds);
      } finally {
        process.kill(-Number(pid), 'SIGCONT');
      }
      await waitFor('a change is taken', () => looped.apply({ tls: { dnsNames: ['late.example.com'] } }));
      await waitFor('it has effect', () => servedCertificate(looped.place, 'late.example.com'));
    });
    // Once, as it lost the lease: whoever restarts again and again waits in a back-off when the API server is there again.
    const times = (await restarts()) - before;
    assert.ok(times <= 1, `the operator was restarted ${times} times`);
    return `${pulls}; the operator was restarted ${times === 1 ? 'once' : 'not at all'}`;
  });
}
