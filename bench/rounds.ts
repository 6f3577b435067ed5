import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CollectionRound, collections } from './collections.ts';
import type { Contender } from './contenders.ts';
import { measureFloor, type Floor } from './floor.ts';
import { scenarios, type Load, type Measurement, type Row, type Scenario } from './scenarios.ts';
import { ServerProcess } from './server-process.ts';

/** One measurement takes a few seconds; one that takes this long hangs. */
const MEASURED_WITHIN = 60_000;

export interface Result {
  readonly scenario: Row;
  readonly contender: Contender;
  /** One a round. */
  readonly measurements: Measurement[];
}

export interface Results {
  readonly results: readonly Result[];
  readonly floors: readonly Floor[];
}

interface RunOptions {
  readonly contenders: readonly Contender[];
  readonly rounds: number;
  /** Which rows are measured, by their ids. */
  readonly wanted: (id: string) => boolean;
  readonly load: Load;
  readonly folder: string;
  /** On performance.now()'s clock: a round that would probably end after it is not begun. */
  readonly deadline: number;
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Measures every server in every scenario, once a round. Within a round the servers take turns in each scenario, and
 * each round another one begins. Each round starts the servers anew with empty directories; nothing is deleted in
 * between, since ext4 allocates inodes more slowly for a while after that.
 */
export async function runRounds(options: RunOptions): Promise<Results> {
  const rows: readonly Row[] = [...scenarios, ...collections];
  const results = rows
    .filter(({ id }) => options.wanted(id))
    .flatMap((scenario) =>
      options.contenders.map((contender): Result => ({ scenario, contender, measurements: [] })),
    );
  const floors: Floor[] = [];
  const began = performance.now();
  for (let round = 0; round < options.rounds; round += 1) {
    const now = performance.now();
    if (round > 0 && now + (now - began) / round > options.deadline) {
      options.progress(`no time for more than ${round} rounds`);
      break;
    }
    const folder = join(options.folder, `round-${round + 1}`);
    await mkdir(folder);
    await settle(folder);
    const [blob] = options.load.blobs;
    if (blob) floors.push(await measureFloor(folder, blob));
    await runRound(results, { ...options, folder, turn: round });
  }
  return { results, floors };
}

async function runRound(
  results: readonly Result[],
  options: RunOptions & { readonly turn: number },
): Promise<void> {
  await measureServers(results, options);
  const round = new CollectionRound({ ...options, load: options.load.collection });
  for (const collection of collections) {
    for (const result of inTurn(results, collection, options.turn)) {
      const settled = (): Promise<void> => settle(options.folder);
      tell(result, await round.measure(collection, result.contender, settled), options);
    }
  }
}

async function measureServers(
  results: readonly Result[],
  options: RunOptions & { readonly turn: number },
): Promise<void> {
  const { contenders, folder, load, turn } = options;
  if (!scenarios.some(({ id }) => options.wanted(id))) return;
  await using started = new AsyncDisposableStack();
  const servers = new Map<string, ServerProcess>();
  for (const contender of contenders) {
    for (const accessLog of [false, true]) {
      const name = key(contender, accessLog);
      const server = await ServerProcess.start(contender, {
        folder: join(folder, name),
        accessLog,
        signal: options.signal,
      });
      servers.set(name, started.use(server));
    }
  }
  for (const scenario of scenarios) {
    for (const result of inTurn(results, scenario, turn)) {
      const server = servers.get(key(result.contender, scenario.accessLog === true));
      if (!server) throw new Error('a server is missing');
      if (scenario.writes) await settle(folder);
      tell(result, await measure(server, scenario, load, options.signal), options);
    }
  }
}

/** The results of a row, with another server first each round. */
function inTurn(results: readonly Result[], row: Row, turn: number): readonly Result[] {
  const turns = results.filter(({ scenario }) => scenario === row);
  const first = turns.length === 0 ? 0 : turn % turns.length;
  return [...turns.slice(first), ...turns.slice(0, first)];
}

function tell(
  { scenario, contender, measurements }: Result,
  measurement: Measurement,
  { turn, rounds, progress }: RunOptions & { readonly turn: number },
): void {
  measurements.push(measurement);
  const rate = measurement.amount / measurement.seconds;
  progress(
    `round ${turn + 1} of ${rounds}: ${scenario.title}, ${contender.title}: ${rate.toFixed(0)} ${scenario.unit}/s`,
  );
}

async function measure(
  server: ServerProcess,
  scenario: Scenario,
  load: Load,
  signal: AbortSignal,
): Promise<Measurement> {
  const limit = AbortSignal.timeout(MEASURED_WITHIN);
  signal.throwIfAborted();
  try {
    return await scenario.run(server, load, AbortSignal.any([signal, limit]));
  } catch (error) {
    signal.throwIfAborted();
    const reason = limit.aborted ? `it took over ${MEASURED_WITHIN / 1000} s` : String(error);
    const what = `${scenario.title}, ${server.contender.title}: ${reason}`;
    throw new Error(`${what}\nThe end of the server's log:\n${await server.logTail()}`, { cause: error });
  }
}

function key(contender: Contender, accessLog: boolean): string {
  return contender.id + (accessLog ? '-logging' : '');
}

/** Waits until what was written is on the disk, so that one measurement does not pay for the one before it. */
export async function settle(folder: string): Promise<void> {
  await promisify(execFile)('sync', ['-f', folder]);
}
