import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createPlainServer, type RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { test, type TestContext } from 'node:test';
import { parseOriginUrl, type OriginUrl } from '../../../src/contract/node-plan.ts';
import { probeMirror } from '../../../src/node/probe.ts';
import { createTestAuthority } from '../../support/test-authority.ts';

const authority = await createTestAuthority();
const { certificate, key } = await authority.issue();

async function listen(t: TestContext, server: Server, scheme: string): Promise<OriginUrl> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  // A server on a port has such an address.
  const { port } = server.address() as AddressInfo;
  const endpoint = parseOriginUrl(`${scheme}://127.0.0.1:${port}`);
  assert.ok(endpoint);
  return endpoint;
}

const secure = (t: TestContext, answer: RequestListener) =>
  listen(t, createServer({ cert: certificate, key }, answer), 'https');

test('a mirror answers when /v2/ is 200 over a connection that its authority vouches for', async (t) => {
  const urls: (string | undefined)[] = [];
  const endpoint = await secure(t, (request, response) => {
    urls.push(request.url);
    response.end('{}');
  });
  assert.equal(await probeMirror({ endpoint, ca: authority.certificate }), undefined);
  assert.deepEqual(urls, ['/v2/']);
  assert.match((await probeMirror({ endpoint })) ?? '', /certificate/);
  const other = await createTestAuthority();
  assert.match((await probeMirror({ endpoint, ca: other.certificate })) ?? '', /certificate/);
});

test('the header of the plan is sent, and a mirror that wants more than it is none', async (t) => {
  const server = createPlainServer((request, response) => {
    response.statusCode = request.headers.authorization === 'Basic abc' ? 200 : 401;
    response.end();
  });
  const endpoint = await listen(t, server, 'http');
  assert.equal(await probeMirror({ endpoint, header: { authorization: 'Basic abc' } }), undefined);
  assert.match((await probeMirror({ endpoint })) ?? '', /asks for a login.*credentials of pods/);
});

test('what does not answer 200, or does not answer at all, is told', async (t) => {
  const endpoint = await listen(
    t,
    createPlainServer((_, response) => response.writeHead(503).end()),
    'http',
  );
  assert.equal(await probeMirror({ endpoint }), 'it answers /v2/ with 503');
  const gone = createPlainServer();
  const closed = await listen(t, gone, 'http');
  gone.close();
  await once(gone, 'close');
  assert.match((await probeMirror({ endpoint: closed })) ?? '', /ECONNREFUSED/);
});
