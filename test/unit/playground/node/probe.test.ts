import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { probeOnce, watchProbe, type ProbeFailure } from '../../../../src/playground/node/probe.ts';
import { TestClock } from '../../../support/test-clock.ts';

/** Verdicts at a time in seconds, of looks that give these results one after another. */
async function verdicts(probe: object, results: readonly ProbeFailure[]): Promise<readonly string[]> {
  const clock = new TestClock();
  const stop = new AbortController();
  const told: string[] = [];
  const rest = [...results];
  const ended = watchProbe(
    {
      probe,
      look: () => Promise.resolve(rest.shift()),
      verdict: (success) => told.push(`${clock.monotonic() / 1000} ${success}`),
      failed: () => undefined,
      clock,
    },
    stop.signal,
  );
  while (rest.length > 0) await clock.advance(1000);
  stop.abort();
  await ended;
  return told;
}

test('a probe tells failure after failureThreshold failures in a row, and success at the first success', async () => {
  const probe = { periodSeconds: 5, failureThreshold: 2 };
  assert.deepEqual(await verdicts(probe, ['no', undefined, 'no', 'no', 'no', undefined]), [
    '5 true',
    '15 false',
    '20 false',
    '25 true',
  ]);
});

test('a probe begins after initialDelaySeconds and can ask for several successes', async () => {
  const probe = { initialDelaySeconds: 3, periodSeconds: 1, successThreshold: 2 };
  assert.deepEqual(await verdicts(probe, [undefined, undefined, 'no', undefined, undefined]), [
    '4 true',
    '7 true',
  ]);
});

test('an HTTP probe succeeds with 200 to 399, by port number or name', async (t) => {
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/ready' ? 204 : 503;
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo; // a server on TCP has one of this kind
  const container = { name: 'web', ports: [{ name: 'status', containerPort: port }] };
  const ask = (path: string, where: string | number) =>
    probeOnce({ httpGet: { path, port: where } }, container, '127.0.0.1');
  assert.equal(await ask('/ready', 'status'), undefined);
  assert.equal(await ask('/ready', port), undefined);
  assert.equal(await ask('/', port), 'HTTP probe failed with statuscode: 503');
  assert.equal(await ask('/', 'nope'), "couldn't find port: nope");
});

test('a probe of another kind fails, and says so', async () => {
  assert.match(
    (await probeOnce({ exec: { command: ['true'] } }, { name: 'web' }, '127.0.0.1')) ?? '',
    /httpGet probes alone/,
  );
});
