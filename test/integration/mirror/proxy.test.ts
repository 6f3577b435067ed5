import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { faultyProxy } from '../../support/faulty-proxy.ts';
import { converse } from '../../support/protocol.ts';
import { pushImage } from '../../support/push-image.ts';
import { runProgram } from '../../support/run-program.ts';
import { startServe } from '../../support/serve-process.ts';
import { startTestMirror } from '../../support/test-mirror.ts';
import { startTestRegistry } from '../../support/test-registry.ts';
import { waitFor } from '../../support/wait-for.ts';
import { startWebhook } from '../../support/webhook.ts';

test("docker distribution's proxy section makes a mirror, with the names that it has on the disk", async (t) => {
  const { url } = await startTestRegistry(t);
  const image = await pushImage(url, 'team/app', 'v1', ['layer']);
  const upstream = await faultyProxy(t, url);
  const mirror = await startTestMirror(t, { proxy: { remoteurl: upstream.url } });
  await converse(mirror.url, [
    { send: 'GET /v2/team/app/manifests/v1', status: 200, text: image.manifest.toString() },
    { send: `GET /v2/team/app/blobs/${image.layers[0]}`, status: 200, text: 'layer' },
    { send: `GET /v2/team/app/manifests/v1?ns=${upstream.host}`, status: 200 },
    { send: 'GET /v2/team/app/manifests/v1?ns=docker.io', status: 404 },
    { send: 'GET /v2/_catalog', status: 200, json: { repositories: ['team/app'] } },
    { send: 'POST /v2/team/app/blobs/uploads/', status: 405, code: 'UNSUPPORTED' },
  ]);
});

test('pulls from a mirror are told to webhooks', async (t) => {
  const { url } = await startTestRegistry(t);
  const image = await pushImage(url, 'team/app', 'v1', ['layer']);
  const hook = await startWebhook(t);
  const mirror = await startTestMirror(t, {
    proxy: { remoteurl: url },
    notifications: { endpoints: [{ name: 'hook', url: hook.url }] },
  });
  await converse(mirror.url, [
    { send: 'GET /v2/team/app/manifests/v1', status: 200 },
    { send: `GET /v2/team/app/blobs/${image.layers[0]}`, status: 200 },
  ]);
  await waitFor(() => hook.requests.length === 2);
  const told = hook
    .events()
    .map(({ action, target }) => ({ action, digest: target['digest'], tag: target.tag }));
  assert.deepEqual(told, [
    { action: 'pull', digest: image.digest, tag: 'v1' },
    { action: 'pull', digest: image.layers[0], tag: undefined },
  ]);
});

test('the program serves a mirror, checks its configuration, scrubs what it keeps, and collects nothing', async (t) => {
  const { url } = await startTestRegistry(t);
  const image = await pushImage(url, 'team/app', 'v1', ['layer', 'other']);
  const environment = { REGISTRY_PROXY_REMOTEURL: url };
  const mirror = await startServe(t, { environment });
  await converse(mirror.url, [
    { send: 'GET /v2/team/app/manifests/v1', status: 200 },
    { send: `GET /v2/team/app/blobs/${image.layers[0]}`, status: 200 },
    { send: 'POST /v2/team/app/blobs/uploads/', status: 405 },
  ]);
  const data = join(mirror.folder, 'storage/docker/registry/v2/blobs/sha256');
  const file = join(data, (image.layers[0] ?? '').slice(7, 9), (image.layers[0] ?? '').slice(7), 'data');
  await waitFor(() => existsSync(file));

  const config = join(mirror.folder, 'config.yml');
  const check = await runProgram(['check', config], { environment });
  assert.equal(check.code, 0, check.stderr);
  assert.match(check.stdout, new RegExp(`remoteurl: ${url}`));
  const collected = await runProgram(['garbage-collect', config], { environment });
  assert.equal(collected.code, 2);
  assert.match(collected.stderr, /the configuration of a mirror, which itself drops/);

  const whole = await runProgram(['scrub', config], { environment });
  assert.equal(whole.code, 0, whole.stdout);
  writeFileSync(file, 'LAYER');
  const damaged = await runProgram(['scrub', config], { environment });
  assert.equal(damaged.code, 1);
  assert.match(damaged.stdout, /^corrupt /);
  const tags = await runProgram(['scrub', '--write-fallback-tags', config], { environment });
  assert.equal(tags.code, 2);
});
