import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { request } from 'undici';
import type { StatusDocument } from '../../../src/contract/status-document.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { imageManifest } from '../../support/store-fixture.ts';
import { converse, type Call } from '../../support/protocol.ts';
import { writeUsers } from '../../support/serve-process.ts';
import { startTestRegistry, type TestRegistry } from '../../support/test-registry.ts';

const as = (user: string, password = user): { readonly headers: Readonly<Record<string, string>> } => ({
  headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
});
const users = { root: 'root', ann: 'ann', bob: 'bob' };

/** root may do everything, ann pull and push below team, bob list there. */
const rules = `
groups: {team: [ann]}
access:
  - {repositories: ["**"], users: [root], actions: [pull, push, delete]}
  - {repositories: ["team/**"], groups: [team], actions: [pull, push]}
  - {repositories: ["team/**"], users: [bob], actions: [list]}
`;

function start(t: TestContext, access: string): Promise<TestRegistry> {
  const overrides = {
    REGISTRY_AUTH_HTPASSWD_REALM: 'realm',
    REGISTRY_AUTH_HTPASSWD_PATH: '{folder}/htpasswd',
    REGISTRY_STEVEDORE_AUTH_ACCESS: '{folder}/access.yml',
  };
  return startTestRegistry(t, overrides, (folder) => {
    writeUsers(folder, users);
    writeFileSync(join(folder, 'access.yml'), access);
  });
}

const config = Buffer.from('{}');
const configDigest = digestOf(config);
const manifest = imageManifest({ digest: configDigest, size: 2 });
const digest = digestOf(manifest);

/** As root. */
function push(repository: string): readonly Call[] {
  return [
    {
      send: `POST /v2/${repository}/blobs/uploads/?digest=${configDigest}`,
      ...as('root'),
      body: config,
      status: 201,
    },
    { send: `PUT /v2/${repository}/manifests/v1`, ...as('root'), body: manifest, status: 201 },
  ];
}

const record = (name: string, action: string): object => ({
  Type: 'repository',
  Class: '',
  Name: name,
  Action: action,
});

test('each user may do what the rules give, in each route', async (t) => {
  const { url } = await start(t, rules);
  const denied = { status: 403, code: 'DENIED', answer: { 'www-authenticate': null } } as const;
  await converse(url, [
    ...push('team/app'),
    ...push('secret/app'),
    { send: 'GET /v2/team/app/manifests/v1', ...as('ann'), status: 200 },
    { send: 'GET /v2/team/app/tags/list', ...as('ann'), status: 200 },
    { send: `HEAD /v2/team/app/blobs/${configDigest}`, ...as('ann'), status: 200 },
    { send: 'POST /v2/team/app/blobs/uploads/', ...as('ann'), status: 202 },
    { send: 'DELETE {location}', ...as('ann'), ...denied },
    {
      send: `DELETE /v2/team/app/manifests/${digest}`,
      ...as('ann'),
      ...denied,
      json: { errors: [{ detail: [record('team/app', 'delete')] }] },
    },
    { send: 'GET /v2/team/app/tags/list', ...as('bob'), status: 200, json: { tags: ['v1'] } },
    { send: 'GET /v2/team/app/manifests/v1', ...as('bob'), ...denied },
    { send: `GET /v2/team/app/referrers/${digest}`, ...as('bob'), ...denied },
    {
      send: 'PUT /v2/team/app/manifests/v2',
      ...as('bob'),
      body: manifest,
      ...denied,
      json: { errors: [{ detail: [record('team/app', 'pull'), record('team/app', 'push')] }] },
    },
    { send: 'GET /v2/', ...as('bob'), status: 200 },
    { send: 'GET /v2/', ...as('bob', 'wrong'), status: 401 },
    {
      send: 'GET /v2/',
      headers: { authorization: 'Basic Og==' },
      status: 401,
      answer: { 'www-authenticate': 'Basic realm="realm"' },
    },
    {
      send: 'GET /v2/team/app/manifests/v1',
      status: 401,
      code: 'UNAUTHORIZED',
      answer: { 'www-authenticate': 'Basic realm="realm"' },
    },
    { send: `DELETE /v2/team/app/manifests/${digest}`, ...as('root'), status: 202 },
  ]);
});

test('a repository that is denied looks like one that is not there', async (t) => {
  const { url } = await start(t, rules);
  await converse(url, push('secret/app'));
  const answers = await Promise.all(
    ['secret/app', 'secret/non'].flatMap((name) =>
      [`manifests/v1`, `blobs/${configDigest}`, 'tags/list'].map(async (path) => {
        const { statusCode, body } = await request(`${url}/v2/${name}/${path}`, as('ann'));
        return `${statusCode} ${(await body.text()).replace(name, 'NAME')}`;
      }),
    ),
  );
  assert.deepEqual(answers.slice(0, 3), answers.slice(3));
});

test('the catalog shows each user what they may see, page by page', async (t) => {
  const { url } = await start(t, rules);
  await converse(url, [
    ...['a', 'team/one', 'team/two', 'x', 'zz'].flatMap(push),
    {
      send: 'GET /v2/_catalog',
      ...as('root'),
      status: 200,
      json: { repositories: ['a', 'team/one', 'team/two', 'x', 'zz'] },
    },
    {
      send: 'GET /v2/_catalog',
      ...as('ann'),
      status: 200,
      text: '{"repositories":["team/one","team/two"]}',
      answer: { link: null },
    },
    { send: 'GET /v2/_catalog', ...as('bob'), status: 200, text: '{"repositories":["team/one","team/two"]}' },
    {
      send: 'GET /v2/_catalog?n=1',
      ...as('ann'),
      status: 200,
      text: '{"repositories":["team/one"]}',
      answer: { link: /last=team%2Fone/ },
    },
    {
      send: 'GET /v2/_catalog?n=1&last=team/one',
      ...as('ann'),
      status: 200,
      text: '{"repositories":["team/two"]}',
      answer: { link: null },
    },
    {
      send: 'GET /v2/_catalog',
      status: 401,
      json: { errors: [{ detail: [{ Type: 'registry', Class: '', Name: 'catalog', Action: '*' }] }] },
    },
  ]);
});

test('a mount from what one may not pull is an upload, as from what is not there', async (t) => {
  const { url } = await start(t, rules);
  const mount = (from: string): string =>
    `POST /v2/team/app/blobs/uploads/?mount=${configDigest}&from=${from}`;
  await converse(url, [
    ...push('secret/app'),
    ...push('team/other'),
    { send: mount('secret/app'), ...as('ann'), status: 202 },
    { send: mount('secret/none'), ...as('ann'), status: 202 },
    { send: mount('team/other'), ...as('ann'), status: 201 },
    {
      send: mount('secret/app'),
      status: 401,
      json: {
        errors: [
          { detail: [record('team/app', 'pull'), record('team/app', 'push'), record('secret/app', 'pull')] },
        ],
      },
    },
  ]);
});

test('anonymous pull: everybody reads, users write, and clients that have a password are asked for it', async (t) => {
  const { url } = await start(t, `anonymous: pull\n${rules}`);
  const challenge = `Bearer realm="${url}/v2/_token",service="realm"`;
  const token = async (options: object): Promise<string> => {
    const { statusCode, body } = await request(
      `${url}/v2/_token?service=realm&scope=repository:a:pull`,
      options,
    );
    const answer = (await body.json()) as Readonly<Record<string, string>>; // the shape that the endpoint gives
    assert.equal(statusCode, 200);
    assert.equal(answer['token'], answer['access_token']);
    return `Bearer ${answer['token']}`;
  };
  const [nobody, ann] = [await token({}), await token(as('ann'))];
  await converse(url, [
    ...push('secret/app'),
    { send: 'GET /v2/', status: 401, answer: { 'www-authenticate': challenge } },
    { send: 'GET /v2/', headers: { authorization: nobody }, status: 200 },
    { send: 'GET /v2/', headers: { authorization: 'Basic Og==' }, status: 200 },
    { send: 'GET /v2/', headers: { authorization: ann }, status: 200 },
    {
      send: 'GET /v2/',
      headers: { authorization: 'Bearer x' },
      status: 401,
      answer: { 'www-authenticate': `${challenge},error="invalid_token"` },
    },
    { send: 'GET /v2/_token', ...as('ann', 'wrong'), status: 401, answer: { 'www-authenticate': /^Basic/ } },
    { send: 'POST /v2/_token', body: 'grant_type=password', status: 405 },
    { send: 'GET /v2/secret/app/manifests/v1', status: 200 },
    { send: 'GET /v2/secret/app/manifests/v1', headers: { authorization: nobody }, status: 200 },
    { send: 'GET /v2/secret/app/manifests/v1', ...as('ann', 'wrong'), status: 401 },
    { send: 'GET /v2/_catalog', status: 200, text: '{"repositories":["secret/app"]}' },
    {
      send: 'POST /v2/team/app/blobs/uploads/',
      status: 401,
      answer: { 'www-authenticate': `${challenge},scope="repository:team/app:pull,push"` },
    },
    { send: 'POST /v2/team/app/blobs/uploads/', headers: { authorization: nobody }, status: 401 },
    { send: 'POST /v2/team/app/blobs/uploads/', headers: { authorization: ann }, status: 202 },
    {
      send: 'POST /v2/secret/app/blobs/uploads/',
      headers: { authorization: ann },
      status: 403,
      code: 'DENIED',
    },
  ]);
});

test('rules that change count from the next request on, and wrong ones leave those before', async (t) => {
  const { url, statusUrl, folder } = await start(t, rules);
  const status = async (): Promise<StatusDocument['access']> =>
    ((await (await request(`${statusUrl}/status`)).body.json()) as StatusDocument).access;
  const upload: Call = { send: 'POST /v2/x/blobs/uploads/', ...as('ann'), status: 202 };
  await converse(url, [{ ...upload, status: 403 }]);
  const before = await status();
  writeFileSync(
    join(folder, 'access.yml'),
    'access: [{repositories: [x], users: [ann], actions: [pull, push]}]',
  );
  await converse(url, [upload]);
  const after = await status();
  assert.notEqual(after?.hash, before?.hash);
  assert.equal(after?.error, undefined);
  writeFileSync(join(folder, 'access.yml'), 'acess: []');
  await converse(url, [upload]);
  assert.deepEqual(await status(), {
    hash: after?.hash,
    error: 'acess is not an option, did you mean access?',
  });
});

test('wrong rules at the start are an error of the configuration', async (t) => {
  await assert.rejects(
    start(t, 'access: [{repositories: [a]}]'),
    /stevedore\.auth\.access access\.0\.actions is required/,
  );
});
