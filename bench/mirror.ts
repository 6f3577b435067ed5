/**
 * Measures a mirror: `node bench/mirror.ts [directory]`. Many clients that pull a blob which the mirror does not have yet
 * against the same when it has it, how much later than from the upstream its first byte comes, and how much memory that
 * takes. The upstream is another server of ours, which tells how fast a registry is.
 */
import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { terminationSignal } from '../src/process/signals.ts';
import { RegistryClient } from './client.ts';
import { stevedore } from './contenders.ts';
import { largeBlobs, type Blob } from './content.ts';
import { ServerProcess } from './server-process.ts';

const MIB = 1024 * 1024;
const CLIENTS = 50;
const BLOB_SIZE = 100 * MIB;
const ROUNDS = 3;
/** Blobs of which the first byte is waited for. */
const FIRST_BYTES = 15;
const REPOSITORY = 'bench/blobs';

const signal = terminationSignal();
const folder = await mkdtemp(join(await realpath(process.argv[2] ?? '/var/tmp'), 'stevedore-bench-mirror-'));
try {
  await measure();
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function measure(): Promise<void> {
  const blobs = largeBlobs(ROUNDS + 1, BLOB_SIZE);
  const single = largeBlobs(FIRST_BYTES, MIB);
  await using upstream = await ServerProcess.start(stevedore(), {
    folder: join(folder, 'upstream'),
    accessLog: true,
    signal,
  });
  const pusher = await RegistryClient.open(upstream.port);
  for (const blob of [...blobs, ...single]) await pusher.pushBlob(REPOSITORY, blob);
  pusher.close();
  await using mirror = await ServerProcess.start(stevedore(), {
    folder: join(folder, 'mirror'),
    accessLog: false,
    remoteUrl: `http://127.0.0.1:${upstream.port}`,
    signal,
  });
  const [warmUp, ...measured] = blobs;
  if (warmUp === undefined) throw new Error('no blob');
  for (const server of [upstream, mirror]) await pull(server, warmUp, CLIENTS);
  for (const blob of measured) {
    const cold = await pull(mirror, blob, CLIENTS);
    const warm = await pull(mirror, blob, CLIENTS);
    const registry = await pull(upstream, blob, CLIENTS);
    console.log(describe({ cold, warm, registry }));
  }
  const waits: number[][] = [[], []];
  for (const blob of single) {
    for (const [at, server] of [upstream, mirror].entries()) {
      waits[at]?.push(...(await pull(server, blob, 1)).map(({ firstByte }) => firstByte));
    }
  }
  const [direct = 0, through = 0] = waits.map(median);
  console.log(
    `first byte for one client: upstream ${direct.toFixed(1)} ms, cold mirror ${through.toFixed(1)} ms`,
  );
  console.log(`memory at its peak: mirror ${await peak(mirror)} MiB, registry ${await peak(upstream)} MiB`);
  const log = (await upstream.log()).split('\n').filter((line) => line.includes('GET'));
  const perBlob = blobs.map(({ digest }) => log.filter((line) => line.includes(digest)).length);
  console.log(`lines of the upstream's log about a GET of each blob: ${perBlob.join(', ')}`);
}

async function peak({ pid }: ServerProcess): Promise<string> {
  const kilobytes = /VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  return (Number(kilobytes) / 1024).toFixed(0);
}

function describe(pulls: Readonly<Record<'cold' | 'warm' | 'registry', readonly Pull[]>>): string {
  const rates = (list: readonly Pull[]): number[] => list.map(({ rate }) => rate / MIB);
  const slowest = Math.min(...rates(pulls.cold));
  const [warm, registry] = [mean(rates(pulls.warm)), mean(rates(pulls.registry))];
  const percent = (part: number): string => `${(part * 100).toFixed(0)} %`;
  return (
    `${CLIENTS} clients, MiB/s each: the slowest cold ${slowest.toFixed(1)}, warm ${warm.toFixed(1)} ` +
    `(cold is ${percent(slowest / warm)}), registry ${registry.toFixed(1)} (warm is ${percent(warm / registry)})`
  );
}

interface Pull {
  /** Bytes a second, the wait for the first included. */
  readonly rate: number;
  /** Milliseconds. */
  readonly firstByte: number;
}

/** Each client pulls the whole blob once, all at the same time. */
async function pull(server: ServerProcess, blob: Blob, clients: number): Promise<readonly Pull[]> {
  const open = await Promise.all(Array.from({ length: clients }, () => RegistryClient.open(server.port)));
  try {
    const began = performance.now();
    return await Promise.all(
      open.map(async (client) => {
        let firstByte: number | undefined;
        let got = 0;
        await client.getBlob(REPOSITORY, blob.digest, (chunk) => {
          firstByte ??= performance.now() - began;
          got += chunk.length;
        });
        if (got !== blob.size) throw new Error(`${got} bytes came of ${blob.size}`);
        return { rate: (got / (performance.now() - began)) * 1000, firstByte: firstByte ?? 0 };
      }),
    );
  } finally {
    for (const client of open) client.close();
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
