/**
 * Measures a mirror: `node bench/mirror.ts [directory]`. Many clients that pull a blob which the mirror does not have yet
 * against the same when it has it, that against the registry's own reads, how much later than from the upstream the first
 * byte comes, and how much memory that takes. The upstream is another server of ours, which tells how fast a registry is.
 * Exits with 1 when a goal is missed.
 */
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { terminationSignal } from '../src/process/signals.ts';
import { RegistryClient } from './client.ts';
import { stevedore } from './contenders.ts';
import { largeBlobs, type Blob } from './content.ts';
import { processorSeconds } from './processor-time.ts';
import { median, type Figure } from './report.ts';
import { settle } from './rounds.ts';
import { ServerProcess } from './server-process.ts';

const MIB = 1024 * 1024;
const CLIENTS = 50;
const BLOB_SIZE = 100 * MIB;
const ROUNDS = 7;
/** Blobs of which the first byte is waited for. */
const FIRST_BYTES = 15;
const REPOSITORY = 'bench/blobs';
/** Parts of a warm read, which are parts of the registry's; milliseconds; MiB. */
const GOALS = { cold: 0.7, warm: 0.9, processor: 1.1, firstByte: 10, memory: 256 };

interface Servers {
  readonly mirror: ServerProcess;
  readonly registry: ServerProcess;
}

/** What many clients saw who pulled a blob at the same time. */
interface Pull {
  /** MiB a second, the wait for the first byte included: of all clients together, and of the slowest. */
  readonly mean: number;
  readonly slowest: number;
  /** Milliseconds until a byte came; the median of the clients. */
  readonly firstByte: number;
  /** Seconds of processor time that the server took for each GiB. */
  readonly processor: number;
}

/** @param options.folder on a real disk; takes 2 GiB */
export async function measureMirror({
  folder,
  signal,
  progress,
}: {
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}): Promise<readonly Figure[]> {
  const blobs = largeBlobs(ROUNDS + 1, BLOB_SIZE);
  const single = largeBlobs(FIRST_BYTES, MIB);
  const start = (name: string, more: object) =>
    ServerProcess.start(stevedore(), { folder: join(folder, name), accessLog: true, signal, ...more });
  await using registry = await start('registry', {});
  const pusher = await RegistryClient.open(registry.port);
  for (const blob of [...blobs, ...single]) await pusher.pushBlob(REPOSITORY, blob);
  pusher.close();
  await using mirror = await start('mirror', { remoteUrl: `http://127.0.0.1:${registry.port}` });
  const servers = { mirror, registry };
  const many = await pullByMany(servers, blobs, { folder, progress });
  const { direct, through } = await firstBytes(servers, single);
  const memory = (await mirror.peakMemory()) / MIB;
  const log = (await registry.log()).split('\n').filter((line) => line.includes('GET'));
  const fetched = blobs.map(({ digest }) => log.filter((line) => line.includes(digest)).length);
  // Each read of the registry's own is a line as well.
  const own = [1 + CLIENTS, ...Array.from({ length: ROUNDS }, () => 2 + 2 * CLIENTS)];
  return [
    ...many,
    {
      what: 'first byte of a cold blob, later than of the upstream',
      figure: `${(through - direct).toFixed(1)} ms (${direct.toFixed(1)} and ${through.toFixed(1)})`,
      goal: `${GOALS.firstByte} ms`,
      met: through - direct <= GOALS.firstByte,
    },
    {
      what: `requests to the upstream for each of ${blobs.length} blobs`,
      figure: fetched.map((count, at) => count - (own[at] ?? 0) + 1).join(', '),
      goal: '1',
      met: fetched.every((count, at) => count === own[at]),
    },
    {
      what: 'memory at its most',
      figure: `${memory.toFixed(0)} MiB`,
      goal: `${GOALS.memory} MiB`,
      met: memory < GOALS.memory,
    },
  ];
}

/**
 * Once a round a cold blob, then that blob from both servers, twice in turns: what else the machine does meanwhile slows both.
 * They are compared within a round, and of the rounds the median counts.
 */
async function pullByMany(
  { mirror, registry }: Servers,
  [warmUp, ...blobs]: readonly Blob[],
  { folder, progress }: { readonly folder: string; readonly progress: (line: string) => void },
): Promise<readonly Figure[]> {
  if (warmUp === undefined) throw new Error('no blob');
  for (const server of [mirror, registry]) await pull(server, warmUp, CLIENTS);
  const rounds: { readonly cold: number; readonly speed: number; readonly processor: number }[] = [];
  for (const [round, blob] of blobs.entries()) {
    await settle(folder);
    const cold = await pull(mirror, blob, CLIENTS);
    await settle(folder);
    // What the cold read has left behind is over with it.
    for (const server of [mirror, registry]) await pull(server, blob, 1);
    const warm: Pull[] = [];
    const own: Pull[] = [];
    const turns = [mirror, registry, registry, mirror];
    for (const server of round % 2 === 0 ? turns : [...turns.slice(2), ...turns.slice(0, 2)])
      (server === mirror ? warm : own).push(await pull(server, blob, CLIENTS));
    const of = (pulls: readonly Pull[], what: 'mean' | 'processor'): number =>
      mean(pulls.map((one) => one[what]));
    rounds.push({
      cold: cold.slowest / of(warm, 'mean'),
      speed: of(warm, 'mean') / of(own, 'mean'),
      processor: of(warm, 'processor') / of(own, 'processor'),
    });
    progress(
      `round ${round + 1} of ${blobs.length}: warm ${of(warm, 'mean').toFixed(1)} MiB/s each, registry ${of(own, 'mean').toFixed(1)}`,
    );
  }
  const row = (what: string, of: 'cold' | 'speed' | 'processor', goal: number, isMost = false): Figure => {
    const parts = rounds.map((round) => round[of]);
    const part = median(parts);
    return {
      what,
      figure: `${percent(part)} (${percent(Math.min(...parts))} to ${percent(Math.max(...parts))})`,
      goal: percent(goal),
      met: isMost ? part <= goal : part >= goal,
    };
  };
  return [
    row(
      `slowest of ${CLIENTS} clients on a cold blob of ${BLOB_SIZE / MIB} MiB, of a warm read`,
      'cold',
      GOALS.cold,
    ),
    row("speed of a warm read, of the registry's own", 'speed', GOALS.warm),
    row("processor time of a warm read, of the registry's own", 'processor', GOALS.processor, true),
  ];
}

async function firstBytes(
  { mirror, registry }: Servers,
  blobs: readonly Blob[],
): Promise<{ readonly direct: number; readonly through: number }> {
  const direct: number[] = [];
  const through: number[] = [];
  for (const blob of blobs) {
    direct.push((await pull(registry, blob, 1)).firstByte);
    through.push((await pull(mirror, blob, 1)).firstByte);
  }
  return { direct: median(direct), through: median(through) };
}

/** Each client pulls the whole blob once, all at the same time. */
async function pull(server: ServerProcess, blob: Blob, clients: number): Promise<Pull> {
  const open = await Promise.all(Array.from({ length: clients }, () => RegistryClient.open(server.port)));
  try {
    const work = processorSeconds(server.pid);
    const began = performance.now();
    const seen = await Promise.all(
      open.map(async (client) => {
        let firstByte: number | undefined;
        let got = 0;
        await client.getBlob(REPOSITORY, blob.digest, (chunk) => {
          firstByte ??= performance.now() - began;
          got += chunk.length;
        });
        if (got !== blob.size) throw new Error(`${got} bytes came of ${blob.size}`);
        return { rate: got / MIB / ((performance.now() - began) / 1000), firstByte: firstByte ?? 0 };
      }),
    );
    const rates = seen.map(({ rate }) => rate);
    return {
      mean: mean(rates),
      slowest: Math.min(...rates),
      firstByte: median(seen.map(({ firstByte }) => firstByte)),
      processor: (processorSeconds(server.pid) - work) / ((clients * blob.size) / (1024 * MIB)),
    };
  } finally {
    for (const client of open) client.close();
  }
}

function percent(part: number): string {
  return `${(part * 100).toFixed(0)} %`;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

if (import.meta.main) {
  const folder = await mkdtemp(
    join(await realpath(process.argv[2] ?? '/var/tmp'), 'stevedore-bench-mirror-'),
  );
  try {
    const rows = await measureMirror({
      folder,
      signal: terminationSignal(),
      progress: (line) => console.error(line),
    });
    for (const { what, figure, goal, met } of rows) {
      const verdict = goal === '' ? '' : `goal ${goal}, ${met ? 'met' : 'missed'}`;
      console.log(`${what.padEnd(72)}${figure.padEnd(28)}${verdict}`);
    }
    if (rows.some(({ met }) => !met)) process.exitCode = 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
