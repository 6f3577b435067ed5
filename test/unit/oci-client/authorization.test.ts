import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { Agent } from 'undici';
import { Authorization, type AuthorizationDependencies } from '../../../src/oci-client/authorization.ts';
import { TestClock } from '../../support/test-clock.ts';

/** A token server that answers with what it was asked, and an authorization that has learnt of it. */
async function start(t: TestContext, more: Partial<AuthorizationDependencies> = {}) {
  const asked: {
    readonly method: string;
    readonly url: string;
    readonly body: string;
    readonly login: string;
  }[] = [];
  let status = 200;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      asked.push({ method, url, body, login: headers.authorization ?? '' });
      response.writeHead(status).end(JSON.stringify({ token: `token-${asked.length}`, expires_in: 120 }));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const dispatcher = new Agent();
  t.after(async () => {
    await dispatcher.destroy();
    server.close();
  });
  const clock = new TestClock();
  const authorization = new Authorization({
    credentials: undefined,
    isSecure: false,
    dispatcherFor: () => dispatcher,
    clock,
    ...more,
  });
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const challenge = `Bearer realm="http://127.0.0.1:${port}/token",service="registry"`;
  const fail = (code: number): void => void (status = code);
  return { authorization, challenge, asked, clock, fail };
}

const scopes = ['repository:a:pull'];

test('a token is fetched once for all that need it at the same time, and again before it expires', async (t) => {
  const { authorization, challenge, asked, clock } = await start(t);
  assert.equal(await authorization.header(scopes), undefined);
  assert.ok(authorization.learn(challenge, scopes, undefined));
  const headers = await Promise.all([authorization.header(scopes), authorization.header(scopes)]);
  assert.deepEqual(headers, ['Bearer token-1', 'Bearer token-1']);
  assert.equal(asked[0]?.url, '/token?service=registry&scope=repository%3Aa%3Apull');
  await clock.advance(109_000);
  assert.equal(await authorization.header(scopes), 'Bearer token-1');
  await clock.advance(2000);
  assert.equal(await authorization.header(scopes), 'Bearer token-2');
  assert.equal(await authorization.header(['repository:b:pull']), 'Bearer token-3');
});

test('a token that was refused is not used again', async (t) => {
  const { authorization, challenge } = await start(t);
  authorization.learn(challenge, scopes, undefined);
  const first = await authorization.header(scopes);
  assert.ok(authorization.learn(challenge, scopes, first));
  assert.equal(await authorization.header(scopes), 'Bearer token-2');
});

test('a password goes along with the request, an identity token in a form', async (t) => {
  const password = await start(t, { credentials: { username: 'alice', password: 'secret' } });
  password.authorization.learn(password.challenge, scopes, undefined);
  await password.authorization.header(scopes);
  assert.equal(password.asked[0]?.login, `Basic ${btoa('alice:secret')}`);

  const identity = await start(t, { credentials: { identityToken: 'refresh' } });
  identity.authorization.learn(identity.challenge, [...scopes, 'repository:b:pull'], undefined);
  await identity.authorization.header([...scopes, 'repository:b:pull']);
  const [request] = identity.asked;
  assert.equal(request?.method, 'POST');
  assert.deepEqual(Object.fromEntries(new URLSearchParams(request.body)), {
    grant_type: 'refresh_token',
    refresh_token: 'refresh',
    client_id: 'stevedore',
    service: 'registry',
    scope: 'repository:a:pull repository:b:pull',
  });
});

test('credentials for a registry with TLS do not go to a token server without', async (t) => {
  const credentials = { username: 'alice', password: 'secret' };
  const { authorization, challenge, asked } = await start(t, { isSecure: true, credentials });
  authorization.learn(challenge, scopes, undefined);
  await assert.rejects(authorization.header(scopes), /asks for the credentials over plain HTTP/);
  assert.equal(asked.length, 0);
});

test('a token server that refuses is told from one that is busy', async (t) => {
  const { authorization, challenge, fail } = await start(t);
  authorization.learn(challenge, scopes, undefined);
  fail(403);
  await assert.rejects(authorization.header(scopes), { name: 'RegistryRefusal', status: 403 });
  fail(503);
  await assert.rejects(authorization.header(scopes), { name: 'TransientError' });
  fail(200);
  assert.match((await authorization.header(scopes)) ?? '', /^Bearer /);
});

test('a password that was refused is not sent again', async (t) => {
  const { authorization } = await start(t, { credentials: { username: 'alice', password: 'secret' } });
  assert.ok(authorization.learn('Basic realm="x"', scopes, undefined));
  const header = await authorization.header(scopes);
  assert.equal(header, `Basic ${btoa('alice:secret')}`);
  assert.ok(!authorization.learn('Basic realm="x"', scopes, header));
  const nobody = await start(t);
  assert.ok(!nobody.authorization.learn('Basic realm="x"', scopes, undefined));
  assert.ok(!nobody.authorization.learn('Negotiate', scopes, undefined));
});
