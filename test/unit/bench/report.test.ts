import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Contender } from '../../../bench/contenders.ts';
import { fileSystemOf } from '../../../bench/machine.ts';
import { markdownTable, median, page, tables, toJson, type Report } from '../../../bench/report.ts';
import { scenarios, type Measurement } from '../../../bench/scenarios.ts';

const ours: Contender = { id: 'stevedore', title: 'Stevedore 1.0.0', command: '', environment: {} };
const other: Contender = { id: 'docker-registry', title: 'docker-registry 2', command: '', environment: {} };
const third: Contender = { id: 'distribution', title: 'distribution 3', command: '', environment: {} };

/** Each server's rates, one a round, in every scenario; a tenth of a second of processor time each second. */
function report(rates: ReadonlyMap<Contender, readonly number[]>): Report {
  const contenders = [...rates.keys()];
  const measured = (amount: number): Measurement => ({ amount, seconds: 1, processorSeconds: 0.1 });
  return {
    contenders,
    results: scenarios.flatMap((scenario) =>
      contenders.map((contender) => ({
        scenario,
        contender,
        measurements: (rates.get(contender) ?? []).map(measured),
      })),
    ),
    floors: [{ bytesPerSecond: 1000 * 2 ** 20, smallSyncedWrite: 0.0012 }],
    machine: { processor: 'P', cores: 2, memoryGiB: 8, kernel: '6', node: 'v26', fileSystem: 'ext4' },
    rounds: 3,
    imagesEach: 400,
    manifestsEach: 4400,
    date: new Date('2030-01-02T03:04:05Z'),
    seconds: 100,
    apart: [],
  };
}

function line(text: string, title: string, nth: number): string {
  const lines = text.split('\n').filter((candidate) => candidate.startsWith(`| ${title} `));
  return lines[nth] ?? '';
}

test('the median is the middle of what was measured, or between the two in the middle', () => {
  assert.equal(median([5, 1, 3]), 3);
  assert.equal(median([4, 1, 2, 3]), 2.5);
});

test('a rate is compared with the fastest other server, by medians', () => {
  const text = tables(
    report(
      new Map([
        [ours, [600, 700, 10]],
        [other, [100, 100, 100]],
        [third, [200, 400, 300]],
      ]),
    ),
  );
  assert.match(
    line(text, 'push of a 256 MiB blob', 0),
    /2\.00× \|.*600 \(10–700\) .* MiB\/s .*≥ 1\.50×, met/,
  );
  assert.match(line(text, 'push of small images, 8 clients', 0), /≥ 3\.00×, missed/);
});

test('processor time is compared with the most frugal other server, in milliseconds a request', () => {
  const text = tables(
    report(
      new Map([
        [ours, [1000]],
        [other, [100]],
        [third, [200]],
      ]),
    ),
  );
  const row = line(text, 'GET of a manifest by tag, 8 clients', 1);
  assert.match(row, /0\.20× \|\s+0\.1 \|\s+1 \|\s+0\.5 \| +ms\/request \| ≤ 0\.25×, met/);
});

test('with nothing to compare with there is neither ratio nor goal', () => {
  const text = tables(report(new Map([[ours, [1000]]])));
  assert.doesNotMatch(text, /×|goal|ratio/);
  assert.match(line(text, 'push of a 256 MiB blob', 0), / 1,000 \| +MiB\/s \|$/);
});

test('the floor is set beside the push of one client', () => {
  assert.match(tables(report(new Map([[ours, [550]]]))), /reaches 55 % of that.* 1\.20 ms/);
});

test('the page says when, where and how it was measured', () => {
  const text = page(
    report(
      new Map([
        [ours, [1]],
        [other, [1]],
      ]),
    ),
  );
  assert.match(text, /2030-01-02/);
  assert.match(text, /2 cores \(P\), 8 GiB of memory, Linux 6, ext4, Node v26/);
  assert.match(text, /make bench/);
});

test('JSON holds every measurement, medians and ratios', () => {
  const json = JSON.parse(
    JSON.stringify(
      toJson(
        report(
          new Map([
            [ours, [2, 4, 6]],
            [other, [2]],
          ]),
        ),
      ),
    ),
  ) as { rows: { id: string; rate: object; measurements: { stevedore: unknown[] } }[] };
  assert.equal(json.rows.length, scenarios.length);
  assert.deepEqual(json.rows[0]?.rate, { ratio: 2, medians: { stevedore: 4, 'docker-registry': 2 } });
  assert.equal(json.rows[0]?.measurements.stevedore.length, 3);
});

test('a table is aligned as prettier would align it', () => {
  assert.equal(
    markdownTable([
      ['', 'b'],
      ['long one', '1'],
    ]),
    '|          |   b |\n| -------- | --: |\n| long one |   1 |',
  );
});

test('the file system of a path is that of the deepest mount', () => {
  const mountinfo = [
    '22 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
    '30 22 0:25 / /var/tmp rw shared:5 - xfs /dev/vdb rw',
    '31 22 0:26 / /var/tmpfiles rw - tmpfs tmpfs rw',
  ].join('\n');
  assert.equal(fileSystemOf('/var/tmp/x', mountinfo), 'xfs');
  assert.equal(fileSystemOf('/var/lib', mountinfo), 'ext4');
});

test('what has no peer is told with its goal, in a table of its own', () => {
  const rows = [{ what: 'memory', figure: '200 MiB', goal: '256 MiB', met: true }];
  const compared = report(
    new Map([
      [ours, [1]],
      [other, [1]],
    ]),
  );
  const text = page({ ...compared, apart: [{ title: 'Apart', rows }] });
  assert.match(text, /\n\n### Apart\n\n.*\n.*\n\| memory +\| +200 MiB \| +256 MiB, met \|\n\n## The machine/);
});
