import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRetentionRules } from '../../../../src/contract/retention-rules.ts';
import type { Digest } from '../../../../src/oci/digest.ts';
import { collect, type CollectOptions } from '../../../../src/registry/collect/collect.ts';
import { Pace } from '../../../../src/registry/scrub/pace.ts';
import { scrubRepositories } from '../../../../src/registry/scrub/scrub-repositories.ts';
import { InMemoryStore } from '../../../../src/registry/storage/object-store/in-memory-store.ts';
import { createObjectDriver } from '../../../../src/registry/storage/object-store/object-driver.ts';
import { blobDataPath, SERVERS_ROOT } from '../../../../src/registry/storage/paths.ts';
import { encodeAnnouncement } from '../../../../src/registry/lease/announcement.ts';
import { logSink } from '../../../support/log-sink.ts';
import { RegistryContent } from '../../../support/registry-content.ts';
import { TestClock } from '../../../support/test-clock.ts';

const HOUR = 3600_000;

const keyOf = (digest: Digest): string => blobDataPath(digest).slice(1);

/** Remembers what it was asked for. */
class AskedStore extends InMemoryStore {
  readonly asked: string[] = [];

  override async get(key: string) {
    this.asked.push(key);
    return super.get(key);
  }

  override async head(key: string) {
    this.asked.push(key);
    return super.head(key);
  }

  override list(prefix: string, options: { readonly shallow: boolean }) {
    this.asked.push(prefix);
    return super.list(prefix, options);
  }

  async deleteWithin(key: string): Promise<boolean> {
    await this.delete([key]);
    return true;
  }

  twice(): string[] {
    return this.asked.filter((key, index) => this.asked.indexOf(key) !== index);
  }
}

/** Repositories in a bucket that share an image, each with an image and a blob that nothing needs. */
async function bucket(repositories = ['library/app', 'library/app-next']) {
  const clock = new TestClock();
  const store = new AskedStore(() => clock.now());
  const driver = createObjectDriver(store, { rootDirectory: '' });
  let garbage = '';
  for (const repository of repositories) {
    const content = new RegistryContent(driver, repository);
    const shared = await content.blob('shared');
    const image = await content.image([shared]);
    await content.tag('latest', await content.index([image]));
    const layers = [shared, await content.blob(`only in ${repository}`)];
    await content.image(layers, { config: '{"a":1}' });
    garbage = keyOf(await content.blob('garbage'));
  }
  await clock.advance(3 * HOUR);
  store.asked.length = 0;
  const run = (change: Partial<CollectOptions> = {}) =>
    collect(
      {
        dryRun: true,
        deleteUntagged: true,
        minimumAge: HOUR,
        trashGrace: 0,
        drainTimeout: 0,
        offline: true,
        ...change,
      },
      {
        driver,
        clock,
        log: logSink().log,
        run: 'run',
        random: () => 0,
        signal: new AbortController().signal,
      },
    );
  return { clock, driver, run, store, garbage };
}

test('a look asks a bucket for nothing twice', async () => {
  const { run, store } = await bucket();
  const report = await run();
  assert.deepEqual([report.manifestsDeleted, report.blobsDeleted], [2, 6], report.message);
  assert.deepEqual(store.twice(), []);
});

for (const [title, offline, times] of [
  ['in the look and under the lease', false, 2],
  ['under the lease alone where nothing serves', true, 1],
] as const) {
  test(`what goes is asked for ${title}, and not once more before it goes`, async () => {
    const { run, store, driver, garbage } = await bucket();
    const idle = { server: 'server', state: 'idle', runs: [], holds: [], writes: 0, uploads: 0 } as const;
    await driver.putContent(`${SERVERS_ROOT}/server`, encodeAnnouncement(idle));
    const report = await run({ dryRun: false, offline });
    assert.deepEqual([report.blobsDeleted, report.result], [6, 'Succeeded'], report.message);
    assert.equal(store.asked.filter((key) => key === 'docker/registry/v2/blobs/sha256/').length, times);
    assert.equal(store.asked.includes(garbage), false, 'the list says all of it');
  });
}

test('the tags of a repository that no rule is about are not asked for their age', async () => {
  const { run, store } = await bucket();
  const retention = parseRetentionRules(
    'retention: [{ repositories: [other], keepTags: { mostRecent: 1 } }]',
  );
  assert.equal((await run({ retention })).result, 'Succeeded');
  assert.deepEqual(store.twice(), []);
});

test('a scrub asks a bucket for nothing twice within a repository, before it reads all data', async () => {
  const { driver, clock, store } = await bucket(['library/app']);
  const deps = {
    driver,
    signal: new AbortController().signal,
    pace: new Pace(clock, Number.POSITIVE_INFINITY),
    atOnce: 2,
    found: () => assert.fail('nothing is wrong'),
    rules: { mustExist: () => true },
  };
  await scrubRepositories(deps);
  assert.deepEqual(store.twice(), []);
});
