import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { connectRegistry } from '../../../src/oci-client/connect-registry.ts';
import { sleeplessClock, standInService } from '../../support/stand-in-service.ts';
import { createTestAuthority } from '../../support/test-authority.ts';

test('a registry may have any certificate, but not another host that would get the credentials', async (t) => {
  const authority = await createTestAuthority();
  const { certificate: cert, key } = await authority.issue();
  const logins: (string | undefined)[] = [];
  const tokens = createServer({ cert, key }, (request, response) => {
    logins.push(request.headers.authorization);
    response.end('{"token":"t"}');
  }).listen(0, '127.0.0.1');
  await once(tokens, 'listening');
  t.after(() => {
    tokens.closeAllConnections();
    tokens.close();
  });
  const { port } = tokens.address() as AddressInfo; // it listens on TCP

  const ask = async (host: string, authorities: readonly string[]): Promise<void> => {
    const registry = await standInService(t, ({ headers }) =>
      headers.authorization === undefined
        ? { status: 401, headers: { 'www-authenticate': `Bearer realm="https://${host}:${port}/token"` } }
        : { status: 404 },
    );
    const client = await connectRegistry({
      host: new URL(registry.url).host,
      scheme: 'http',
      insecure: true,
      authorities,
      credentials: { username: 'alice', password: 'secret' },
      retries: 0,
      clock: sleeplessClock(),
      random: () => 0,
      environment: {},
    });
    assert.equal(await client.manifest('app', 'v1'), undefined);
  };
  await assert.rejects(ask('localhost', []), /certificate/);
  assert.deepEqual(logins, []);
  await ask('localhost', [authority.certificate]);
  await ask('127.0.0.1', []);
  assert.equal(logins.length, 2);
});
