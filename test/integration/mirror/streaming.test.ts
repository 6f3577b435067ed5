import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { request, type Dispatcher } from 'undici';
import { openMirrorStage } from '../../support/mirror-stage.ts';
import { pushImage } from '../../support/push-image.ts';
import type { TestMirror } from '../../support/test-mirror.ts';
import { waitFor } from '../../support/wait-for.ts';

const MIB = 1024 * 1024;

/** The digest of what came, or the reason why it broke off. */
async function pull(url: string): Promise<string> {
  const answer = await request(url);
  assert.equal(answer.statusCode, 200);
  const hash = createHash('sha256');
  for await (const chunk of answer.body) hash.update(chunk as Buffer); // a body is bytes
  return `sha256:${hash.digest('hex')}`;
}

/** Reads so many bytes of an answer, and leaves. */
async function leaveAfter({ body }: Dispatcher.ResponseData, bytes: number): Promise<void> {
  let read = 0;
  for await (const chunk of body) {
    read += (chunk as Buffer).length; // a body is bytes
    if (read >= bytes) return;
  }
}

/** Data of blobs that the mirror keeps; manifests are among them. */
function keptBlobs({ folder }: TestMirror): readonly string[] {
  return readdirSync(join(folder, 'storage'), { recursive: true, encoding: 'utf8' }).filter((path) =>
    /\/blobs\/.*\/data$/.test(path),
  );
}

test('a cold blob costs one request to the upstream, whoever asks for which part of it', async (t) => {
  const { mirror, upstream, registry } = await openMirrorStage(t);
  const { layers } = await pushImage(registry, 'team/app', 'v1', [randomBytes(2 * MIB)]);
  const digest = layers[0] ?? '';
  upstream.rule({ path: /blobs/ }, { bytesPerSecond: 16 * MIB });
  const url = `${mirror.url}/v2/team/app/blobs/${digest}`;
  const whole = Array.from({ length: 20 }, () => pull(url));
  const heads = Array.from({ length: 5 }, async () => {
    const { statusCode, headers, body } = await request(url, { method: 'HEAD' });
    await body.dump();
    return [statusCode, headers['content-length']];
  });
  const parts = Array.from({ length: 5 }, async (_, index) => {
    const from = index * 100_000;
    const answer = await request(url, { headers: { range: `bytes=${from}-${from + 999}` } });
    return [answer.statusCode, (await answer.body.bytes()).length];
  });
  assert.deepEqual(new Set(await Promise.all(whole)), new Set([digest]));
  for (const head of await Promise.all(heads)) assert.deepEqual(head, [200, String(2 * MIB)]);
  for (const part of await Promise.all(parts)) assert.deepEqual(part, [206, 1000]);
  assert.equal(upstream.count('GET', /blobs/), 1);
  assert.equal(upstream.count('HEAD', /blobs/), 0);
});

test('who leaves, or reads slowly, neither stops nor slows the others', async (t) => {
  const { mirror, upstream, registry } = await openMirrorStage(t);
  const { layers } = await pushImage(registry, 'team/app', 'v1', [randomBytes(16 * MIB)]);
  const digest = layers[0] ?? '';
  const url = `${mirror.url}/v2/team/app/blobs/${digest}`;
  // Nobody reads this one, which is the first, until all others have what they want.
  const slow = await request(url);
  const leaving = await request(url);
  await leaveAfter(leaving, 4 * MIB);
  assert.equal(await pull(url), digest);
  await waitFor(() => keptBlobs(mirror).length === 1);
  const hash = createHash('sha256');
  for await (const chunk of slow.body) hash.update(chunk as Buffer); // a body is bytes
  assert.equal(`sha256:${hash.digest('hex')}`, digest);
  assert.equal(upstream.count('GET', /blobs/), 1);
});

test('a fetch goes on when all have left, and the blob is kept', async (t) => {
  const { mirror, upstream, registry } = await openMirrorStage(t);
  const { layers } = await pushImage(registry, 'team/app', 'v1', [randomBytes(8 * MIB)]);
  const url = `${mirror.url}/v2/team/app/blobs/${layers[0]}`;
  upstream.rule({ path: /blobs/ }, { stallAfter: 2 * MIB });
  await leaveAfter(await request(url), MIB);
  upstream.clear();
  await waitFor(() => keptBlobs(mirror).length === 1);
  await upstream.down();
  assert.equal(await pull(url), layers[0]);
  assert.equal(upstream.count('GET', /blobs/), 1);
});

test('a fetch that breaks goes on where it was', async (t) => {
  const { mirror, upstream, registry } = await openMirrorStage(t);
  const { layers } = await pushImage(registry, 'team/app', 'v1', [randomBytes(4 * MIB)]);
  upstream.rule({ path: /blobs/ }, { cutAfter: MIB }, { times: 2 });
  assert.equal(await pull(`${mirror.url}/v2/team/app/blobs/${layers[0]}`), layers[0]);
  assert.deepEqual(
    upstream.requests.filter(({ path }) => path.includes('blobs')).map(({ headers }) => headers.range),
    [undefined, `bytes=${MIB}-`, `bytes=${2 * MIB}-`],
  );
});

test('wrong bytes reach nobody as a whole, are not kept, and harm no later pull', async (t) => {
  const { mirror, upstream, registry } = await openMirrorStage(t);
  const { layers } = await pushImage(registry, 'team/app', 'v1', [randomBytes(2 * MIB)]);
  const url = `${mirror.url}/v2/team/app/blobs/${layers[0]}`;
  upstream.rule({ path: /blobs/ }, { flip: MIB });
  for (const outcome of await Promise.allSettled([pull(url), pull(url), pull(url)]))
    assert.equal(outcome.status, 'rejected');
  assert.deepEqual(keptBlobs(mirror), []);
  upstream.clear();
  assert.equal(await pull(url), layers[0]);
});

test('a blob that came wrong twice is refused at once for a while, so that clients take it from elsewhere', async (t) => {
  const { mirror, upstream, registry } = await openMirrorStage(t);
  const { layers } = await pushImage(registry, 'team/app', 'v1', [randomBytes(MIB), 'another']);
  const [url = '', other = ''] = layers.map((layer) => `${mirror.url}/v2/team/app/blobs/${layer}`);
  upstream.rule({ path: /blobs/ }, { flip: 0 });
  for (let times = 1; times <= 2; times++) {
    await assert.rejects(pull(url));
    assert.equal(upstream.count('GET', /blobs/), times);
  }
  const refused = await request(url);
  assert.equal(refused.statusCode, 503);
  assert.match(await refused.body.text(), /came wrong/);
  assert.equal(upstream.count('GET', /blobs/), 2);
  upstream.clear();
  assert.equal(await pull(other), layers[1]);
  mirror.clock.advance(30_000);
  assert.equal(await pull(url), layers[0]);
});

test('a failure before the first byte is an answer, and no broken connection', async (t) => {
  const { mirror, upstream, registry } = await openMirrorStage(t);
  const { layers } = await pushImage(registry, 'team/app', 'v1', ['layer']);
  const url = `${mirror.url}/v2/team/app/blobs/${layers[0]}`;
  const outcomes: number[] = [];
  for (const status of [404, 403, 429, 500]) {
    upstream.rule({ path: /blobs/ }, { status });
    const { statusCode, body } = await request(url, { headers: { range: 'bytes=1-2' } });
    await body.dump();
    outcomes.push(statusCode);
    upstream.clear();
    mirror.clock.advance(15 * 60_000);
  }
  assert.deepEqual(outcomes, [404, 404, 503, 503]);
});

test('a server that stops ends fetches that are under way', async (t) => {
  const { mirror, upstream, registry } = await openMirrorStage(t, {
    sections: { http: { draintimeout: '100ms' } },
  });
  const { layers } = await pushImage(registry, 'team/app', 'v1', [randomBytes(2 * MIB)]);
  upstream.rule({ path: /blobs/ }, { stallAfter: MIB });
  const answer = await request(`${mirror.url}/v2/team/app/blobs/${layers[0]}`);
  const broken = once(answer.body, 'error');
  answer.body.resume();
  await mirror.stop();
  await broken;
  assert.deepEqual(keptBlobs(mirror), []);
});
