import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRetentionRules } from '../../../../src/contract/retention-rules.ts';
import type { Digest } from '../../../../src/oci/digest.ts';
import { collect, type CollectOptions } from '../../../../src/registry/collect/collect.ts';
import type { TagVerdict } from '../../../../src/registry/collect/retention.ts';
import { PullRecorder } from '../../../../src/registry/pulls/pull-recorder.ts';
import { InMemoryStore } from '../../../../src/registry/storage/object-store/in-memory-store.ts';
import { createObjectDriver } from '../../../../src/registry/storage/object-store/object-driver.ts';
import { revisionLinkPath, tagCurrentLinkPath } from '../../../../src/registry/storage/paths.ts';
import { logSink } from '../../../support/log-sink.ts';
import { MemoryDriver } from '../../../support/memory-driver.ts';
import { RegistryContent, repositoryName, tagName } from '../../../support/registry-content.ts';
import { createStores } from '../../../support/store-fixture.ts';
import { openPermit } from '../../../support/open-gate.ts';
import { TestClock } from '../../../support/test-clock.ts';

const app = repositoryName('library/app');
const HOUR = 3600_000;

function registry(kind: 'disk' | 'bucket' = 'disk') {
  const clock = new TestClock();
  const driver =
    kind === 'disk'
      ? new MemoryDriver(() => clock.now())
      : createObjectDriver(new InMemoryStore(() => clock.now()), { rootDirectory: '' });
  const content = new RegistryContent(driver);
  let runs = 0;
  return {
    clock,
    driver,
    content,
    tags: createStores(driver, clock).tags,
    /** An image of its own under a tag. */
    push: async (tag: string): Promise<Digest> => {
      const image = await content.image([await content.blob(`layer of ${tag}`)], {
        config: `{"a":"${tag}"}`,
      });
      await content.tag(tag, image);
      return image;
    },
    collect: async (rules: string, change: Partial<CollectOptions> = {}) => {
      const verdicts: TagVerdict[] = [];
      const report = await collect(
        {
          dryRun: false,
          deleteUntagged: true,
          minimumAge: 2 * HOUR,
          trashGrace: 24 * HOUR,
          drainTimeout: 0,
          offline: true,
          retention: parseRetentionRules(rules),
          ...change,
        },
        {
          driver,
          clock,
          log: logSink().log,
          run: `run${++runs}`,
          random: () => 0,
          signal: new AbortController().signal,
          judged: (verdict) => verdicts.push(verdict),
        },
      );
      assert.equal(report.result, 'Succeeded', report.message);
      const said = Object.fromEntries(
        verdicts.map(({ tag, keep, reason }) => [tag, keep ? reason : 'delete']),
      );
      return { report, said };
    },
  };
}

const keepOne = 'retention: [{repositories: ["library/*"], keepTags: {mostRecent: 1}}]';

for (const kind of ['disk', 'bucket'] as const) {
  test(`tags that no condition keeps go with their images, on a ${kind}`, async () => {
    const { clock, collect, driver, push, tags } = registry(kind);
    const old = await push('old');
    await clock.advance(HOUR);
    await push('new');
    await clock.advance(3 * HOUR);
    const { report } = await collect(keepOne);
    assert.deepEqual([report.tagsDeleted, report.manifestsDeleted], [1, 1]);
    assert.deepEqual(await tags.list(app), ['new']);
    await assert.rejects(driver.stat(revisionLinkPath(app, old)));
    assert.equal(await tags.resolve(app, tagName('old')), undefined, 'a reader does not bring it back');
    assert.equal((await collect(keepOne)).report.message, 'nothing to delete');
  });
}

test('without a rule for their repository all tags stay', async () => {
  const { clock, collect, push } = registry();
  await push('v1');
  await clock.advance(3 * HOUR);
  const { said } = await collect('retention: [{repositories: [other], keepTags: {mostRecent: 1}}]', {
    dryRun: true,
  });
  assert.deepEqual(said, { v1: 'NoRule' });
});

test('the first rule that is about a repository decides', async () => {
  const { clock, collect, push } = registry();
  await push('v1');
  await push('latest');
  await clock.advance(3 * HOUR);
  const { said } = await collect(
    'retention: [{repositories: [library/app], keepTags: {patterns: [v*]}}, {repositories: ["**"], keepTags: {patterns: ["*"]}}]',
    { dryRun: true },
  );
  assert.deepEqual(said, { v1: 'Pattern', latest: 'delete' });
});

test('a dry run says of each tag why it stays or that it goes, and changes nothing', async () => {
  const { clock, collect, push, tags } = registry();
  await push('old');
  await push('v1');
  await clock.advance(100 * HOUR);
  await push('recent');
  await clock.advance(HOUR);
  await push('last');
  await clock.advance(9 * HOUR);
  await push('young');
  await clock.advance(HOUR);
  const { said, report } = await collect(
    'retention: [{repositories: ["**"], keepTags: {patterns: [v*], mostRecent: 2, pushedWithin: 24h}}]',
    { dryRun: true },
  );
  assert.deepEqual(said, {
    old: 'delete',
    v1: 'Pattern',
    recent: 'PushedWithin',
    last: 'MostRecent',
    young: 'Young',
  });
  assert.equal(report.tagsDeleted, 1);
  assert.equal((await tags.list(app)).length, 5);
});

test('a tag that was pulled stays, by its name or its digest, as long as the rule says', async () => {
  const { clock, collect, driver, push } = registry();
  const rules = 'retention: [{repositories: ["**"], keepTags: {pulledWithin: 48h}}]';
  for (const tag of ['by-name', 'unused']) await push(tag);
  const byDigest = await push('by-digest');
  await clock.advance(10 * HOUR);
  assert.equal((await collect(rules, { dryRun: true })).said['unused'], 'PulledWithin', 'a push is a use');
  await clock.advance(40 * HOUR);
  assert.equal((await collect(rules, { dryRun: true })).said['unused'], 'PullsUnknown');
  const server = new PullRecorder({ driver, clock, log: logSink().log, serverId: 'a' });
  await clock.advance(40 * HOUR);
  server.record(app, tagName('by-name'));
  server.record(app, byDigest);
  await server.stop();
  assert.equal(
    (await collect(rules, { dryRun: true })).said['unused'],
    'PullsUnknown',
    'not recorded for 48 h',
  );
  await clock.advance(9 * HOUR);
  const { said } = await collect(rules, { dryRun: true });
  assert.deepEqual(said, { 'by-name': 'PulledWithin', unused: 'delete', 'by-digest': 'PulledWithin' });
});

test('what is tagged after a digest stays and goes with it, and is none of the last tags', async () => {
  const { clock, collect, content, push, tags } = registry();
  const sign = async (image: Digest): Promise<string> => {
    const tag = `${image.replace(':', '-')}.sig`;
    await content.tag(tag, await content.image([], { config: `{"signs":"${image}"}` }));
    return tag;
  };
  const old = await push('old');
  await clock.advance(HOUR);
  const kept = await push('new');
  await clock.advance(HOUR);
  const [ofOld, ofKept] = [await sign(old), await sign(kept)];
  await clock.advance(3 * HOUR);
  const { said } = await collect(keepOne, { dryRun: true });
  assert.deepEqual(said, { old: 'delete', new: 'MostRecent', [ofOld]: 'delete', [ofKept]: 'Subject' });
  await collect(keepOne, { deleteUntagged: false });
  assert.deepEqual(
    (await tags.list(app)).toSorted(),
    ['new', ofKept, ofOld].toSorted(),
    'both manifests stay',
  );
  await collect(keepOne);
  assert.deepEqual((await tags.list(app)).toSorted(), ['new', ofKept].toSorted());
});

test('a tag that was deleted can be pushed again', async () => {
  const { clock, collect, driver, push, tags } = registry();
  await push('old');
  await clock.advance(HOUR);
  await push('new');
  await clock.advance(3 * HOUR);
  await collect(keepOne);
  const again = await push('old');
  assert.equal(await tags.resolve(app, tagName('old')), again);
  await tags.remove(app, tagName('old'), openPermit);
  assert.equal(await tags.resolve(app, tagName('old')), undefined);
  await assert.rejects(driver.stat(tagCurrentLinkPath(app, tagName('old'))));
});
