import assert from 'node:assert/strict';
import { createServer } from 'node:https';
import { createServer as createProxy } from 'node:http';
import { connect, type AddressInfo, type Server } from 'node:net';
import { test, type TestContext } from 'node:test';
import { request } from 'undici';
import { createOutgoing } from '../../../src/process/outgoing.ts';
import { createTestAuthority } from '../../support/test-authority.ts';

async function listen(t: TestContext, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return (server.address() as AddressInfo).port; // it listens on TCP
}

async function secureServer(t: TestContext): Promise<{ url: string; authority: string }> {
  const authority = await createTestAuthority();
  const { certificate, key } = await authority.issue();
  const server = createServer({ cert: certificate, key }, (_request, response) => response.end('secure'));
  return { url: `https://127.0.0.1:${await listen(t, server)}/`, authority: authority.certificate };
}

test('a certificate of a stranger is refused, unless its authority is trusted or nobody asks', async (t) => {
  const { url, authority } = await secureServer(t);
  for (const [options, trusts] of [
    [{}, false],
    [{ authorities: [authority] }, true],
    [{ skipVerify: true }, true],
  ] as const) {
    const dispatcher = createOutgoing({ environment: {}, ...options });
    const answer = request(url, { dispatcher }).then(({ body }) => body.text());
    if (trusts) assert.equal(await answer, 'secure');
    else await assert.rejects(answer, /certificate/);
    await dispatcher.destroy();
  }
});

test('connections go through the proxy that the environment names, but to those it excludes', async (t) => {
  const { url, authority } = await secureServer(t);
  const targets: string[] = [];
  const proxy = createProxy();
  proxy.on('connect', ({ url: target = '' }, client) => {
    targets.push(target);
    const [host, port] = target.split(':');
    const server = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      client.pipe(server).pipe(client);
    });
    server.on('error', () => client.destroy());
    client.on('error', () => server.destroy());
  });
  const https_proxy = `http://127.0.0.1:${await listen(t, proxy)}`;
  for (const environment of [{ HTTPS_PROXY: https_proxy }, { https_proxy, no_proxy: '127.0.0.1' }]) {
    const dispatcher = createOutgoing({ environment, authorities: [authority] });
    assert.equal(await (await request(url, { dispatcher })).body.text(), 'secure');
    await dispatcher.destroy();
  }
  assert.deepEqual(targets, [new URL(url).host]);
});
