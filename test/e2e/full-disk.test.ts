import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { digestOf } from '../../src/oci/digest.ts';
import { startServe } from '../support/serve-process.ts';
import { Acknowledged } from './acknowledged.ts';
import { run, succeed } from './command.ts';
import { HttpRegistry, UnexpectedAnswer, randomImage, randomWay } from './http-registry.ts';
import { testRandom, type SeededRandom } from './seeded-random.ts';

const DISK_BYTES = 48 * 1024 * 1024;
const PUSHERS = 4;

/** A file system of its own, which is unmounted with the test. */
async function mountDisk(t: TestContext): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'full-disk-'));
  const [image, place] = [join(folder, 'image'), join(folder, 'disk')];
  writeFileSync(image, '');
  truncateSync(image, DISK_BYTES);
  mkdirSync(place);
  await succeed('mkfs.ext4', ['-q', '-m', '0', image]);
  await succeed('mount', ['-o', 'loop', image, place]);
  t.after(async () => {
    await succeed('umount', [place]);
    rmSync(folder, { recursive: true });
  });
  return place;
}

/** Pushes until the registry refuses; returns what it said. */
async function pushUntilRefused(
  registry: HttpRegistry,
  ledger: Acknowledged,
  repository: string,
  random: SeededRandom,
): Promise<UnexpectedAnswer> {
  for (let image = 0; ; image++) {
    try {
      const { blobs, manifest } = randomImage(random);
      for (const blob of blobs)
        ledger.blob(repository, await registry.pushBlob(repository, blob, randomWay(random)));
      ledger.willTag(repository, `v${image}`, digestOf(manifest));
      await registry.pushManifest(repository, `v${image}`, manifest);
      ledger.tagged(repository, `v${image}`, digestOf(manifest));
    } catch (error) {
      if (error instanceof UnexpectedAnswer) return error;
      throw error;
    }
  }
}

function blobsOnDisk(storage: string): readonly string[] {
  return readdirSync(join(storage, 'docker/registry/v2/blobs'), { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('/data'),
  );
}

test('a disk that fills up costs pushes a clear answer and nothing that was acknowledged', async (t) => {
  const random = testRandom(t);
  const disk = await mountDisk(t);
  // In the way until somebody makes room.
  const ballast = join(disk, 'ballast');
  writeFileSync(ballast, Buffer.alloc(20 * 1024 * 1024));
  const storage = join(disk, 'storage');
  const server = await startServe(t, { storage: { filesystem: { rootdirectory: storage } } });
  const registry = new HttpRegistry(server.url);
  const ledger = new Acknowledged();
  const refusals = await Promise.all(
    Array.from({ length: PUSHERS }, (_, index) =>
      pushUntilRefused(registry, ledger, `team/app-${index}`, random.fork(String(index))),
    ),
  );
  for (const { answer } of refusals) {
    assert.equal(answer.status, 503, answer.bytes.toString());
    assert.match(answer.bytes.toString(), /volume of the registry is full \(ENOSPC\): make it larger/);
  }
  const { bavail, bsize } = statfsSync(disk);
  t.diagnostic(`refused with ${bavail * bsize} bytes left, after ${ledger.size} blobs, manifests and tags`);

  await ledger.verify(registry);
  for (const name of blobsOnDisk(storage)) {
    const hex = name.split('/').at(-2) ?? '';
    const bytes = readFileSync(join(storage, 'docker/registry/v2/blobs', name));
    assert.equal(digestOf(bytes), `sha256:${hex}`, `${name} is half a blob`);
  }
  assert.equal((await fetch(new URL('/readyz', server.statusUrl))).status, 200, 'reads go on');

  rmSync(ballast);
  const { blobs, manifest } = randomImage(random);
  for (const blob of blobs) await registry.pushBlob('team/afterwards', blob);
  ledger.tagged('team/afterwards', 'v1', await registry.pushManifest('team/afterwards', 'v1', manifest));
  await ledger.verify(registry);
});

/** Takes the last block, so that not even a small file has room. */
function fill(disk: string): void {
  const ballast = join(disk, 'ballast');
  for (let bytes = 1024 * 1024; bytes >= 512; bytes /= 2) {
    try {
      for (;;) appendFileSync(ballast, Buffer.alloc(bytes, 1));
    } catch (error) {
      assert.match(String(error), /ENOSPC/);
    }
  }
}

test('a disk without a free block is writable again after a delete and a collection', async (t) => {
  const random = testRandom(t);
  const disk = await mountDisk(t);
  const storage = join(disk, 'storage');
  const server = await startServe(t, { storage: { filesystem: { rootdirectory: storage } } });
  const reserve = join(storage, 'docker/registry/stevedore/reserve');
  assert.ok(existsSync(reserve), 'made at start');
  const registry = new HttpRegistry(server.url);
  const ledger = new Acknowledged();
  const push = async (repository: string): Promise<string> => {
    const { blobs, manifest } = randomImage(random, 64 * 1024);
    for (const blob of blobs) await registry.pushBlob(repository, blob);
    return registry.pushManifest(repository, 'v1', manifest);
  };
  const [kept, gone] = ['team/kept', 'team/gone'];
  for (let image = 0; image < 40; image++) await push(`${gone}-${image}`);
  const { blobs, manifest } = randomImage(random, 64 * 1024);
  for (const blob of blobs) ledger.blob(kept, await registry.pushBlob(kept, blob));
  ledger.tagged(kept, 'v1', await registry.pushManifest(kept, 'v1', manifest));
  fill(disk);
  await assert.rejects(registry.pushManifest(kept, 'v2', manifest), UnexpectedAnswer);

  for (let image = 0; image < 40; image++) {
    const path = `/v2/${gone}-${image}/manifests/`;
    const { headers } = await registry.send('HEAD', `${path}v1`, { expect: 200 });
    await registry.send('DELETE', path + String(headers.get('docker-content-digest')), { expect: 202 });
  }
  fill(disk);
  const collected = await run(process.execPath, [
    join(import.meta.dirname, '../../src/main.ts'),
    'garbage-collect',
    '--minimum-age=0s',
    '--trash-grace=0s',
    '--format=json',
    join(server.folder, 'config.yml'),
  ]);
  assert.equal(collected.code, 0, collected.stdout + collected.stderr);
  t.diagnostic(collected.stdout);
  assert.ok(existsSync(reserve), 'made again');
  await push('team/afterwards');
  await ledger.verify(registry);
});
