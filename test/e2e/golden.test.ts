import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { run, succeed } from './command.ts';

const root = join(import.meta.dirname, '../..');
let folder: string;
let environment: Readonly<Record<string, string>>;
let etcd: number;

// An API server of its own, beside the cluster: controllers would write between the requests.
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stevedore-golden-'));
  etcd = await freePort();
  environment = {
    STEVEDORE_KUBE_STATE: join(folder, 'state'),
    KUBE_PORT: String(await freePort()),
    KUBE_ETCD_PORT: String(etcd),
  };
  await succeed(join(root, 'scripts/kube'), ['up', 'api'], { environment });
});

after(async () => {
  await succeed(join(root, 'scripts/kube'), ['down'], { environment });
  await rm(folder, { recursive: true });
});

test('the real API server still answers as recorded', async () => {
  const outcome = await run(process.execPath, [join(root, 'scripts/record-golden.ts'), '--check'], {
    environment: {
      KUBECONFIG: join(folder, 'state/kubeconfig'),
      ETCD: `http://127.0.0.1:${etcd}`,
    },
    folder: root,
    timeout: 300_000,
  });
  assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
