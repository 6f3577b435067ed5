/**
 * Measures the memory of a garbage collection of a million blobs: `node bench/million.ts`. The store is made up while it is
 * read, since it would take hours to write one: a thousand repositories with an image of 999 layers each. In a first run
 * all of it is needed, in a second one nothing is, so that all of it goes. Bundled, as the program is in the image, and with
 * the flag that the operator gives it.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mediaTypes } from '../src/oci/media-type.ts';
import { systemClock } from '../src/process/clock.ts';
import { createLogger } from '../src/process/logger.ts';
import { collect } from '../src/registry/collect/collect.ts';
import { PathNotFoundError, type FileStat, type StorageDriver } from '../src/registry/storage/driver.ts';
import { InMemoryStore } from '../src/registry/storage/object-store/in-memory-store.ts';
import { createObjectDriver } from '../src/registry/storage/object-store/object-driver.ts';
import { BLOBS_ROOT, REPOSITORIES_ROOT } from '../src/registry/storage/paths.ts';
import type { Figure } from './report.ts';

const REPOSITORIES = 1000;
/** In each: a config, and layers. */
const BLOBS = 1000;
/** Of the 256 folders, with 3,906 blobs on average. */
const LARGEST_FOLDER = 4352;
const GOAL_MIB = 256;
const CASES = ['needed', 'garbage'] as const;
type Case = (typeof CASES)[number];

const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');
const blobHex = (repository: number, blob: number): string => sha256(`${repository}.${blob}`);

function manifestOf(repository: number): Buffer {
  const [config, ...layers] = Array.from({ length: BLOBS }, (_, blob) => ({
    mediaType: `application/vnd.oci.image.${blob === 0 ? 'config.v1+json' : 'layer.v1.tar+gzip'}`,
    digest: `sha256:${blobHex(repository, blob)}`,
    size: 1000,
  }));
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers }));
}

/** Numbers of blobs, in the folder that each lies in by the first two digits of its digest. */
function blobFolders(): readonly Uint32Array[] {
  const folders = Array.from({ length: 256 }, () => ({
    numbers: new Uint32Array(LARGEST_FOLDER),
    length: 0,
  }));
  for (let number = 0; number < REPOSITORIES * BLOBS; number++) {
    const hex = blobHex(Math.floor(number / BLOBS), number % BLOBS);
    const folder = folders[Number.parseInt(hex.slice(0, 2), 16)];
    if (folder) folder.numbers[folder.length++] = number;
  }
  return folders.map(({ numbers, length }) => numbers.subarray(0, length));
}

/** A bucket with a million blobs, all of them old. What a run writes is kept in `rest`. */
function millionBlobs(rest: StorageDriver, kind: Case): StorageDriver {
  const folders = blobFolders();
  const manifests = new Map(
    Array.from({ length: REPOSITORIES }, (_, repository) => [sha256(manifestOf(repository)), repository]),
  );
  const hexOfManifest = [...manifests.keys()];
  const old: FileStat = { isDirectory: false, size: 1000, modifiedAt: 0 };
  const link: FileStat = { ...old, size: 'sha256:'.length + 64 };

  const list = (path: string): readonly string[] | undefined => {
    if (path === REPOSITORIES_ROOT) return hexOfManifest.map((_, repository) => `r${repository}`);
    if (path === `${BLOBS_ROOT}/sha256`)
      return folders.map((_, index) => index.toString(16).padStart(2, '0'));
    if (path.startsWith(`${BLOBS_ROOT}/sha256/`)) {
      const numbers = folders[Number.parseInt(path.slice(-2), 16)] ?? [];
      return Array.from(numbers, (number) => blobHex(Math.floor(number / BLOBS), number % BLOBS));
    }
    const [, number = '', below] = /\/r(\d+)(?:\/(.+))?$/.exec(path) ?? [];
    const repository = Number(number);
    switch (below) {
      case undefined:
        return kind === 'garbage' ? ['_layers'] : ['_layers', '_manifests'];
      case '_layers':
        return ['sha256'];
      case '_layers/sha256':
        return Array.from({ length: BLOBS }, (_, blob) => blobHex(repository, blob));
      case '_manifests/revisions':
        return kind === 'garbage' ? undefined : ['sha256'];
      case '_manifests/revisions/sha256':
        return hexOfManifest.slice(repository, repository + 1);
      default:
        return undefined;
    }
  };
  const isMadeUp = (path: string): boolean =>
    path.startsWith(REPOSITORIES_ROOT) || path.startsWith(BLOBS_ROOT);

  return {
    name: 'made up',
    movesAtomically: false,
    async list(path) {
      if (!isMadeUp(path)) return rest.list(path);
      return list(path) ?? missing(path);
    },
    async stat(path) {
      if (!isMadeUp(path)) return rest.stat(path);
      return path.endsWith('/data') ? old : path.endsWith('/link') ? link : missing(path);
    },
    async getContent(path) {
      if (!isMadeUp(path)) return rest.getContent(path);
      const repository = manifests.get(path.split('/').at(-2) ?? '');
      return repository === undefined ? missing(path) : manifestOf(repository);
    },
    async delete(path, options) {
      if (!isMadeUp(path)) await rest.delete(path, options);
    },
    async deleteWithin() {},
    removeIfEmpty: (path) => rest.removeIfEmpty(path),
    putContent: (path, content) => rest.putContent(path, content),
    publish: (files, beforeVisible) => rest.publish(files, beforeVisible),
    read: (path, range) => rest.read(path, range),
    writer: (path, options) => rest.writer(path, options),
    unpublishedSize: (path) => rest.unpublishedSize(path),
    seal: (path) => rest.seal(path),
    move: (from, to) => rest.move(from, to),
  };
}

function missing(path: string): never {
  throw new PathNotFoundError(path);
}

async function measure(kind: Case): Promise<void> {
  const rest = createObjectDriver(new InMemoryStore(Date.now), { rootDirectory: '' });
  const driver = millionBlobs(rest, kind);
  const began = performance.now();
  const report = await collect(
    {
      dryRun: false,
      deleteUntagged: false,
      minimumAge: 2 * 3600_000,
      trashGrace: 0,
      drainTimeout: 0,
      offline: true,
    },
    {
      driver,
      clock: systemClock,
      log: createLogger({ level: 'error' }),
      run: 'run',
      random: Math.random,
      signal: new AbortController().signal,
    },
  );
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  const mebibytes = Math.round(process.resourceUsage().maxRSS / 1024);
  const row: Figure = {
    what: `memory, when ${report.blobsDeleted} of ${report.blobsScanned} blobs are garbage (${seconds} s)`,
    figure: `${mebibytes} MiB`,
    goal: `< ${GOAL_MIB} MiB`,
    met: report.result === 'Succeeded' && mebibytes < GOAL_MIB,
  };
  process.stdout.write(JSON.stringify(row));
}

/** Each case in a process of its own, whose memory is that of one run. */
export async function measureMillion(folder: string): Promise<readonly Figure[]> {
  // Loaded here alone, as it cannot be bundled itself.
  const { build } = await import('esbuild');
  const outfile = join(folder, 'million.mjs');
  await build({
    entryPoints: [import.meta.filename],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node26',
    external: ['esbuild'],
    // As in scripts/bundle.ts.
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  });
  return CASES.map((one) => {
    const args = ['--max-semi-space-size=4', outfile, one];
    const { stdout } = spawnSync(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    return JSON.parse(stdout.toString()) as Figure; // of `measure`
  });
}

const kind = CASES.find((one) => one === process.argv[2]);
if (kind) await measure(kind);
else if (import.meta.main) {
  const folder = await mkdtemp(join(tmpdir(), 'stevedore-million-'));
  try {
    for (const { what, figure, goal, met } of await measureMillion(folder))
      console.log(`${what.padEnd(72)}${figure.padEnd(12)}goal ${goal}, ${met ? 'met' : 'missed'}`);
  } finally {
    await rm(folder, { recursive: true });
  }
}
