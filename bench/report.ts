import type { Contender } from './contenders.ts';
import type { Machine } from './machine.ts';
import type { Result, Results } from './rounds.ts';
import type { Measurement, Row } from './scenarios.ts';

export interface Report extends Results {
  readonly contenders: readonly Contender[];
  readonly machine: Machine;
  readonly rounds: number;
  readonly imagesEach: number;
  /** In each directory that garbage is collected in. */
  readonly manifestsEach: number;
  /** What has no peer to be compared with, and is measured after the rest. */
  readonly apart: readonly Apart[];
  readonly date: Date;
  readonly seconds: number;
}

export interface Apart {
  readonly title: string;
  readonly rows: readonly Figure[];
}

/** One line of what was measured by itself. */
export interface Figure {
  readonly what: string;
  readonly figure: string;
  /** Empty where there is none. */
  readonly goal: string;
  readonly met: boolean;
}

/** What is compared, of a scenario. */
interface Metric {
  readonly id: 'rate' | 'processor';
  readonly of: (measurement: Measurement, scenario: Row) => number;
  readonly better: 'more' | 'less';
  readonly goal: (scenario: Row) => number | undefined;
  readonly unit: (scenario: Row) => string;
  /** Whether there is such a figure of a scenario. */
  readonly isOf: (scenario: Row) => boolean;
}

const rate: Metric = {
  id: 'rate',
  of: ({ amount, seconds }) => amount / seconds,
  better: 'more',
  goal: ({ rateGoal }) => rateGoal,
  unit: ({ unit }) => (unit === 'MiB' ? 'MiB/s' : `${unit}s/s`),
  isOf: () => true,
};

/** Milliseconds a request or image, and a GiB for blobs. */
const processor: Metric = {
  id: 'processor',
  of: ({ amount, processorSeconds }, { unit }) =>
    (processorSeconds * 1000) / (unit === 'MiB' ? amount / 1024 : amount),
  better: 'less',
  goal: ({ processorGoal }) => processorGoal,
  unit: ({ unit }) => `ms/${unit === 'MiB' ? 'GiB' : unit}`,
  isOf: ({ unit }) => unit !== 'manifest',
};

/** The two tables and what goes with them, in Markdown that reads as plain text too. */
export function tables(report: Report): string {
  return `### How much a second

${table(report, rate)}

${floorLine(report)}

${processorTable(report)}${report.apart.map(apartTable).join('')}`;
}

function apartTable({ title, rows }: Apart): string {
  const lines = rows.map(({ what, figure, goal: wanted, met }) => [
    what,
    figure,
    wanted === '' ? '' : `${wanted}, ${met ? 'met' : 'missed'}`,
  ]);
  return `\n### ${title}\n\n${markdownTable([['', '', 'goal'], ...lines])}\n`;
}

/** Nothing when only garbage collections were measured. */
function processorTable(report: Report): string {
  if (!report.results.some(({ scenario }) => processor.isOf(scenario))) return '';
  return `### Processor time of the server

${table(report, processor)}
`;
}

export function toJson(report: Report): object {
  const rows = [...Map.groupBy(report.results, ({ scenario }) => scenario)].map(([scenario, results]) => ({
    id: scenario.id,
    title: scenario.title,
    unit: scenario.unit,
    ...Object.fromEntries(
      [rate, processor]
        .filter((metric) => metric.isOf(scenario))
        .map((metric) => [metric.id, compareJson(results, metric)]),
    ),
    measurements: Object.fromEntries(
      results.map(({ contender, measurements }) => [contender.id, measurements]),
    ),
  }));
  const { date, seconds, rounds, machine, contenders, floors, apart } = report;
  return {
    date: date.toISOString(),
    seconds,
    rounds,
    machine,
    servers: contenders.map(({ id, title }) => ({ id, title })),
    rows,
    floors,
    apart,
  };
}

/** docs/benchmarks.md. */
export function page(report: Report): string {
  const { machine, date, rounds } = report;
  const [ours, ...others] = report.contenders.map(({ title }) => title);
  return `<!-- Written by \`make bench\`. Do not edit. -->

# Benchmarks

${ours} beside ${others.join(' and ')}, measured on ${date.toISOString().slice(0, 10)} by \`make bench\`, which took ${Math.round(report.seconds / 60)} minutes.
The ratio is Stevedore's figure divided by the best of the others. Figures are medians of ${rounds} rounds, with the lowest and the
highest in parentheses.

${tables(report)}
## The machine

${machine.cores} cores (${machine.processor}), ${machine.memoryGiB} GiB of memory, Linux ${machine.kernel}, ${machine.fileSystem}, Node ${machine.node}. Clients and servers share it, so
that the ratios say more than the figures.

## What is done

- One program sends the requests, over plain HTTP on the loopback, with kept-alive connections; the server is a process of its own. No
  users, no access log but where the table says so, and otherwise each server's defaults.
- A blob is pushed as docker does it: HEAD, POST, PATCH, PUT. A small image is a config of 1 KiB, two layers of 4 KiB and a
  manifest by tag; ${report.imagesEach} of them are pushed, and each counts when its manifest is acknowledged.
- Manifests and blobs are asked for again and again for a while, and what comes back is counted after a warm-up, of
  some seconds for small requests, as a server lives far longer than a benchmark. Before that,
  each is fetched once and its digest checked; blobs are then in the page cache for every server.
- Before the first push that counts, each server has taken a blob of 64 MiB, and before the small images some others.
- Each round starts every server anew with an empty directory. The servers take turns in each row, and each round another one begins;
  what was written is brought to the disk before the next one pushes. Directories are deleted at the very end.
- Processor time is that of the server's process (\`/proc/PID/stat\`).
- A garbage collection has ${report.manifestsEach.toLocaleString('en-US')} manifests of two blobs each before it, half of them without a tag, and deletes those
  (\`garbage-collect --delete-untagged\`), in a directory that was just written and that no server uses. The others have no
  trash: their figure is the same in both rows.

## What is not compared

TLS, users and passwords; storage other than the file system; clients on other machines; more than ${machine.cores} cores;
directories that already hold much.

## Measuring again

\`make bench\` needs Debian's \`docker-registry\` and writes this page. \`node bench/run.ts --quick\` takes less than a minute and
only prints; \`--help\` shows the rest. docker distribution 3 gets a column where its binary is given or built
(\`scripts/tools distribution\`). \`--only gc-s3\` collects garbage in a bucket of Ceph's object gateway, and \`node bench/million.ts\`
measures the memory of a collection of a million blobs. \`node bench/operator.ts\` measures the operator with 1,000 Registries
on a Kubernetes API server. \`node bench/memory.ts\` measures the server's own under 64 pushes at once,
on the file system and in each kind of bucket. Leave five minutes between runs: an ext4 without a journal does not use the inodes of deleted files
again before that, and searches for others at the expense of the small images.
`;
}

function table(report: Report, metric: Metric): string {
  const head = ['', 'ratio', ...report.contenders.map(({ title }) => title), 'unit', 'goal'];
  const groups = [...Map.groupBy(report.results, ({ scenario }) => scenario)].filter(([scenario]) =>
    metric.isOf(scenario),
  );
  const rows = groups.map(([scenario, results]) => {
    const ratio = compare(results, metric);
    const figures = results.map((result) => spread(values(result, metric)));
    const first = [scenario.title, ratio === undefined ? '' : times(ratio)];
    return [...first, ...figures, metric.unit(scenario), goal(scenario, ratio, metric)];
  });
  const all = [head, ...rows];
  // A column in which nothing stands is left out.
  const columns = head.map((_, index) => index).filter((index) => rows.some((row) => row[index] !== ''));
  return markdownTable(all.map((row) => columns.map((index) => row[index] ?? '')));
}

/** The first row is the head; the first column is flush left, and the others flush right. */
export function markdownTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, index) =>
    Math.max(3, ...rows.map((row) => row[index]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const [head = '', ...body] = rows.map((row) =>
    line(
      row.map((cell, index) =>
        index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0),
      ),
    ),
  );
  const rule = line(
    widths.map((width, index) => (index === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)),
  );
  return [head, rule, ...body].join('\n');
}

function goal(scenario: Row, ratio: number | undefined, metric: Metric): string {
  const wanted = metric.goal(scenario);
  if (wanted === undefined || ratio === undefined) return '';
  const met = metric.better === 'more' ? ratio >= wanted : ratio <= wanted;
  return `${metric.better === 'more' ? '≥' : '≤'} ${times(wanted)}, ${met ? 'met' : 'missed'}`;
}

function floorLine({ floors, results }: Report): string {
  const push = results.find(
    ({ scenario, contender }) => scenario.id === 'push-1' && contender.id === 'stevedore',
  );
  if (push === undefined) return '';
  const mib = floors.map(({ bytesPerSecond }) => bytesPerSecond / 2 ** 20);
  const pushed = median(values(push, rate));
  const small = median(floors.map(({ smallSyncedWrite }) => smallSyncedWrite * 1000));
  return (
    `Hashing and writing the same 256 MiB with no HTTP and no registry: ${spread(mib)} MiB/s. ` +
    `Stevedore's push with one client reaches ${Math.round((pushed / median(mib)) * 100)} % of that. ` +
    `Appending 4 KiB to a file and syncing it takes ${small.toFixed(2)} ms here.`
  );
}

function compareJson(results: readonly Result[], metric: Metric): object {
  return {
    ratio: compare(results, metric),
    medians: Object.fromEntries(
      results.map((result) => [result.contender.id, median(values(result, metric))]),
    ),
  };
}

/** Ours divided by the best of the others, undefined where there is none. */
function compare(results: readonly Result[], metric: Metric): number | undefined {
  const ours = results.find(({ contender }) => contender.id === 'stevedore');
  const others = results.filter((result) => result !== ours).map((result) => median(values(result, metric)));
  if (!ours || others.length === 0) return undefined;
  return (
    median(values(ours, metric)) / (metric.better === 'more' ? Math.max(...others) : Math.min(...others))
  );
}

function values({ measurements, scenario }: Result, metric: Metric): number[] {
  return measurements.map((measurement) => metric.of(measurement, scenario));
}

/** The median, with the lowest and the highest of several. */
function spread(list: readonly number[]): string {
  const middle = significant(median(list));
  return list.length < 2
    ? middle
    : `${middle} (${significant(Math.min(...list))}–${significant(Math.max(...list))})`;
}

export function median(list: readonly number[]): number {
  const sorted = list.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Three digits, or all of a whole number that has more. */
function significant(value: number): string {
  const digits = { minimumSignificantDigits: 1, maximumSignificantDigits: 3 };
  return (value >= 1000 ? Math.round(value) : value).toLocaleString('en-US', value >= 1000 ? {} : digits);
}

function times(ratio: number): string {
  return `${ratio.toFixed(2)}×`;
}
