import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { terminationSignal } from '../src/process/signals.ts';
import { collections } from './collections.ts';
import { builtDistribution, distributionThree, dockerRegistry, stevedore } from './contenders.ts';
import { describeMachine, freeSpace } from './machine.ts';
import { measureMillion } from './million.ts';
import { measureMirror } from './mirror.ts';
import { measureOperator } from './operator.ts';
import { page, tables, toJson, type Apart, type Report } from './report.ts';
import { runRounds } from './rounds.ts';
import { prepareLoad, scenarios } from './scenarios.ts';

const PAGE = join(import.meta.dirname, '../docs/benchmarks.md');
const LIMIT_MINUTES = 15;
/** Bytes on the disk for each manifest of a tree: files and folders of a block each. */
const TREE_BYTES = 64 * 1024;
/** As the rows say. */
const BLOB_SIZE = 256 * 1024 * 1024;

const help = `Measures the registry server beside docker's, on this machine.

usage: node bench/run.ts [options]

  --quick              one short round, under a minute, and no page is written
  --only ID,...        these rows alone, and no page is written: push-1, gc-dry ... as --format json names them,
                       and gc-s3, a garbage collection in a bucket of Ceph's object gateway (scripts/ceph)
  --rounds N           rounds, 1 to 5 (5)
  --format table|json  what is printed (table)
  --directory DIR      where the servers store, on a real disk (/var/tmp); deleted at the end
  --distribution PATH  docker distribution 3's binary, for one more column
                       (what 'scripts/tools distribution' built, if it is there; 'none' for no column)
  --help

docs/benchmarks.md is written when docker-registry is there and five rounds were asked for. A round that would not end
within ${LIMIT_MINUTES} minutes of the start is not begun.
`;

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(help);
    return 0;
  }
  const stopped = terminationSignal();
  const limit = AbortSignal.timeout(LIMIT_MINUTES * 60_000);
  const deadline = performance.now() + LIMIT_MINUTES * 60_000;
  const folder = await mkdtemp(join(await realpath(options.directory), 'stevedore-bench-'));
  try {
    const compared = await measure(options, { folder, deadline, signal: AbortSignal.any([stopped, limit]) });
    const isWhole = !options.quick && !options.only;
    const report = { ...compared, apart: isWhole ? await measureApart(folder, stopped) : [] };
    process.stdout.write(
      options.format === 'json' ? `${JSON.stringify(toJson(report), null, 2)}\n` : `\n${tables(report)}`,
    );
    if (options.quick || options.only || options.rounds < 5) return 0;
    if (report.contenders.length === 1) {
      say('docs/benchmarks.md is not written: there was nothing to compare with');
      return 0;
    }
    await writeFile(PAGE, page(report));
    say('docs/benchmarks.md is written');
    return 0;
  } catch (error) {
    if (stopped.aborted) {
      say('stopped');
      return 130;
    }
    say(
      limit.aborted
        ? `not done after ${LIMIT_MINUTES} minutes`
        : error instanceof Error
          ? error.message
          : String(error),
    );
    return 1;
  } finally {
    say('deleting what was stored');
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(
  options: Options,
  run: { readonly folder: string; readonly deadline: number; readonly signal: AbortSignal },
): Promise<Omit<Report, 'apart'>> {
  const { folder } = run;
  const began = performance.now();
  const debian = dockerRegistry();
  if (debian === undefined)
    say("docker's registry is not installed: 'apt-get install docker-registry' brings it");
  const three = options.distribution ?? builtDistribution();
  const contenders = [
    stevedore(),
    debian,
    three === undefined || three === 'none' ? undefined : distributionThree(three),
  ].filter((contender) => contender !== undefined);
  const machine = describeMachine(folder);
  if (machine.fileSystem === 'tmpfs')
    say(`${folder} is memory, where a sync costs nothing: give --directory`);
  const imagesEach = options.quick ? 100 : 250;
  const disk = { repositories: 22, images: options.quick ? 20 : 200, tagged: options.quick ? 10 : 100 };
  const manifestsEach = disk.repositories * disk.images;
  const space =
    (6 * contenders.length + 1) * BLOB_SIZE + (contenders.length + 2) * manifestsEach * TREE_BYTES;
  await requireSpace(folder, options.rounds * space);
  const load = prepareLoad({
    images: imagesEach,
    blobSize: BLOB_SIZE,
    window: options.quick ? 500 : 1500,
    warmUp: 300,
    warmUpRequests: options.quick ? 300 : 2500,
    collection: { disk, bucket: { repositories: 4, images: 50, tagged: 25 } },
  });
  const { only, rounds: wantedRounds } = options;
  const wanted = (id: string): boolean => only?.includes(id) ?? id !== 'gc-s3';
  const results = await runRounds({ ...run, contenders, rounds: wantedRounds, wanted, load, progress: say });
  const rounds = results.floors.length;
  const seconds = (performance.now() - began) / 1000;
  return { ...results, contenders, machine, rounds, imagesEach, manifestsEach, date: new Date(), seconds };
}

/** What has no peer; each program prints the same when it is run alone. */
async function measureApart(folder: string, signal: AbortSignal): Promise<readonly Apart[]> {
  say('a mirror, for two minutes');
  const mirror = await measureMirror({ folder, signal, progress: say });
  say('a collection of a million blobs, for a minute');
  const million = await measureMillion(folder);
  const apart = [
    { title: 'A mirror', rows: mirror },
    { title: 'A garbage collection of a million blobs', rows: million },
  ];
  say('the operator with 1,000 Registries, for some minutes');
  try {
    const rows = await measureOperator({ folder, signal, count: 1000 });
    return [...apart, { title: 'The operator', rows }];
  } catch (error) {
    if (signal.aborted || !(error instanceof Error)) throw error;
    // As where no Kubernetes was built: the comparison is worth its page all the same.
    say(`the operator is left out: ${error.message}`);
    return apart;
  }
}

interface Options {
  readonly quick: boolean;
  readonly rounds: number;
  /** Ids of rows; undefined for all that need nothing that is not here. */
  readonly only: readonly string[] | undefined;
  readonly format: 'table' | 'json';
  readonly directory: string;
  readonly distribution: string | undefined;
}

/** @throws on what it does not know. */
function readOptions(args: string[]): Options | 'help' {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      only: { type: 'string' },
      format: { type: 'string', default: 'table' },
      directory: { type: 'string', default: '/var/tmp' },
      distribution: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  const { quick, format, directory, distribution } = values;
  const rounds = Number(values.rounds ?? (quick ? 1 : 5));
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 5)
    throw new Error('--rounds is a number from 1 to 5');
  if (format !== 'table' && format !== 'json') throw new Error('--format is table or json');
  const only = values.only?.split(',');
  const unknown = only?.find((id) => ![...scenarios, ...collections].some((row) => row.id === id));
  if (unknown !== undefined) throw new Error(`--only: there is no row '${unknown}'`);
  return { quick, rounds, only, format, directory, distribution };
}

async function requireSpace(folder: string, bytes: number): Promise<void> {
  const gib = (count: number): string => (count / 2 ** 30).toFixed(1);
  const free = await freeSpace(folder);
  if (free < bytes)
    throw new Error(`${folder} has ${gib(free)} GiB free, and ${gib(bytes)} are needed: see --directory`);
}

function say(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
