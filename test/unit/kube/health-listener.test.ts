import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { Counter, Registry } from 'prom-client';
import { cachesSynced, startHealthListener } from '../../../src/kube/health-listener.ts';

test('health, readiness and metrics are served, and each check is named', async (t) => {
  const metrics = new Registry();
  new Counter({ name: 'boats_total', help: 'Boats.', registers: [metrics] }).inc(3);
  let problem: string | undefined = 'no contact';
  const cache = { type: { kind: 'Secret' }, isSynced: false };
  const server = await startHealthListener({
    host: '127.0.0.1',
    port: 0,
    ready: [{ name: 'leader-election', problem: () => problem }, cachesSynced([cache])],
    metrics,
  });
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  // A server that listens on TCP has an address of this form.
  const { port } = server.address() as AddressInfo;
  const ask = async (path: string, method = 'GET'): Promise<readonly [number, string]> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
    return [response.status, await response.text()];
  };
  assert.deepEqual(await ask('/healthz'), [200, 'ok\n']);
  assert.deepEqual(await ask('/readyz'), [
    503,
    'leader-election: no contact\ncaches: not listed yet: Secret\n',
  ]);
  problem = undefined;
  cache.isSynced = true;
  assert.deepEqual(await ask('/readyz?verbose'), [200, 'leader-election: ok\ncaches: ok\n']);
  const [status, text] = await ask('/metrics');
  assert.equal(status, 200);
  assert.match(text, /^boats_total 3$/m);
  assert.equal((await ask('/'))[0], 404);
  assert.equal((await ask('/readyz', 'POST'))[0], 405);
});

test('a port that is taken is told', async (t) => {
  const options = { host: '127.0.0.1', ready: [], metrics: new Registry() };
  const first = await startHealthListener({ ...options, port: 0 });
  t.after(() => first.close());
  // A server that listens on TCP has an address of this form.
  const { port } = first.address() as AddressInfo;
  await assert.rejects(startHealthListener({ ...options, port }), /EADDRINUSE/);
});
