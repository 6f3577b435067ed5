import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { suite, test, type TestContext } from 'node:test';
import { digestAlgorithm, digestOf, parseDigest } from '../../src/oci/digest.ts';
import type { CollectionReport } from '../../src/contract/collection-report.ts';
import { garbageCollect } from '../../src/commands/garbage-collect.ts';
import { parseArguments } from '../../src/commands/arguments.ts';
import { mediaTypes } from '../../src/oci/media-type.ts';
import { startTestRegistry } from '../support/test-registry.ts';
import { distributions, serveWithDistribution } from './distribution.ts';
import { HttpRegistry } from './http-registry.ts';
import { seededRandom } from './seeded-random.ts';
import { expectCollection, type Expectation } from './support/collection-oracle.ts';
import { CONTENTS, GeneratedStore, age, type Content } from './support/generated-store.ts';

const STORES = 50;
/** Thousands of small files are synced here, of which none has to outlive anything. */
const MEMORY = '/dev/shm';
const [dockerRegistry] = distributions;
const contents = new Set<Content>();
const totals = { deleted: 0, served: 0 };

suite('docker-registry serves what a collection leaves of a generated store', { concurrency: 2 }, () => {
  for (let seed = 1; seed <= STORES; seed++) {
    test(`store ${seed} loses what the guide says, and docker-registry serves the rest`, (t) =>
      collectStore(t, seed));
  }
});

test('the generated stores had something of everything', (t) => {
  assert.deepEqual(
    CONTENTS.filter((content) => !contents.has(content)),
    [],
  );
  t.diagnostic(`${totals.deleted} files deleted, ${totals.served} tags, manifests and blobs served`);
});

async function collectStore(t: TestContext, seed: number): Promise<void> {
  const random = seededRandom(`generated store ${seed}`);
  const storage = mkdtempSync(join(MEMORY, 'generated-store-'));
  t.after(() => rmSync(storage, { recursive: true, force: true }));
  const { url, folder, server } = await startTestRegistry(t, {
    REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: storage,
  });
  for (const content of await new GeneratedStore(new HttpRegistry(url), random).fill()) contents.add(content);
  await server.stop();
  age(storage, random);

  // The odd ones keep nothing in the trash, and leave uploads to the run.
  const odd = seed % 2 === 1;
  const uploadAge = odd ? 24 * 3600_000 : undefined;
  const uploadpurging = odd ? { enabled: false, age: '24h' } : { enabled: true };
  const settings = { filesystem: { rootdirectory: storage }, maintenance: { uploadpurging } };
  const config = join(folder, 'config.yml');
  const http = { addr: '127.0.0.1:0' };
  writeFileSync(config, JSON.stringify({ version: 0.1, storage: settings, http })); // which YAML takes in
  const grace = `--trash-grace=${odd ? '0s' : '24h'}`;
  const collect = (...options: readonly string[]) => collectHere([config, '--offline', grace, ...options]);

  assert.ok(dockerRegistry);
  const place = { config: join(folder, 'theirs.yml'), storage };
  const theirs = await serveWithDistribution(t, dockerRegistry, place);
  let inTrash = 0;
  for (const deleteUntagged of [false, true]) {
    const options = deleteUntagged ? ['--delete-untagged'] : [];
    const expected = expectCollection(storage, { deleteUntagged, uploadAge });
    const before = filesOf(storage);
    assertReport(await collect('--dry-run', ...options), expected, inTrash);
    if (!deleteUntagged) {
      const withUntagged = expectCollection(storage, { deleteUntagged: true, uploadAge });
      assertReport(await collect('--dry-run', '--delete-untagged'), withUntagged, inTrash);
    }
    assert.deepEqual(filesOf(storage), before, 'a dry run changes nothing');
    const report = await collect(...options);
    assertReport(report, expected, inTrash);
    inTrash = report.bytesInTrash;
    const after = new Set(filesOf(storage));
    assert.deepEqual(
      before.filter((path) => !after.has(path)),
      [...expected.deleted].toSorted(),
    );
    totals.deleted += expected.deleted.size;
    // Two stores are at it at once, and what one adds must not be lost to the other.
    const served = await assertServed(theirs, expected);
    totals.served += served;
  }
}

/** The command, in this process: it runs hundreds of times. */
async function collectHere(args: readonly string[]): Promise<CollectionReport> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const code = await garbageCollect.run({
    ...parseArguments(['--format=json', ...args], garbageCollect.options),
    environment: {},
    stdin,
    stdout,
    stderr,
    signal: new AbortController().signal,
  });
  const printed = String(stdout.read());
  assert.equal(code, 0, printed + String(stderr.read()));
  return JSON.parse(printed) as CollectionReport; // --format=json
}

/** Data, and links of blobs, manifests and tags; sorted. What a tag once said is of no use to anybody. */
function filesOf(storage: string): readonly string[] {
  return readdirSync(storage, { recursive: true, encoding: 'utf8' })
    .filter(
      (path) => /\/v2\/.*\/(?:data|link)$/.test(path) && !/\/stevedore\/|\/_uploads\/|\/index\//.test(path),
    )
    .toSorted();
}

/** @param inTrash bytes that earlier runs left there. */
function assertReport(report: CollectionReport, expected: Expectation, inTrash: number): void {
  const { manifests, links, blobs, bytes, emptied, uploads } = expected;
  assert.deepEqual(
    {
      manifests: report.manifestsDeleted,
      links: report.linksDeleted,
      blobs: report.blobsDeleted,
      bytes: report.bytesReclaimed + report.bytesInTrash - inTrash,
      emptied: report.repositoriesDeleted,
      uploads: report.uploadsDeleted,
      tags: report.tagsDeleted,
    },
    { manifests, links, blobs, bytes, emptied, uploads, tags: 0 },
    report.message,
  );
}

/** @returns how many tags, manifests and blobs were pulled, each with the bytes of its digest. */
async function assertServed(registry: HttpRegistry, { left }: Expectation): Promise<number> {
  const headers = { accept: Object.values(mediaTypes).join() };
  let served = 0;
  for (const { name, tags, manifests, blobs } of left) {
    const pull = async (path: string, wanted: string): Promise<void> => {
      const { bytes } = await registry.send('GET', `/v2/${name}/${path}`, { headers, expect: 200 });
      const digest = parseDigest(wanted);
      assert.ok(digest);
      assert.equal(digestOf(bytes, digestAlgorithm(digest)), digest);
      served++;
    };
    if (tags.size > 0) assert.deepEqual(await registry.tags(name), [...tags.keys()].toSorted());
    for (const [tag, digest] of tags) await pull(`manifests/${tag}`, digest);
    for (const digest of manifests) await pull(`manifests/${digest}`, digest);
    for (const digest of blobs) await pull(`blobs/${digest}`, digest);
  }
  assert.deepEqual(await registry.catalog(), left.map(({ name }) => name).toSorted());
  return served;
}
