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
const REPOSITORY = 'bench/blobs';

const signal = terminationSignal();
const folder = await mkdtemp(join(await realpath(process.argv[2] ?? '/var/tmp'), 'stevedore-bench-mirror-'));
try {
  await measure();
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function measure(): Promise<void> {
  const blobs = largeBlobs(2 * ROUNDS + 1, BLOB_SIZE);
  await using upstream = await ServerProcess.start(stevedore(), {
    folder: join(folder, 'upstream'),
    accessLog: true,
    signal,
  });
  const pusher = await RegistryClient.open(upstream.port);
  for (const blob of blobs) await pusher.pushBlob(REPOSITORY, blob);
  pusher.close();
  await using mirror = await ServerProcess.start(stevedore(), {
    folder: join(folder, 'mirror'),
    accessLog: false,
    remoteUrl: `http://127.0.0.1:${upstream.port}`,
    signal,
  });
  const [warmUp, ...rest] = blobs;
  if (warmUp === undefined) throw new Error('no blob');
  for (const server of [upstream, mirror]) await pull(server, warmUp, CLIENTS);
  const rows: Row[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const [many, one] = rest.splice(0, 2);
    if (many === undefined || one === undefined) throw new Error('no blob');
    rows.push(await measureRound(upstream, mirror, many, one));
    console.log(describe(rows.at(-1)));
  }
  const gets = (await upstream.log()).split('\n').filter((line) => line.includes('GET'));
  const perBlob = blobs.map(({ digest }) => gets.filter((line) => line.includes(digest)).length);
  console.log(`memory at its peak: mirror ${await peak(mirror)} MiB, registry ${await peak(upstream)} MiB`);
  console.log(`lines of the upstream's log about a GET of each blob: ${perBlob.join(', ')}`);
}

async function peak({ pid }: ServerProcess): Promise<string> {
  const kilobytes = /VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  return (Number(kilobytes) / 1024).toFixed(0);
}

interface Row {
  /** Bytes a second of the slowest client from the cold mirror, and of all clients on average from the warm one. */
  readonly cold: number;
  readonly warm: number;
  readonly registry: number;
  /** Milliseconds. */
  readonly firstByteCold: number;
  readonly firstByteUpstream: number;
}

async function measureRound(
  upstream: ServerProcess,
  mirror: ServerProcess,
  many: Blob,
  one: Blob,
): Promise<Row> {
  const cold = await pull(mirror, many, CLIENTS);
  const warm = await pull(mirror, many, CLIENTS);
  const registry = await pull(upstream, many, CLIENTS);
  const direct = await pull(upstream, one, 1);
  const single = await pull(mirror, one, 1);
  return {
    cold: Math.min(...cold.map(({ rate }) => rate)),
    warm: mean(warm.map(({ rate }) => rate)),
    registry: mean(registry.map(({ rate }) => rate)),
    firstByteCold: mean(single.map(({ firstByte }) => firstByte)),
    firstByteUpstream: mean(direct.map(({ firstByte }) => firstByte)),
  };
}

function describe(row: Row | undefined): string {
  if (row === undefined) return '';
  const { cold, warm, registry, firstByteCold, firstByteUpstream } = row;
  const mibs = (rate: number): string => `${(rate / MIB).toFixed(1)} MiB/s`;
  const percent = (part: number): string => `${(part * 100).toFixed(0)} %`;
  return (
    `${CLIENTS} clients: slowest cold ${mibs(cold)}, warm ${mibs(warm)} (${percent(cold / warm)}), ` +
    `registry ${mibs(registry)} (warm is ${percent(warm / registry)}); ` +
    `first byte cold ${firstByteCold.toFixed(1)} ms, upstream ${firstByteUpstream.toFixed(1)} ms`
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
