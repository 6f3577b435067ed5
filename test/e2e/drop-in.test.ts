import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { digestHex, digestOf, type Digest } from '../../src/oci/digest.ts';
import { startServe } from '../support/serve-process.ts';
import { Acknowledged } from './acknowledged.ts';
import { startCollector } from './collector-process.ts';
import {
  collectWithDistribution,
  distributions,
  serveWithDistribution,
  type Distribution,
} from './distribution.ts';
import { HttpRegistry, randomImage } from './http-registry.ts';
import { testRandom } from './seeded-random.ts';
import { UPLOAD_SECRET, fill, pushImage, testSharedStore, type SharedStore } from './support/shared-store.ts';

/** A folder that ours and distribution's server serve at the same time. */
interface SharedFolder extends SharedStore {
  readonly storage: string;
}

async function share(t: TestContext, distribution: Distribution): Promise<SharedFolder> {
  const random = testRandom(t);
  const folder = mkdtempSync(join(tmpdir(), 'drop-in-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const storage = join(folder, 'storage');
  const { url } = await startServe(t, { folder });
  const theirs = await serveWithDistribution(t, distribution, {
    config: join(folder, 'theirs.yml'),
    storage,
    settings: { http: { addr: '127.0.0.1:0', secret: UPLOAD_SECRET } },
  });
  return { ours: new HttpRegistry(url), theirs, folder, storage, random };
}

function dataOf(storage: string, digest: Digest): string {
  const hex = digestHex(digest);
  return join(storage, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data');
}

for (const distribution of distributions) {
  const { title } = distribution;

  testSharedStore(title, (t) => share(t, distribution));

  test(`${title} collects garbage in our folder and leaves what our server needs`, async (t) => {
    const { ours, theirs, random, folder, storage } = await share(t, distribution);
    const ledger = await fill(ours, random);
    const image = randomImage(random);
    const digest = await pushImage(ours, 'team/app', 'gone', image, new Acknowledged(), random);
    await ours.send('DELETE', `/v2/team/app/manifests/${digest}`, { expect: 202 });
    await collectWithDistribution(distribution, { config: join(folder, 'theirs.yml'), storage });
    for (const blob of [...image.blobs, image.manifest]) {
      assert.ok(!existsSync(dataOf(storage, digestOf(blob))) || blob.length === 0);
      await ours.send('HEAD', `/v2/team/app/blobs/${digestOf(blob)}`, { expect: 404 });
    }
    await ledger.verify(ours);
    await ledger.verify(theirs);
    await pushImage(ours, 'team/app', 'back', image, ledger, random);
    await ledger.verify(ours);
    await ledger.verify(theirs);
  });

  test(`our garbage collection in the folder of ${title} leaves what it needs, and stops when it meets its uploads`, async (t) => {
    const { ours, theirs, random, folder, storage } = await share(t, distribution);
    const config = join(folder, 'config.yml');
    const ledger = await fill(theirs, random);
    const image = randomImage(random);
    const digest = await pushImage(theirs, 'team/app', 'gone', image, new Acknowledged(), random);
    await theirs.send('DELETE', `/v2/team/app/manifests/${digest}`, { expect: 202 });
    const start = await theirs.startUpload('team/app');
    const bytes = random.bytes(100_000);
    const location = await theirs.patch(start, bytes, 0);

    const refused = await startCollector(t, config).ended;
    assert.equal(refused.result, 'Failed');
    assert.match(refused.message, /something else writes to this storage.*--offline/);
    assert.ok(image.blobs.every((blob) => existsSync(dataOf(storage, digestOf(blob)))));

    const report = await startCollector(t, config, ['--offline']).ended;
    assert.equal(report.result, 'Succeeded', report.message);
    const left = [...image.blobs, image.manifest].filter((blob) =>
      existsSync(dataOf(storage, digestOf(blob))),
    );
    assert.deepEqual(left, []);
    await ledger.verify(theirs);
    await ledger.verify(ours);
    await theirs.finish(location, digestOf(bytes));
    await pushImage(theirs, 'team/app', 'back', image, ledger, random);
    await ledger.verify(theirs);
    await ledger.verify(ours);
  });
}
