import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Agent, request } from 'undici';
import { openMirrorStage } from '../../support/mirror-stage.ts';
import { converse } from '../../support/protocol.ts';
import { pushImage } from '../../support/push-image.ts';
import { writePair, writeUsers } from '../../support/serve-process.ts';
import { createTestAuthority } from '../../support/test-authority.ts';
import { testCertificate } from '../../support/test-certificates.ts';

const basic = (user: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});

test('repositories that are not allowed are not fetched', async (t) => {
  const { mirror, upstream, registry } = await openMirrorStage(t, {
    upstream: { allowedrepositories: ['team/*'], username: 'u', password: 'p' },
  });
  await pushImage(registry, 'team/app', 'v1', ['layer']);
  await pushImage(registry, 'team/deep/app', 'v1', ['layer']);
  await converse(mirror.url, [
    { send: 'HEAD /v2/team/app/manifests/v1', status: 200 },
    { send: 'GET /v2/upstream.test/team/app/tags/list', status: 200 },
    { send: 'GET /v2/team/deep/app/manifests/v1', status: 404, code: 'NAME_UNKNOWN' },
    { send: 'GET /v2/team/deep/app/tags/list', status: 404, code: 'NAME_UNKNOWN' },
    { send: 'HEAD /v2/secret/manifests/v1?ns=upstream.test', status: 404 },
  ]);
  assert.equal(upstream.count('HEAD'), 1);
  assert.equal(upstream.count('GET', /deep|secret/), 0);
});

test('a mirror without users asks nobody who they are, whatever an upstream says', async (t) => {
  const { mirror, upstream } = await openMirrorStage(t);
  upstream.rule(
    {},
    { status: 401, headers: { 'www-authenticate': 'Bearer realm="http://127.0.0.1:1/token"' } },
  );
  for (const path of [
    '',
    'team/app/manifests/v1',
    'team/app/tags/list',
    '_catalog',
    `team/app/blobs/sha256:${'0'.repeat(64)}`,
  ]) {
    const { statusCode, headers, body } = await request(`${mirror.url}/v2/${path}`, {
      headers: basic('a', 'b'),
    });
    await body.dump();
    assert.notEqual(statusCode, 401, path);
    assert.equal(headers['www-authenticate'], undefined, path);
  }
  // What clients say of themselves is for the mirror alone.
  assert.deepEqual(
    upstream.requests.filter(({ headers }) => headers.authorization !== undefined),
    [],
  );
});

test('users of a mirror say who they are, and containerd, which would send secrets of pods, is not asked', async (t) => {
  const { mirror, upstream, registry } = await openMirrorStage(t, {
    sections: {
      auth: { htpasswd: { realm: 'mirror', path: '{folder}/htpasswd' } },
    },
    prepare: (folder) => writeUsers(folder, { node: 'secret', other: 'secret' }),
  });
  await pushImage(registry, 'team/app', 'v1', ['layer']);
  const head = 'HEAD /v2/team/app/manifests/v1';
  const named = `${head}?ns=upstream.test`;
  await converse(mirror.url, [
    { send: head, status: 401, answer: { 'www-authenticate': 'Basic realm="mirror"' } },
    { send: 'GET /v2/', status: 401 },
    { send: head, headers: basic('node', 'wrong'), status: 401 },
    { send: named, status: 403 },
    { send: named, headers: basic('node', 'wrong'), status: 403 },
  ]);
  const { headers, body } = await request(`${mirror.url}${named.slice(5)}`);
  assert.equal(headers['www-authenticate'], undefined);
  await body.dump();
  assert.equal(upstream.requests.length, 0);
  for (const send of [head, named])
    await converse(mirror.url, [{ send, headers: basic('node', 'secret'), status: 200 }]);
});

test('access rules are about repositories by the names that the mirror has for them', async (t) => {
  const { mirror, registry } = await openMirrorStage(t, {
    sections: {
      auth: { htpasswd: { realm: 'mirror', path: '{folder}/htpasswd' } },
      stevedore: { auth: { access: '{folder}/rules.yml' } },
    },
    prepare(folder) {
      writeUsers(folder, { node: 'secret' });
      const rules = {
        access: [{ repositories: ['upstream.test/team/*'], users: ['node'], actions: ['pull'] }],
      };
      writeFileSync(join(folder, 'rules.yml'), JSON.stringify(rules));
    },
  });
  await pushImage(registry, 'team/app', 'v1', ['layer']);
  await pushImage(registry, 'other/app', 'v1', ['layer']);
  const headers = basic('node', 'secret');
  await converse(mirror.url, [
    { send: 'HEAD /v2/team/app/manifests/v1', headers, status: 200 },
    { send: 'HEAD /v2/other/app/manifests/v1', headers, status: 403 },
  ]);
});

test('nodes with a certificate pull what others do not', async (t) => {
  const server = await (await createTestAuthority()).issue();
  const authority = testCertificate({ commonName: 'nodes', authority: true });
  const node = testCertificate({ commonName: 'node-1', issuer: authority });
  const { mirror, registry } = await openMirrorStage(t, {
    sections: {
      http: {
        tls: {
          certificate: '{folder}/tls.crt',
          key: '{folder}/tls.key',
          clientcas: ['{folder}/clients.crt'],
        },
      },
    },
    upstream: { username: 'u', password: 'p' },
    prepare(folder) {
      writePair(folder, server);
      writeFileSync(join(folder, 'clients.crt'), authority.pem);
    },
  });
  await pushImage(registry, 'team/app', 'v1', ['layer']);
  const ask = async (identity: object): Promise<number> => {
    const dispatcher = new Agent({ connect: { rejectUnauthorized: false, ...identity } });
    t.after(() => dispatcher.close());
    const answer = await request(`${mirror.url}/v2/team/app/manifests/v1`, { method: 'HEAD', dispatcher });
    await answer.body.dump();
    return answer.statusCode;
  };
  assert.equal(await ask({ cert: node.pem, key: node.keyPem }), 200);
  await assert.rejects(ask({}));
});
