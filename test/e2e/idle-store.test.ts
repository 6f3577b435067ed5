import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { writeRegistryTree } from '../../bench/registry-tree.ts';
import { startServe, type ServeProcess } from '../support/serve-process.ts';
import { startCollector } from './collector-process.ts';
import { HttpRegistry, UnexpectedAnswer, randomImage } from './http-registry.ts';
import { testRandom, type SeededRandom } from './seeded-random.ts';
import { waitFor } from './wait.ts';

/** As in the benchmark: 4,400 manifests, of which half have no tag. */
const TREE = { repositories: 22, images: 200, tagged: 100 };
const UNTAGGED = 2200;
/** Half a minute goes by until a busy disk has as many files, and the figures are about more than it. */
const MEMORY = '/dev/shm';
const WRITABLE_WITHIN_MS = 60_000;

suite('a store of 4,400 manifests whose servers are idle', { concurrency: true }, () => {
  test('is read-only for as long as the sweep takes, and seconds more', async (t) => {
    const { folder } = await prepare(t);
    const report = await startCollector(t, join(folder, 'config.yml'), ['--delete-untagged']).ended;
    assert.equal(report.result, 'Succeeded', report.message);
    assert.equal(report.manifestsDeleted, UNTAGGED);
    const { sweep = 0 } = report.phaseSeconds;
    const besides = report.readOnlySeconds - sweep;
    t.diagnostic(
      `read-only for ${report.readOnlySeconds} s: the sweep of ${sweep} s and ${besides.toFixed(1)} s more`,
    );
    // 2 s on a machine that does nothing else.
    assert.ok(besides <= 10);
  });

  test('takes writes a minute after the collector was killed, at a server that nobody had asked for anything', async (t) => {
    const { folder, storage, random, serve } = await prepare(t);
    const [first, second] = [await serve(), await serve()];
    const collector = startCollector(t, join(folder, 'config.yml'), ['--delete-untagged']);
    await waitFor('the sweep', async () => hasBegunToSweep(storage), { interval: 1 });
    await collector.kill();
    const killed = performance.now();
    const left = blobs(storage);
    assert.ok(left > 3 * UNTAGGED, `it was in the sweep, and ${left} blobs are left`);

    // The one is asked all the time, the other not before the first has answered.
    for (const { url } of [first, second]) {
      const refused = await pushWhenPossible(new HttpRegistry(url), random);
      const seconds = (performance.now() - killed) / 1000;
      t.diagnostic(
        `writes worked again ${seconds.toFixed(1)} s after the kill; ${refused} pushes were refused`,
      );
      assert.ok(seconds * 1000 < WRITABLE_WITHIN_MS);
    }
    const report = await startCollector(t, join(folder, 'config.yml'), ['--delete-untagged']).ended;
    assert.equal(report.result, 'Succeeded', report.message);
    assert.equal(revisions(storage), UNTAGGED + 2, 'the next run finishes the work');
  });
});

interface Site {
  readonly folder: string;
  readonly storage: string;
  readonly random: SeededRandom;
  /** Starts one more server. */
  readonly serve: () => Promise<ServeProcess>;
}

/** With a server that has started and was not asked for anything since. */
async function prepare(t: TestContext): Promise<Site> {
  const random = testRandom(t);
  const folder = mkdtempSync(join(tmpdir(), 'idle-store-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const storage = mkdtempSync(join(MEMORY, 'idle-store-'));
  t.after(() => rmSync(storage, { recursive: true, force: true }));
  writeRegistryTree(storage, TREE);
  const serve = (): Promise<ServeProcess> =>
    startServe(t, { folder, storage: { filesystem: { rootdirectory: storage } } });
  await serve();
  return { folder, storage, random, serve };
}

/** Links of manifests go first. */
function hasBegunToSweep(storage: string): boolean {
  const trash = join(storage, 'docker/registry/stevedore/trash');
  return existsSync(trash) && readdirSync(trash).length > 0;
}

function revisions(storage: string): number {
  const repositories = join(storage, 'docker/registry/v2/repositories');
  return readdirSync(repositories, { recursive: true, encoding: 'utf8' }).filter((path) =>
    /\/_manifests\/revisions\/.*\/link$/.test(path),
  ).length;
}

function blobs(storage: string): number {
  const folder = join(storage, 'docker/registry/v2/blobs');
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('/data'))
    .length;
}

/** As a client that does not give up. @returns how often it was refused. */
async function pushWhenPossible(registry: HttpRegistry, random: SeededRandom): Promise<number> {
  const { blobs, manifest } = randomImage(random, 10_000);
  for (let refused = 0; ; refused++) {
    try {
      for (const blob of blobs) await registry.pushBlob('new/app', blob);
      await registry.pushManifest('new/app', `v${random.integer(2 ** 32)}`, manifest);
      return refused;
    } catch (error) {
      if (!(error instanceof UnexpectedAnswer) || error.answer.status !== 503) throw error;
    }
  }
}
