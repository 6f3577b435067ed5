import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { digestOf, type Digest } from '../../src/oci/digest.ts';
import { mediaTypes } from '../../src/oci/media-type.ts';
import { startServe, type ServeProcess } from '../support/serve-process.ts';
import { imageIndex, imageManifest } from '../support/store-fixture.ts';
import { Acknowledged } from './acknowledged.ts';
import { run } from './command.ts';
import { HttpRegistry, randomImage } from './http-registry.ts';
import { testRandom, type SeededRandom } from './seeded-random.ts';

const program = join(import.meta.dirname, '../../bin/stevedore');
const REPOSITORY = 'team/app';

/** A running server with an index of two untagged images, a signature of it, an image that a tag has left, and a deleted one. */
interface Site {
  readonly server: ServeProcess;
  readonly registry: HttpRegistry;
  readonly config: string;
  /** What any collection must leave. */
  readonly needed: Acknowledged;
  /** A manifest that no tag leads to any more, with its blobs. */
  readonly untagged: readonly Digest[];
  /** A manifest that a client deleted, with its blobs. */
  readonly deleted: readonly Digest[];
}

async function prepare(t: TestContext): Promise<Site> {
  const random = testRandom(t);
  const server = await startServe(t);
  const registry = new HttpRegistry(server.url);
  const needed = new Acknowledged();
  const children = [await push(registry, random), await push(registry, random)];
  for (const [manifest, ...blobs] of children) {
    if (manifest !== undefined) needed.manifest(REPOSITORY, manifest);
    for (const blob of blobs) needed.blob(REPOSITORY, blob);
  }
  const index = imageIndex(children.flatMap(([digest]) => (digest === undefined ? [] : { digest })));
  needed.tagged(REPOSITORY, 'v1', await registry.pushManifest(REPOSITORY, 'v1', index, mediaTypes.ociIndex));

  const words = Buffer.from('signed');
  const config = { digest: await registry.pushBlob(REPOSITORY, words), size: words.length };
  const subject = { mediaType: mediaTypes.ociIndex, digest: digestOf(index), size: index.length };
  const signature = imageManifest(config, [], { subject });
  needed.manifest(REPOSITORY, await registry.pushManifest(REPOSITORY, digestOf(signature), signature));
  needed.blob(REPOSITORY, config.digest);

  const untagged = await push(registry, random, 'moves');
  const [moved, ...blobs] = await push(registry, random, 'moves');
  assert.ok(moved);
  needed.tagged(REPOSITORY, 'moves', moved);
  for (const blob of blobs) needed.blob(REPOSITORY, blob);

  const deleted = await push(registry, random, 'gone');
  await registry.send('DELETE', `/v2/${REPOSITORY}/manifests/${deleted[0]}`, { expect: 202 });
  return { server, registry, config: join(server.folder, 'config.yml'), needed, untagged, deleted };
}

/** @returns the digest of the manifest, then those of its blobs. */
async function push(registry: HttpRegistry, random: SeededRandom, tag?: string): Promise<readonly Digest[]> {
  const { blobs, manifest } = randomImage(random, 100_000);
  const digests = [];
  for (const blob of blobs) digests.push(await registry.pushBlob(REPOSITORY, blob));
  return [await registry.pushManifest(REPOSITORY, tag ?? digestOf(manifest), manifest), ...digests];
}

/** Whether a HEAD finds the manifest and its blobs: all of them, or none. */
async function isThere(registry: HttpRegistry, [manifest, ...blobs]: readonly Digest[]): Promise<boolean> {
  const answers = [
    await registry.send('HEAD', `/v2/${REPOSITORY}/manifests/${manifest}`),
    ...(await Promise.all(blobs.map((blob) => registry.send('HEAD', `/v2/${REPOSITORY}/blobs/${blob}`)))),
  ];
  const statuses = new Set(answers.map(({ status }) => status));
  assert.equal(statuses.size, 1, `some are there and some are not: ${[...statuses].join()}`);
  return statuses.has(200);
}

const collect = (...args: readonly string[]) => run(program, ['garbage-collect', ...args]);

test('beside a running server only what nothing refers to goes, and the server knows at once', async (t) => {
  const { registry, config, needed, untagged, deleted } = await prepare(t);
  const blobs = deleted.slice(1);

  const young = await collect(config);
  assert.equal(young.code, 0, young.stderr);
  assert.match(young.stdout, /^message +nothing to delete$/m, 'all of it is younger than two hours');

  const dry = await collect(config, '--dry-run', '--minimum-age=0s');
  assert.equal(dry.code, 0, dry.stderr);
  assert.match(dry.stdout, /^result +Succeeded \(dry run\)$/m);
  assert.match(dry.stdout, new RegExp(`^blobs +${deleted.length}$`, 'm'));
  for (const blob of blobs) await registry.send('HEAD', `/v2/${REPOSITORY}/blobs/${blob}`, { expect: 200 });

  const file = join(config, '../report.json');
  const real = await collect(config, '--minimum-age=0s', '--trash-grace=0s', `--report-file=${file}`);
  assert.equal(real.code, 0, real.stderr);
  // The report in JSON.
  const report = JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, unknown>>;
  assert.deepEqual([report['result'], report['blobsDeleted']], ['Succeeded', deleted.length]);
  assert.match(real.stdout, new RegExp(`^reclaimed +${String(report['bytesReclaimed'])} bytes$`, 'm'));
  for (const blob of blobs) await registry.send('HEAD', `/v2/${REPOSITORY}/blobs/${blob}`, { expect: 404 });
  await needed.verify(registry);
  assert.ok(await isThere(registry, untagged), 'what no tag leads to stays unless told otherwise');
});

test('untagged manifests go when told so; children of an index and signatures stay', async (t) => {
  const { registry, config, needed, untagged } = await prepare(t);
  const { code, stdout, stderr } = await collect(config, '-m', '--minimum-age=0s', '--trash-grace=0s');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^manifests +1$/m);
  await needed.verify(registry);
  assert.equal(await isThere(registry, untagged), false);
});

test('what lies in the trash comes back when somebody asks for it, and goes when its time is over', async (t) => {
  const { registry, config, needed, untagged } = await prepare(t);
  const { code, stdout, stderr } = await collect(config, '-m', '--minimum-age=0s');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^reclaimed +0 bytes$/m);
  assert.match(stdout, /^in the trash +[1-9]\d* bytes$/m);
  // As a client that is about to push the image again, and leaves out what is there.
  for (const blob of untagged.slice(1)) {
    await registry.send('HEAD', `/v2/${REPOSITORY}/blobs/${blob}`, { expect: 200 });
  }
  const later = await collect(config, '--minimum-age=0s', '--trash-grace=0s');
  assert.equal(later.code, 0, later.stderr);
  assert.match(later.stdout, /^reclaimed +[1-9]\d* bytes$/m);
  assert.match(later.stdout, /^in the trash +0 bytes$/m);
  assert.equal(await isThere(registry, untagged), false);
  await needed.verify(registry);
});

test('without a running server a collection fails with 1 and says what to do, and --offline does it', async (t) => {
  const { server, config } = await prepare(t);
  server.process.kill('SIGTERM');
  await once(server.process, 'exit');
  const options = [config, '--minimum-age=0s', '--trash-grace=0s'];
  const alone = await collect(...options);
  assert.equal(alone.code, 1);
  assert.match(alone.stdout, /^message +no running server of this storage answered.*--offline$/m);
  const offline = await collect(...options, '--offline');
  assert.equal(offline.code, 0, offline.stderr);
  assert.match(offline.stdout, /^message +deleted 0 manifests, [1-9]/m);
});

test('wrong use is told and exits with 2', async (t) => {
  const { config } = await prepare(t);
  const wrong = await collect(config, '--minimum-age=soon');
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /--minimum-age: 'soon' is not a duration such as 90s, 15m or 2h/);
  assert.equal((await collect()).code, 2);
  const missing = await collect('/no/such/config.yml');
  assert.equal(missing.code, 2);
  assert.equal(missing.stderr, '/no/such/config.yml: cannot be read: ENOENT\n');
});
