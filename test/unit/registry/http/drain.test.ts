import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { drain } from '../../../../src/registry/http/drain.ts';
import { logSink } from '../../../support/log-sink.ts';
import { TestClock } from '../../../support/test-clock.ts';

test('who uses a connection again soon is answered and told to open another; one that stays idle is closed', async (t) => {
  const server = createServer((_request, response) => response.end('here')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on TCP has an address of this form.
  const { port } = server.address() as AddressInfo;
  const agents = [new Agent({ keepAlive: true }), new Agent({ keepAlive: true })] as const;
  t.after(() => agents.forEach((agent) => agent.destroy()));
  const ask = async (agent: Agent) => {
    const request = get({ port, host: '127.0.0.1', agent });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    return { isReused: request.reusedSocket, connection: response.headers.connection };
  };
  const [active, idle] = agents;
  for (const agent of agents) assert.equal((await ask(agent)).connection, 'keep-alive');

  const clock = new TestClock();
  const listener = {
    endIdle: () => server.closeIdleConnections(),
    endAll: () => server.closeAllConnections(),
  };
  const over = new AbortController();
  const drained = drain(server, 60_000, { listener, isShared: false, clock, log: logSink().log });
  void drained.then(() => over.abort());
  const advance = async (milliseconds: number) => {
    for (let passed = 0; passed < milliseconds; passed += 50) {
      await clock.advance(50);
      await turn();
    }
  };
  await advance(900);
  assert.deepEqual(await ask(active), { isReused: true, connection: 'close' });
  assert.equal(Object.keys(idle.freeSockets).length, 1, 'the other connection is there');
  while (!over.signal.aborted) await advance(50);
  assert.ok(clock.monotonic() < 5000, `after ${clock.monotonic()} ms`);
});

test('a server without connections stops at once', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const listener = { endIdle: () => undefined, endAll: () => undefined };
  await drain(server, 60_000, { listener, isShared: false, clock: new TestClock(), log: logSink().log });
  assert.equal(server.listening, false);
});
