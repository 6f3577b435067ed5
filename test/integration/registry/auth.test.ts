import assert from 'node:assert/strict';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { hashSync } from '@node-rs/bcrypt';
import { request } from 'undici';
import type { StatusDocument } from '../../../src/contract/status-document.ts';
import { converse } from '../../support/protocol.ts';
import { startTestRegistry, type TestRegistry } from '../../support/test-registry.ts';
import { writeUsers } from '../../support/serve-process.ts';

const basic = (user: string, password: string): { authorization: string } => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});

function start(
  t: TestContext,
  users: Readonly<Record<string, string>>,
  realm = 'The "Realm"',
): Promise<TestRegistry> {
  const overrides = {
    REGISTRY_AUTH_HTPASSWD_REALM: realm,
    REGISTRY_AUTH_HTPASSWD_PATH: '{folder}/htpasswd',
  };
  return startTestRegistry(t, overrides, (folder) => writeUsers(folder, users));
}

const challenge = {
  'www-authenticate': String.raw`Basic realm="The \"Realm\""`,
  'content-type': 'application/json',
};
const needed = (name: string, action: string): object => ({
  Type: 'repository',
  Class: '',
  Name: name,
  Action: action,
});

test('a realm in any script is sent as UTF-8, as docker distribution does', async (t) => {
  const { url } = await start(t, { ann: 'secret' }, 'レジストリ "ü"');
  const { statusCode, headers, body } = await request(`${url}/v2/`);
  await body.dump();
  assert.equal(statusCode, 401);
  const bytes = Buffer.from(String(headers['www-authenticate']), 'latin1');
  assert.equal(bytes.toString('utf8'), String.raw`Basic realm="レジストリ \"ü\""`);
});

test('without a right password each request is 401 and lists the access that it needs', async (t) => {
  const { url } = await start(t, { ann: 'secret' });
  const refused = { status: 401, code: 'UNAUTHORIZED', answer: challenge } as const;
  await converse(url, [
    { send: 'GET /v2/', ...refused },
    { send: 'GET /v2/', headers: basic('ann', 'wrong'), ...refused },
    { send: 'GET /v2/', headers: basic('bob', 'secret'), ...refused },
    { send: 'GET /v2/', headers: { authorization: 'Bearer x' }, ...refused },
    {
      send: 'GET /v2/_catalog',
      ...refused,
      json: { errors: [{ detail: [{ Type: 'registry', Class: '', Name: 'catalog', Action: '*' }] }] },
    },
    { send: 'GET /v2/a/tags/list', ...refused, json: { errors: [{ detail: [needed('a', 'pull')] }] } },
    {
      send: 'POST /v2/a/blobs/uploads/',
      ...refused,
      json: { errors: [{ detail: [needed('a', 'pull'), needed('a', 'push')] }] },
    },
    {
      send: `POST /v2/a/blobs/uploads/?mount=sha256:${'0'.repeat(64)}&from=b`,
      ...refused,
      json: { errors: [{ detail: [needed('a', 'pull'), needed('a', 'push'), needed('b', 'pull')] }] },
    },
    { send: 'DELETE /v2/a/manifests/x', ...refused, json: { errors: [{ detail: [needed('a', 'delete')] }] } },
    { send: 'GET /', status: 200 },
  ]);
});

test('a wrong password and an unknown user look the same', async (t) => {
  const { url } = await start(t, { ann: 'secret' });
  const bodies = await Promise.all(
    [basic('ann', 'wrong'), basic('nobody', 'wrong')].map(async (headers) =>
      (await request(`${url}/v2/`, { headers })).body.text(),
    ),
  );
  assert.equal(bodies[0], bodies[1]);
});

test('a user who is added is let in by the next request on the same connection, with the status up to date', async (t) => {
  const { url, statusUrl, folder, records } = await start(t, { ann: 'secret' });
  const file = join(folder, 'htpasswd');
  const status = async (): Promise<StatusDocument['users']> =>
    ((await (await request(`${statusUrl}/status`)).body.json()) as StatusDocument).users;
  const before = await status();
  assert.equal(before?.count, 1);
  await converse(url, [
    { send: 'GET /v2/', headers: basic('ann', 'secret'), status: 200 },
    { send: 'GET /v2/', headers: basic('bob', 'other'), status: 401 },
  ]);
  appendFileSync(file, `broken line\nbob:${hashSync('other', 4)}\n`);
  await converse(url, [
    { send: 'GET /v2/', headers: basic('bob', 'other'), status: 200 },
    { send: 'GET /v2/', headers: basic('ann', 'secret'), status: 200 },
  ]);
  const after = await status();
  assert.equal(after?.count, 2);
  assert.notEqual(after.hash, before.hash);
  assert.deepEqual(
    after.errors.map(({ line }) => line),
    [2],
  );
  writeFileSync(file, '');
  await converse(url, [{ send: 'GET /v2/', headers: basic('ann', 'secret'), status: 401 }]);
  assert.equal((await status())?.count, 0);
  const users = new Set(records.filter(({ message }) => message === 'request').map(({ user }) => user));
  assert.deepEqual(users, new Set([undefined, 'ann', 'bob']));
  assert.doesNotMatch(JSON.stringify(records), /secret|other/);
});
