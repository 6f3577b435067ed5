import { createHash } from 'node:crypto';
import { RegistryClient } from './client.ts';
import type { CollectionLoad } from './collections.ts';
import { digestOf, largeBlobs, smallImages, type Blob, type Image } from './content.ts';
import { processorSeconds } from './processor-time.ts';
import type { ServerProcess } from './server-process.ts';

const MIB = 1024 * 1024;
const REPOSITORY = 'bench/reads';
/** Clients that ask for manifests and blobs at once. */
const ASKING = 8;
const PUSHING_IMAGES = 8;

/** What one measurement of one server gave. */
export interface Measurement {
  /** In the scenario's unit. */
  readonly amount: number;
  readonly seconds: number;
  /** Processor time that the server used; NaN for a garbage collection. */
  readonly processorSeconds: number;
}

/** What a row of the tables says. */
export interface Row {
  readonly id: string;
  readonly title: string;
  /** Manifests are those that a garbage collection looks at. */
  readonly unit: 'MiB' | 'image' | 'request' | 'manifest';
  /** Rate, as a multiple of the fastest other server's, that we want to reach. */
  readonly rateGoal?: number;
  /** Processor time for each unit, as a part of the most frugal other server's, that we want to stay under. */
  readonly processorGoal?: number;
}

export interface Scenario extends Row {
  /** On a server that writes a line for each request. */
  readonly accessLog?: true;
  /** The server writes, so what was written before must be on the disk first. */
  readonly writes?: true;
  readonly run: (server: ServerProcess, load: Load, signal: AbortSignal) => Promise<Measurement>;
}

/** What is sent, made once for all servers and rounds: each server starts with an empty directory. */
export interface Load {
  readonly blobs: readonly Blob[];
  readonly images: readonly Image[];
  /** Pushed before those that count, because a server is slow at first. */
  readonly warmUpBlobs: readonly Blob[];
  readonly warmUpImages: readonly Image[];
  /** The image that is read over and over. */
  readonly read: Image;
  /** Milliseconds for which reads are counted. */
  readonly window: number;
  /** Milliseconds for which they go on uncounted before. */
  readonly warmUp: number;
  /** The same for small requests: a compiler that works beside them needs thousands to know what is worth its while. */
  readonly warmUpRequests: number;
  readonly collection: CollectionLoad;
}

export function prepareLoad(options: {
  readonly images: number;
  /** Bytes. */
  readonly blobSize: number;
  readonly window: number;
  readonly warmUp: number;
  readonly warmUpRequests: number;
  readonly collection: CollectionLoad;
}): Load {
  const { blobSize, window, warmUp, warmUpRequests, collection } = options;
  const [read, ...images] = smallImages(options.images + 1);
  if (read === undefined) throw new Error('no image');
  return {
    blobs: largeBlobs(5, blobSize),
    images,
    warmUpBlobs: largeBlobs(1, blobSize / 4),
    warmUpImages: smallImages(PUSHING_IMAGES * 12),
    read,
    window,
    warmUp,
    warmUpRequests,
    collection,
  };
}

/** In the order in which they run: what is pushed first is read later. */
export const scenarios: readonly Scenario[] = [
  {
    id: 'push-1',
    title: 'push of a 256 MiB blob',
    unit: 'MiB',
    rateGoal: 1.5,
    writes: true,
    run: async (server, load, signal) => {
      await pushBlobs(server, load.warmUpBlobs, signal);
      return pushBlobs(server, load.blobs.slice(0, 1), signal);
    },
  },
  {
    id: 'push-4',
    title: 'push of four 256 MiB blobs at once',
    unit: 'MiB',
    rateGoal: 1.2,
    writes: true,
    run: (server, load, signal) => pushBlobs(server, load.blobs.slice(1, 5), signal),
  },
  {
    id: 'images',
    title: `push of small images, ${PUSHING_IMAGES} clients`,
    unit: 'image',
    rateGoal: 3,
    writes: true,
    run: pushImages,
  },
  {
    id: 'manifest',
    title: `GET of a manifest by tag, ${ASKING} clients`,
    unit: 'request',
    processorGoal: 1 / 4,
    run: getManifests,
  },
  {
    id: 'manifest-log',
    title: 'the same GET, with an access log',
    unit: 'request',
    processorGoal: 1 / 3,
    accessLog: true,
    run: getManifests,
  },
  {
    id: 'head-blob',
    title: `HEAD of a blob, ${ASKING} clients`,
    unit: 'request',
    processorGoal: 1 / 4,
    run: headBlobs,
  },
  {
    id: 'pull-1',
    title: 'pull of a 256 MiB blob',
    unit: 'MiB',
    rateGoal: 1.3,
    run: (server, load, signal) => pullBlobs(server, load, { clients: 1, signal }),
  },
  {
    id: 'pull-8',
    title: 'pull of a 256 MiB blob, 8 clients',
    unit: 'MiB',
    rateGoal: 1,
    run: (server, load, signal) => pullBlobs(server, load, { clients: 8, signal }),
  },
  {
    id: 'pull-64',
    title: 'pull of a 256 MiB blob, 64 clients',
    unit: 'MiB',
    rateGoal: 1,
    run: (server, load, signal) => pullBlobs(server, load, { clients: 64, signal }),
  },
];

/** One client for each blob, all at once. */
async function pushBlobs(
  server: ServerProcess,
  blobs: readonly Blob[],
  signal: AbortSignal,
): Promise<Measurement> {
  using clients = await openClients(server, blobs.length, signal);
  return await timed(server, async () => {
    await clients.each((client, index) => client.pushBlob('bench/blobs', at(blobs, index)));
    return blobs.reduce((sum, { size }) => sum + size, 0) / MIB;
  });
}

/** Each client pushes to a repository of its own. */
async function pushImages(server: ServerProcess, load: Load, signal: AbortSignal): Promise<Measurement> {
  using clients = await openClients(server, PUSHING_IMAGES, signal);
  const push = async (images: readonly Image[]): Promise<number> => {
    let next = 0;
    await clients.each(async (client, index) => {
      while (next < images.length) {
        next += 1;
        await client.pushImage(`bench/images-${index}`, at(images, next - 1));
      }
    });
    return images.length;
  };
  await push(load.warmUpImages);
  return await timed(server, () => push(load.images));
}

async function getManifests(server: ServerProcess, load: Load, signal: AbortSignal): Promise<Measurement> {
  using clients = await openClients(server, ASKING, signal);
  const first = clients.first;
  await first.pushImage(REPOSITORY, load.read);
  const parts: Buffer[] = [];
  await first.getManifest(REPOSITORY, load.read.tag, (part) => parts.push(Buffer.from(part)));
  requireDigest(server, digestOf(Buffer.concat(parts)), load.read.manifestDigest);
  return await sustained(server, { ...load, warmUp: load.warmUpRequests }, async (progress) => {
    await clients.each(async (client) => {
      for (; !progress.over; progress.amount += 1) await client.getManifest(REPOSITORY, load.read.tag);
    });
  });
}

async function headBlobs(server: ServerProcess, load: Load, signal: AbortSignal): Promise<Measurement> {
  using clients = await openClients(server, ASKING, signal);
  const { digest } = at(load.read.blobs, 0);
  return await sustained(server, { ...load, warmUp: load.warmUpRequests }, async (progress) => {
    await clients.each(async (client) => {
      for (; !progress.over; progress.amount += 1) await client.headBlob(REPOSITORY, digest);
    });
  });
}

/** Counts what arrives within the window, whole blobs or not: 64 clients would need 16 GiB for one blob each. */
async function pullBlobs(
  server: ServerProcess,
  load: Load,
  options: { readonly clients: number; readonly signal: AbortSignal },
): Promise<Measurement> {
  using clients = await openClients(server, options.clients, options.signal);
  const { digest } = at(load.blobs, 0);
  // Also brings it into the page cache, where all servers then have it.
  const sum = createHash('sha256');
  await clients.first.getBlob('bench/blobs', digest, (part) => sum.update(part));
  requireDigest(server, `sha256:${sum.digest('hex')}`, digest);
  return await sustained(server, load, async (progress) => {
    const count = (part: Buffer): void => {
      progress.amount += part.length / MIB;
    };
    progress.whenOver = () => clients[Symbol.dispose]();
    await clients.each(async (client) => {
      try {
        while (!progress.over) await client.getBlob('bench/blobs', digest, count);
      } catch (error) {
        if (!progress.over) throw error;
      }
    });
  });
}

interface Progress {
  amount: number;
  over: boolean;
  /** Ends what would go on for long. */
  whenOver?: () => void;
}

/** Lets `work` run, and measures what is done from the end of the warm-up to the end of the window. */
async function sustained(
  server: ServerProcess,
  load: Load,
  work: (progress: Progress) => Promise<void>,
): Promise<Measurement> {
  const progress: Progress = { amount: 0, over: false };
  const { promise, resolve, reject } = Promise.withResolvers<Measurement>();
  const timers: NodeJS.Timeout[] = [];
  timers.push(
    setTimeout(() => {
      const begin = stand(server, progress.amount);
      timers.push(
        setTimeout(() => {
          const end = stand(server, progress.amount);
          progress.over = true;
          progress.whenOver?.();
          resolve(difference(begin, end));
        }, load.window),
      );
    }, load.warmUp),
  );
  const working = work(progress);
  working.catch(reject);
  try {
    const measurement = await promise;
    await working;
    return measurement;
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
}

async function timed(server: ServerProcess, work: () => Promise<number>): Promise<Measurement> {
  const begin = stand(server, 0);
  const amount = await work();
  return difference(begin, stand(server, amount));
}

function stand(server: ServerProcess, amount: number): Measurement {
  return { amount, seconds: performance.now() / 1000, processorSeconds: processorSeconds(server.pid) };
}

function difference(begin: Measurement, end: Measurement): Measurement {
  return {
    amount: end.amount - begin.amount,
    seconds: end.seconds - begin.seconds,
    processorSeconds: end.processorSeconds - begin.processorSeconds,
  };
}

/** Connections that the signal closes, so that what waits for an answer fails. */
interface Clients extends Disposable {
  readonly first: RegistryClient;
  readonly each: (work: (client: RegistryClient, index: number) => Promise<void>) => Promise<void>;
}

async function openClients(server: ServerProcess, count: number, signal: AbortSignal): Promise<Clients> {
  const opening = Array.from({ length: count }, () => RegistryClient.open(server.port));
  const clients = await Promise.all(opening);
  const close = (): void => {
    for (const client of clients) client.close();
  };
  signal.addEventListener('abort', close);
  if (signal.aborted) close();
  return {
    first: at(clients, 0),
    each: async (work) => {
      await Promise.all(clients.map(work));
    },
    [Symbol.dispose]: () => {
      signal.removeEventListener('abort', close);
      close();
    },
  };
}

function requireDigest(server: ServerProcess, got: string, wanted: string): void {
  if (got !== wanted) throw new Error(`${server.contender.title} sent ${got} for ${wanted}`);
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`no item ${index}`);
  return item;
}
