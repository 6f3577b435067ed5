import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf } from '../../src/oci/digest.ts';
import { mediaTypes } from '../../src/oci/media-type.ts';
import { startServe } from '../support/serve-process.ts';
import { imageIndex, imageManifest } from '../support/store-fixture.ts';
import { waitFor } from '../support/wait-for.ts';
import { startWebhook, type Webhook } from '../support/webhook.ts';
import { distributions, serveWithDistribution } from './distribution.ts';
import { HttpRegistry } from './http-registry.ts';

const layer = Buffer.from('a layer of an image');
const config = Buffer.from('{"architecture":"amd64"}');
const named = (bytes: Buffer) => ({ digest: digestOf(bytes), size: bytes.length });
const image = imageManifest(named(config), [named(layer)], {
  annotations: { of: 'the image' },
});
const child = { ...named(image), platform: { architecture: 'arm64', os: 'linux', variant: 'v8' } };
const annotated = { ...child, annotations: { z: '<&>', a: 'é' } };
const index = imageIndex([annotated]);
const accept = {
  accept: Object.values(mediaTypes).join(', '),
  authorization: `Basic ${btoa('alice:secret')}`,
};

/** The same requests to any registry; each waits until its events have come, so that their order is that of the requests. */
async function use(registry: HttpRegistry, hook: Webhook): Promise<void> {
  const get = async (
    method: string,
    path: string,
    expect: number,
    headers: Record<string, string> = accept,
  ) => {
    await registry.send(method, `/v2/${path}`, { expect, headers });
  };
  const steps: readonly (readonly [count: number, step: () => Promise<unknown>])[] = [
    [1, () => registry.pushBlob('team/app', layer, 'chunks')],
    [1, () => registry.pushBlob('team/app', config)],
    [1, () => registry.pushManifest('team/app', 'v1', image)],
    [1, () => registry.pushManifest('team/app', 'index', index, mediaTypes.ociIndex)],
    [1, () => registry.pushManifest('team/app', digestOf(image), image)],
    [1, () => get('GET', 'team/app/manifests/v1', 200)],
    [1, () => get('HEAD', 'team/app/manifests/v1', 200)],
    [1, () => get('GET', `team/app/manifests/${digestOf(index)}`, 200)],
    [
      0,
      () => get('GET', 'team/app/manifests/v1', 304, { ...accept, 'if-none-match': `"${digestOf(image)}"` }),
    ],
    [1, () => get('GET', `team/app/blobs/${digestOf(layer)}`, 200)],
    [1, () => get('HEAD', `team/app/blobs/${digestOf(layer)}`, 200)],
    [1, () => get('GET', `team/app/blobs/${digestOf(layer)}`, 206, { range: 'bytes=2-5' })],
    [
      1,
      () => get('GET', `team/app/blobs/${digestOf(layer)}`, 304, { 'if-none-match': `"${digestOf(layer)}"` }),
    ],
    [0, () => get('GET', 'team/app/manifests/none', 404)],
    [1, () => registry.mount('team/other', 'team/app', digestOf(layer))],
    [
      1,
      () =>
        get('DELETE', `team/other/blobs/${digestOf(layer)}`, 202, {
          'x-forwarded-for': '10.1.2.3, 10.9.9.9',
        }),
    ],
    [2, () => get('DELETE', `team/app/manifests/${digestOf(image)}`, 202)],
  ];
  let expected = 0;
  for (const [count, step] of steps) {
    await step();
    expected += count;
    await waitFor(() => hook.requests.length >= expected);
    assert.equal(hook.requests.length, expected, String(hook.requests.at(-1)?.body));
  }
}

/** What differs from run to run made the same. */
function normalised(body: string, registry: HttpRegistry): string {
  return body
    .replaceAll(new URL(registry.url).host, 'HOST')
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UUID')
    .replaceAll(/"timestamp": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z"/g, '"timestamp": "TIME"')
    .replaceAll(/"addr": "127\.0\.0\.1:\d+"/g, '"addr": "CLIENT"');
}

/** Fields that are empty are the same as none, and their order does not count: 2.8 had other structs, without platforms. */
function meaning(body: string): unknown {
  return JSON.parse(body, (key, value: unknown) =>
    value === '' || value === 0 || key === 'platform' ? undefined : value,
  );
}

for (const distribution of distributions) {
  test(`${distribution.title} and our server post the same for the same requests`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'notifications-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const [ourHook, theirHook] = [await startWebhook(t), await startWebhook(t)];
    const settings = (hook: Webhook) => ({
      events: { includereferences: true },
      endpoints: [{ name: 'hook', url: hook.url, headers: { 'X-Token': ['one'] } }],
    });
    const { url } = await startServe(t, {
      environment: { REGISTRY_NOTIFICATIONS: JSON.stringify(settings(ourHook)) },
    });
    const ours = new HttpRegistry(url);
    const theirs = await serveWithDistribution(t, distribution, {
      config: join(folder, 'theirs.yml'),
      storage: join(folder, 'storage'),
      settings: { notifications: settings(theirHook) },
    });
    await use(ours, ourHook);
    await use(theirs, theirHook);
    for (const [number, { body, headers, method }] of theirHook.requests.entries()) {
      const request = ourHook.requests[number];
      assert.equal(request?.method, method);
      // 2.8 said v1 of the same.
      const type = headers['content-type']?.replace('events.v1', 'events.v2');
      assert.equal(request.headers['content-type'], type);
      assert.equal(request.headers['x-token'], headers['x-token']);
      const [mine, other] = [normalised(request.body, ours), normalised(body, theirs)];
      if (distribution.title.includes('3.')) assert.equal(mine, other);
      else assert.deepEqual(meaning(mine), meaning(other));
    }
  });
}
