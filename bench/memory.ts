import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { terminationSignal } from '../src/process/signals.ts';
import { RegistryClient } from './client.ts';
import { stevedore } from './contenders.ts';
import { largeBlobs, type Blob } from './content.ts';
import { markdownTable } from './report.ts';
import { ServerProcess } from './server-process.ts';
import { stores, type Store } from './stores.ts';

const MIB = 1024 * 1024;
const CLIENTS = 64;
const BLOB_SIZE = 16 * MIB;
/** One large blob beside it shows what a smaller share of the memory costs. */
const LARGE_SIZE = 256 * MIB;
const GOAL = 250 * MIB;
const LIMIT_MINUTES = 20;

const help = `Measures how much memory the registry server takes while ${CLIENTS} clients push a blob of ${BLOB_SIZE / MIB} MiB each.

usage: node bench/memory.ts [options]

  --store NAME      ${Object.keys(stores).join(', ')}; may be repeated (all)
  --directory DIR   for files, on a real disk (/var/tmp); deleted at the end
  --help

Memory is the most that the server's process had resident (VmHWM). Each figure is of a new server in plain HTTP, the last
column too: a single push of ${LARGE_SIZE / MIB} MiB. S3, Swift and OSS are Ceph's gateway (scripts/ceph; OSS by a translator), Azure is
azurite and GCS fake-gcs-server, which is slow; all in memory and on this machine. Ends after ${LIMIT_MINUTES} minutes, and with 1 when the goal is missed.
`;

/** How a blob goes over the wire. */
type Push = (client: RegistryClient, blob: Blob) => Promise<void>;

const inPut: Push = (client, blob) => client.putBlob('bench/memory', blob);
const inPatch: Push = (client, blob) => client.pushBlob('bench/memory', blob);

interface Measurement {
  /** Bytes. */
  readonly peak: number;
  readonly bytesPerSecond: number;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      store: { type: 'string', multiple: true, default: Object.keys(stores) },
      directory: { type: 'string', default: '/var/tmp' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const signal = AbortSignal.any([terminationSignal(), AbortSignal.timeout(LIMIT_MINUTES * 60_000)]);
  const folder = await mkdtemp(join(await realpath(values.directory), 'stevedore-bench-memory-'));
  try {
    const rows: Row[] = [];
    for (const name of values.store) rows.push(await measureStore(name, { folder, signal }));
    process.stdout.write(`\n${table(rows)}\n`);
    return rows.every(({ put, patch }) => Math.max(put.peak, patch.peak) < GOAL) ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Run {
  readonly folder: string;
  readonly signal: AbortSignal;
}

interface Row {
  readonly name: string;
  readonly put: Measurement;
  readonly patch: Measurement;
  readonly single: Measurement;
}

async function measureStore(name: string, run: Run): Promise<Row> {
  const open = stores[name];
  if (open === undefined) throw new Error(`--store is one of ${Object.keys(stores).join(', ')}`);
  await using store = await open(run.folder);
  const measure = async (title: string, blobs: readonly Blob[], push: Push): Promise<Measurement> => {
    const measurement = await pushAll(store, { ...run, folder: join(run.folder, name, title) }, blobs, push);
    process.stderr.write(`bench: ${name}, ${title}: ${describe(measurement)}\n`);
    return measurement;
  };
  return {
    name,
    put: await measure('put', largeBlobs(CLIENTS, BLOB_SIZE), inPut),
    patch: await measure('patch', largeBlobs(CLIENTS, BLOB_SIZE), inPatch),
    single: await measure('single', largeBlobs(1, LARGE_SIZE), inPatch),
  };
}

/** One client for each blob, all at once. */
async function pushAll(
  store: Store,
  { folder, signal }: Run,
  blobs: readonly Blob[],
  push: Push,
): Promise<Measurement> {
  const { storage, environment } = store;
  await using server = await ServerProcess.start(stevedore(), {
    folder,
    accessLog: false,
    signal,
    ...(storage && { storage }),
    ...(environment && { environment }),
  });
  const clients = await Promise.all(blobs.map(() => RegistryClient.open(server.port)));
  const end = (): void => {
    for (const client of clients) client.close();
  };
  signal.addEventListener('abort', end);
  try {
    const began = performance.now();
    await Promise.all(
      blobs.map(async (blob, index) => {
        const client = clients[index];
        if (client) await push(client, blob);
      }),
    );
    const seconds = (performance.now() - began) / 1000;
    const bytes = blobs.reduce((sum, { size }) => sum + size, 0);
    return { peak: await server.peakMemory(), bytesPerSecond: bytes / seconds };
  } catch (error) {
    signal.throwIfAborted();
    throw new Error(`${String(error)}\n${await server.logTail()}`, { cause: error });
  } finally {
    signal.removeEventListener('abort', end);
    end();
  }
}

function table(rows: readonly Row[]): string {
  const head = ['store', `${CLIENTS} at once, PUT`, 'by PATCH', 'goal', `one of ${LARGE_SIZE / MIB} MiB`];
  const lines = rows.map(({ name, put, patch, single }) => {
    const isMet = Math.max(put.peak, patch.peak) < GOAL;
    const goal = `< ${GOAL / MIB} MiB, ${isMet ? 'met' : 'missed'}`;
    return [name, describe(put), describe(patch), goal, describe(single)];
  });
  return markdownTable([head, ...lines]);
}

function describe({ peak, bytesPerSecond }: Measurement): string {
  return `${Math.round(peak / MIB)} MiB, ${Math.round(bytesPerSecond / MIB)} MiB/s`;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
