import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { Agent } from 'undici';
import { Authorization, type AuthorizationDependencies } from '../../../src/oci-client/authorization.ts';
import { standInService } from '../../support/stand-in-service.ts';
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
    objection: () => undefined,
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
  await clock.advance(95_000);
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
  assert.match(password.asked[0]?.url ?? '', /&account=alice$/);
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

test('a token server that may not have the credentials is not asked', async (t) => {
  const credentials = { username: 'alice', password: 'secret' };
  const objection = (realm: URL, withCredentials: boolean): string | undefined =>
    realm.pathname === '/token' && withCredentials ? 'not there' : undefined;
  const { authorization, challenge, asked } = await start(t, { objection, credentials });
  authorization.learn(challenge, scopes, undefined);
  await assert.rejects(authorization.header(scopes), { name: 'RegistryRefusal', message: /not there/ });
  assert.equal(asked.length, 0);
});

test('a token server may send elsewhere, but only where it may be asked', async (t) => {
  const credentials = { username: 'alice', password: 'secret' };
  const target = await standInService(t, () => ({ body: { access_token: 'there' } }));
  for (const allowed of [true, false]) {
    const objection = ({ origin }: URL): string | undefined =>
      origin === target.url && !allowed ? 'not there' : undefined;
    const { authorization } = await start(t, { credentials, objection });
    const first = await standInService(t, () => ({
      status: 307,
      headers: { location: `${target.url}/t?x` },
    }));
    authorization.learn(`Bearer realm="${first.url}/token"`, scopes, undefined);
    if (allowed) assert.equal(await authorization.header(scopes), 'Bearer there');
    else await assert.rejects(authorization.header(scopes), /not there/);
  }
  assert.deepEqual(
    target.received.map(({ path, headers }) => [path, headers.authorization]),
    [['/t?x', `Basic ${btoa('alice:secret')}`]],
  );
});

test('what a challenge names is asked for, unless it is known', async (t) => {
  const { authorization, challenge, asked } = await start(t);
  const push = ['repository:a:pull,push', 'repository:b:pull'];
  const cases: readonly (readonly [string, readonly string[], string])[] = [
    ['repository:a:pull', push, 'scope=repository%3Aa%3Apull%2Cpush&scope=repository%3Ab%3Apull'],
    ['repository:a:delete', push, 'scope=repository%3Aa%3Adelete&scope=repository%3Ab%3Apull'],
    ['repository:inner/a:pull', scopes, 'scope=repository%3Ainner%2Fa%3Apull'],
    ['aws', scopes, 'scope=aws'],
  ];
  for (const [scope, needed, query] of cases) {
    assert.ok(authorization.learn(`${challenge},scope="${scope}"`, needed, undefined));
    await authorization.header(needed);
    assert.equal(asked.at(-1)?.url, `/token?service=registry&${query}`);
  }
  const before = await authorization.header(scopes);
  assert.equal(
    await authorization.header(['repository:other:pull']),
    before,
    'a scope without a repository is of all',
  );
});

test('requests that meet the same refusal at the same time share the next token', async (t) => {
  const { authorization, challenge, asked } = await start(t);
  authorization.learn(challenge, scopes, undefined);
  const old = await authorization.header(scopes);
  const next = [1, 2, 3].map(async () => {
    assert.ok(authorization.learn(`${challenge},error="invalid_token"`, scopes, old));
    return authorization.header(scopes);
  });
  assert.deepEqual(await Promise.all(next), ['Bearer token-2', 'Bearer token-2', 'Bearer token-2']);
  assert.ok(authorization.learn(challenge, scopes, old), 'the old one again, too late');
  assert.equal(await authorization.header(scopes), 'Bearer token-2');
  assert.equal(asked.length, 2);
  assert.ok(!authorization.learn(`${challenge},error="insufficient_scope"`, scopes, 'Bearer token-2'));
});

test('an identity token goes as a password to a server that does not know the form', async (t) => {
  for (const status of [400, 401, 404, 405]) {
    const server = await standInService(t, ({ method }) =>
      method === 'POST' ? { status } : { body: { access_token: 'x' } },
    );
    const { authorization } = await start(t, { credentials: { identityToken: 'refresh' } });
    authorization.learn(`Bearer realm="${server.url}/token?own=1",service="registry"`, scopes, undefined);
    assert.equal(await authorization.header(scopes), 'Bearer x');
    const [, asked] = server.received;
    assert.equal(asked?.path, '/token?own=1&service=registry&scope=repository%3Aa%3Apull');
    assert.equal(asked?.headers.authorization, `Basic ${btoa(':refresh')}`);
  }
});

test('nonsense of a token server is no token', async (t) => {
  for (const body of ['{}', 'html', '{"token":""}', '0'.repeat(200_000)]) {
    const server = await standInService(t, () => ({ body }));
    const { authorization } = await start(t);
    authorization.learn(`Bearer realm="${server.url}/token"`, scopes, undefined);
    await assert.rejects(authorization.header(scopes), { name: 'TransientError' });
  }
  const { authorization } = await start(t);
  authorization.learn('Bearer realm="/token"', scopes, undefined);
  await assert.rejects(authorization.header(scopes), { name: 'RegistryRefusal' });
});

test('a registry that takes tokens and passwords is given a token', async (t) => {
  const { authorization, challenge } = await start(t, { credentials: { username: 'alice', password: 'x' } });
  authorization.learn(`Basic realm="x", ${challenge}`, scopes, undefined);
  assert.equal(await authorization.header(scopes), 'Bearer token-1');
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

test('a password that the token server does not take is kept back for a while, longer each time', async (t) => {
  const credentials = { username: 'alice', password: 'wrong' };
  const { authorization, challenge, asked, clock, fail } = await start(t, { credentials });
  const others = ['repository:b:pull'];
  authorization.learn(challenge, scopes, undefined);
  fail(401);
  const refused = (needed = scopes) =>
    assert.rejects(authorization.header(needed), { name: 'RegistryRefusal', status: 401 });
  await Promise.all([refused(), refused(others)]);
  const first = asked.length;
  for (const pause of [10_000, 20_000, 40_000]) {
    const before = asked.length;
    await clock.advance(pause - 1);
    await Promise.all([refused(), refused(others)]);
    assert.equal(asked.length, before, String(pause));
    await clock.advance(1);
    await refused();
  }
  assert.equal(asked.length, first + 3);
  await clock.advance(300_000);
  fail(200);
  assert.match((await authorization.header(others)) ?? '', /^Bearer /);
  assert.match((await authorization.header(scopes)) ?? '', /^Bearer /);
});

test('a token server that refuses what was asked for says nothing of the password', async (t) => {
  const credentials = { username: 'alice', password: 'secret' };
  const { authorization, challenge, fail } = await start(t, { credentials });
  authorization.learn(challenge, scopes, undefined);
  fail(403);
  await assert.rejects(authorization.header(scopes), { status: 403 });
  fail(200);
  assert.match((await authorization.header(['repository:b:pull'])) ?? '', /^Bearer /);
});

test('a password that a registry does not take is kept back from that repository alone', async (t) => {
  const { authorization, clock } = await start(t, { credentials: { username: 'alice', password: 'secret' } });
  authorization.learn('Basic realm="x"', scopes, undefined);
  const header = await authorization.header(scopes);
  authorization.learn('Basic realm="x"', scopes, header);
  await assert.rejects(authorization.header(scopes), { name: 'RegistryRefusal', status: 401 });
  assert.equal(await authorization.header(['repository:b:pull']), header);
  await clock.advance(10_000);
  assert.equal(await authorization.header(scopes), header);
});
