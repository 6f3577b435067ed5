import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { parseNodeReport, type NodeReport } from '../../../src/contract/node-report.ts';
import { startStatusListener } from '../../../src/node/status-listener.ts';

const report: NodeReport = {
  node: 'node-1',
  entries: [
    { id: 'a', host: 'docker.io', runtime: 'Containerd', state: 'Applied' },
    { id: 'a', host: 'quay.io', runtime: 'Containerd', state: 'Conflict', message: 'x' },
  ],
};

test('an agent tells its report, its health and its metrics, and nothing else', async (t) => {
  const health: { problem: string | undefined } = { problem: undefined };
  const server = await startStatusListener({ host: '127.0.0.1', port: 0 }, () => ({
    report,
    problem: health.problem,
    failedProbes: 3,
  }));
  t.after(() => server.close());
  // A server on a port has such an address.
  const { port } = server.address() as AddressInfo;
  const ask = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${port}${path}`, { method });
  assert.deepEqual(parseNodeReport(await (await ask('/status')).text()), report);
  assert.equal((await ask('/healthz')).status, 200);
  health.problem = 'it hangs';
  const unwell = await ask('/healthz');
  assert.deepEqual([unwell.status, await unwell.text()], [503, 'it hangs\n']);
  const metrics = await (await ask('/metrics')).text();
  assert.match(metrics, /^stevedore_node_registries\{state="Applied"\} 1$/m);
  assert.match(metrics, /^stevedore_node_registries\{state="Failed"\} 0$/m);
  assert.match(metrics, /^stevedore_node_mirror_probe_failures_total 3$/m);
  assert.equal((await ask('/')).status, 404);
  assert.equal((await ask('/status', 'POST')).status, 405);
});
