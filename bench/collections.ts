import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Contender } from './contenders.ts';
import { writeBucket } from './ceph-bucket.ts';
import { writeRegistryTree, type TreeOptions } from './registry-tree.ts';
import type { Measurement, Row } from './scenarios.ts';

/** A garbage collection on a storage that no server uses: docker's must not run beside one. */
export interface Collection extends Row {
  readonly unit: 'manifest';
  readonly dryRun: boolean;
  /** `--trash-grace` of ours; the others have no trash. */
  readonly trashGrace: '0s' | '24h';
  /** Needs Ceph's object gateway, which the machine may not have: measured where it is asked for. */
  readonly store?: 'S3';
}

export const collections: readonly Collection[] = [
  {
    id: 'gc-dry',
    title: 'dry run of a garbage collection',
    unit: 'manifest',
    rateGoal: 3,
    dryRun: true,
    trashGrace: '24h',
  },
  {
    id: 'gc-now',
    title: 'garbage collection, nothing stays in the trash',
    unit: 'manifest',
    rateGoal: 10,
    dryRun: false,
    trashGrace: '0s',
  },
  {
    id: 'gc-trash',
    title: 'garbage collection, into the trash for a day',
    unit: 'manifest',
    rateGoal: 10,
    dryRun: false,
    trashGrace: '24h',
  },
  {
    id: 'gc-s3',
    title: 'garbage collection in a bucket',
    unit: 'manifest',
    rateGoal: 10,
    dryRun: false,
    trashGrace: '0s',
    store: 'S3',
  },
];

/** What is collected: half of the images have no tag, and go. */
export interface CollectionLoad {
  readonly disk: TreeOptions;
  /** Where every object costs a request, and docker's registry makes one after the other. */
  readonly bucket: TreeOptions;
}

/** Measures the collections of one round. */
export class CollectionRound {
  readonly #folder: string;
  readonly #load: CollectionLoad;
  readonly #signal: AbortSignal;
  /** What was measured, by the command: the others do the same with a trash and without. */
  readonly #done = new Map<string, Measurement>();

  constructor(options: {
    readonly folder: string;
    readonly load: CollectionLoad;
    readonly signal: AbortSignal;
  }) {
    this.#folder = options.folder;
    this.#load = options.load;
    this.#signal = options.signal;
  }

  /** @param settle waits until what was written is on the disk. */
  async measure(
    collection: Collection,
    contender: Contender,
    settle: () => Promise<void>,
  ): Promise<Measurement> {
    const tree = collection.store === 'S3' ? this.#load.bucket : this.#load.disk;
    const args = ['garbage-collect', '--delete-untagged', ...(collection.dryRun ? ['--dry-run'] : [])];
    if (contender.id === 'stevedore') {
      args.push('--offline', '--minimum-age=0s', `--trash-grace=${collection.trashGrace}`);
    }
    const key = [contender.id, collection.store, ...args].join(' ');
    const known = this.#done.get(key);
    if (known) return known;
    const config = await this.#prepare(collection, contender, tree);
    await settle();
    const began = performance.now();
    await this.#run(contender, [...args, config]);
    const measured: Measurement = {
      amount: tree.repositories * tree.images,
      seconds: (performance.now() - began) / 1000,
      processorSeconds: Number.NaN,
    };
    if (collection.store === undefined) assertCollected(collection, config, tree);
    this.#done.set(key, measured);
    return measured;
  }

  /** A dry run leaves a tree as it is, so that all look at the same. @returns the configuration file. */
  async #prepare(collection: Collection, contender: Contender, tree: TreeOptions): Promise<string> {
    const name = collection.dryRun ? collection.id : `${collection.id}-${contender.id}`;
    const folder = join(this.#folder, name);
    const config = join(folder, 'config.yml');
    if ((await mkdir(folder, { recursive: true })) === undefined) return config;
    let storage: object = { filesystem: { rootdirectory: join(folder, 'data') } };
    if (collection.store === 'S3') storage = { s3: await writeBucket(tree) };
    else writeRegistryTree(join(folder, 'data'), tree);
    const settings = { version: 0.1, log: { level: 'error' }, storage, http: { addr: '127.0.0.1:0' } };
    await writeFile(config, JSON.stringify(settings)); // which YAML takes in
    return config;
  }

  async #run(contender: Contender, args: readonly string[]): Promise<void> {
    const child = spawn(contender.command, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...contender.environment },
      signal: this.#signal,
      killSignal: 'SIGKILL',
    });
    const ended = once(child, 'exit') as Promise<[number | null]>; // code first
    const [said, [code]] = await Promise.all([text(child.stderr), ended]);
    if (code !== 0) throw new Error(`${contender.title} ended with ${code}: ${said.slice(-2000)}`);
  }
}

/** A server that leaves what it should take, or takes what it should leave, is not faster. */
function assertCollected({ dryRun, title }: Collection, config: string, tree: TreeOptions): void {
  const folder = join(config, '../data/docker/registry/v2/blobs');
  const blobs = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const left = blobs.filter((path) => path.endsWith('/data')).length;
  const wanted = 3 * tree.repositories * (dryRun ? tree.images : tree.tagged);
  if (left !== wanted) throw new Error(`${title}: ${left} blobs are left, and not ${wanted}`);
}
