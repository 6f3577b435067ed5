import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { stevedore } from '../../bench/contenders.ts';
import { runRounds } from '../../bench/rounds.ts';
import { prepareLoad, scenarios } from '../../bench/scenarios.ts';

const tree = { repositories: 1, images: 4, tagged: 2 };
const collection = { disk: tree, bucket: tree };

test('the measuring program gets a figure of our server in every scenario, and stops what it started', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'stevedore-bench-test-'));
  t.after(() => rm(folder, { recursive: true }));
  const { results, floors } = await runRounds({
    contenders: [stevedore()],
    rounds: 1,
    wanted: (id) => id !== 'gc-s3',
    load: prepareLoad({
      images: 8,
      blobSize: 3 * 1024 * 1024,
      window: 250,
      warmUp: 10,
      warmUpRequests: 10,
      collection,
    }),
    folder,
    deadline: Number.POSITIVE_INFINITY,
    progress: () => {},
    signal: AbortSignal.timeout(60_000),
  });
  assert.equal(floors.length, 1);
  assert.deepEqual(
    results.map(({ scenario }) => scenario.id),
    [...scenarios.map(({ id }) => id), 'gc-dry', 'gc-now', 'gc-trash'],
  );
  for (const { scenario, measurements } of results) {
    const [measurement] = measurements;
    assert.ok(measurement && measurement.amount > 0 && measurement.seconds > 0, scenario.id);
  }
});

test('a run that is stopped ends with the reason', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'stevedore-bench-test-'));
  t.after(() => rm(folder, { recursive: true }));
  const stop = new AbortController();
  const run = runRounds({
    contenders: [stevedore()],
    rounds: 1,
    wanted: () => true,
    load: prepareLoad({
      images: 1,
      blobSize: 1024,
      window: 60_000,
      warmUp: 10,
      warmUpRequests: 10,
      collection,
    }),
    folder,
    deadline: Number.POSITIVE_INFINITY,
    progress: (line) => {
      // The next ones would go on for minutes.
      if (line.includes('small images')) setImmediate(() => stop.abort(new Error('enough')));
    },
    signal: stop.signal,
  });
  await assert.rejects(run, /enough/);
});
