import assert from 'node:assert/strict';
import { digestOf } from '../../src/oci/digest.ts';
import { listRepositories } from '../../src/registry/storage/catalog.ts';
import { createFilesystemDriver } from '../../src/registry/storage/filesystem/filesystem-driver.ts';
import { DiskModel, powerCuts, type DiskOperation, type Node, type PowerCut } from './disk-model.ts';
import { logSink } from './log-sink.ts';
import { MemoryFileSystem } from './memory-file-system.ts';
import { createStores, readBlob, type Stores } from './store-fixture.ts';

const ROOT = '/data/registry';

/** Something that clients do, and what they may rely on afterwards. */
export interface Scenario {
  readonly title: string;
  /** What happened before, in the same process; everything of it is durable by now. */
  readonly prepare?: (stores: Stores, files: MemoryFileSystem) => Promise<void>;
  /** Another program, whose promises are its own, has prepared a moment ago, and nothing of it is durable. */
  readonly afterAnother?: boolean;
  /** @param other what another process of the same server has of the store. */
  readonly run: (stores: Stores, acknowledge: (what: string) => void, other: Stores) => Promise<void>;
  /** Looks at a store that was started after a power cut. @throws when something acknowledged is not there. */
  readonly verify: (stores: Stores, acknowledged: ReadonlySet<string>) => Promise<void>;
}

const { log } = logSink();

/** A scenario that was run once: where its disk was at the start, and what happened to it. */
interface Run {
  readonly before: DiskModel;
  readonly operations: readonly DiskOperation[];
  /** What was synced, in order. */
  readonly syncs: readonly string[];
}

/** What was found after a power cut that must not be. */
export interface Loss {
  readonly after: number;
  readonly cut: PowerCut;
  readonly acknowledged: readonly string[];
  readonly error: unknown;
}

/** Runs a scenario and looks at what each power cut during it would leave. @returns the first loss. */
export async function findLoss(scenario: Scenario): Promise<Loss | undefined> {
  const { before: disk, operations } = await perform(scenario, undefined);
  const acknowledged = new Set<string>();
  for (const [index, operation] of [undefined, ...operations].entries()) {
    if (operation) disk.apply(operation);
    if (operation?.kind === 'acknowledge') acknowledged.add(operation.what);
    // The beginning of a sync changes nothing yet.
    if (operation?.kind === 'sync-begin') continue;
    const loss = await cutPower(scenario, disk, acknowledged);
    if (loss) return { after: index, ...loss };
  }
  return undefined;
}

/**
 * Runs a scenario without one of its syncs and cuts the power at each acknowledgement, where at the latest something
 * must be missing. @returns the first loss.
 */
export async function findLossWithout(scenario: Scenario, sync: number): Promise<Loss | undefined> {
  const { before: disk, operations } = await perform(scenario, sync);
  const acknowledged = new Set<string>();
  for (const [index, operation] of operations.entries()) {
    disk.apply(operation);
    if (operation.kind !== 'acknowledge') continue;
    acknowledged.add(operation.what);
    const loss = await cutPower(scenario, disk, acknowledged);
    if (loss) return { after: index, ...loss };
  }
  return undefined;
}

async function cutPower(
  scenario: Scenario,
  disk: DiskModel,
  acknowledged: ReadonlySet<string>,
): Promise<Omit<Loss, 'after'> | undefined> {
  for (const cut of powerCuts) {
    try {
      await inspect(scenario, disk.afterPowerCut(cut), acknowledged);
    } catch (error) {
      return { cut, acknowledged: [...acknowledged], error };
    }
  }
  return undefined;
}

/** What a scenario syncs, in order. */
export async function syncsOf(scenario: Scenario): Promise<readonly string[]> {
  return (await perform(scenario, undefined)).syncs;
}

async function perform(scenario: Scenario, skipSync: number | undefined): Promise<Run> {
  let recordedFrom = Infinity;
  const files = new MemoryFileSystem({
    disk: volume(),
    skipsSync: (index) => skipSync !== undefined && index - recordedFrom === skipSync,
  });
  const stores = start(files);
  await scenario.prepare?.(stores, files);
  if (scenario.prepare && !scenario.afterAnother) files.disk.settle();
  const before = files.disk.copy();
  const firstOperation = files.operations.length;
  recordedFrom = files.syncs.length;
  const running = scenario.afterAnother ? start(files) : stores;
  await scenario.run(running, (what) => files.acknowledge(what), start(files));
  assert.equal(files.openFiles, 0, 'every file is closed');
  return {
    before,
    operations: files.operations.slice(firstOperation),
    syncs: files.syncs.slice(recordedFrom),
  };
}

/** A mounted volume: its own directory is there, and nothing in it. */
function volume(): DiskModel {
  const disk = new DiskModel();
  disk.apply({ kind: 'mkdir', path: '/data' });
  return disk.afterPowerCut('everything');
}

function start(files: MemoryFileSystem): Stores {
  return createStores(createFilesystemDriver({ root: ROOT, files, log, others: { now: () => 0 } }));
}

async function inspect(
  scenario: Scenario,
  disk: DiskModel,
  acknowledged: ReadonlySet<string>,
): Promise<void> {
  const stores = start(new MemoryFileSystem({ disk }));
  await scenario.verify(stores, acknowledged);
  if (!scenario.afterAnother || acknowledged.size > 0) assertNoTornBlob(disk.root, '');
  await assertNothingHalfVisible(stores);
}

/** Under a digest lies what has it, or nothing. */
function assertNoTornBlob(node: Node, path: string): void {
  if (node.isDirectory) {
    for (const [name, child] of node.entries) assertNoTornBlob(child, `${path}/${name}`);
    return;
  }
  const [, hex] = /\/blobs\/sha256\/..\/([0-9a-f]{64})\/data$/.exec(path) ?? [];
  if (hex !== undefined) assert.equal(digestOf(node.content), `sha256:${hex}`, `${path} is torn`);
}

/** What a client can name, it can have: a tag its manifest, a manifest its blobs. */
async function assertNothingHalfVisible(stores: Stores): Promise<void> {
  for (const repository of await listRepositories(stores.driver, { limit: 100 })) {
    for (const tag of await stores.tags.list(repository)) {
      const manifest = await stores.manifests.get(repository, tag);
      assert.ok(manifest, `tag ${tag} leads to its manifest`);
      // The scenarios' manifests are images.
      const { config, layers } = JSON.parse(manifest.bytes.toString()) as {
        config: { digest: `sha256:${string}` };
        layers: { digest: `sha256:${string}` }[];
      };
      for (const { digest } of [config, ...layers]) {
        const bytes = await readBlob(stores, repository, digest as Parameters<typeof readBlob>[2]);
        assert.ok(bytes, `manifest ${tag} has its blob ${digest}`);
        assert.equal(digestOf(bytes), digest);
      }
    }
  }
}
