import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { digestHex, digestOf } from '../../src/oci/digest.ts';
import { startServe, type ServeProcess } from '../support/serve-process.ts';
import { Acknowledged } from './acknowledged.ts';
import { killProcess, startCollector, type CollectorProcess } from './collector-process.ts';
import { HttpRegistry, isBrokenConnection, randomImage, randomWay } from './http-registry.ts';
import { testRandom, type SeededRandom } from './seeded-random.ts';
import { waitFor } from './wait.ts';

/** So many that a mark and a sweep take long enough to be met in the middle. */
const GARBAGE = 2000;
const WRITABLE_WITHIN_MS = 60_000;

// Each waits most of the time, for a lease to lapse.
suite('kill -9', { concurrency: true }, () => {
  test('a collector that dies in its mark leaves everything, and writes work again within a minute', async (t) => {
    const site = await prepare(t);
    const finish = await site.openUpload();
    const collector = site.collect();
    await collector.said('the lease is taken; servers hold new writes');
    // It waits for the upload, so that there is time to put a stumbling block into its way.
    const unblock = site.blockMarks();
    await finish();
    await collector.said('the servers have drained; marking');
    await collector.kill();
    assert.equal(site.garbage(), GARBAGE);
    unblock();
    await site.assertRecovers();
  });

  test('a collector that dies in its sweep leaves what is needed, and writes work again within a minute', async (t) => {
    const site = await prepare(t);
    const collector = site.collect();
    await waitFor('the sweep', async () => site.hasTrash(), { interval: 1 });
    await site.randomMoment(200);
    await collector.kill();
    const left = site.garbage();
    t.diagnostic(`${GARBAGE - left} of ${GARBAGE} blobs had been moved`);
    assert.ok(left > 0 && left < GARBAGE, 'it was in the sweep');
    await site.assertRecovers();
  });

  test('a server that dies with uploads open does not keep a collector waiting', async (t) => {
    const site = await prepare(t);
    await site.openUpload();
    await site.restart();
    const outcome = await site.collect().ended;
    assert.equal(outcome.result, 'Succeeded', outcome.message);
    assert.equal(site.garbage(), 0);
    await site.ledger.verify(site.registry);
  });

  test('a server that dies while a collector waits for its uploads does not keep writes away for longer than a minute', async (t) => {
    const site = await prepare(t);
    await site.openUpload();
    const collector = site.collect();
    await collector.said('the lease is taken; servers hold new writes');
    await waitFor('the server has acknowledged the run and tells of its upload', async () =>
      site.announcements().some((text) => /"runs":\["/.test(text) && text.includes('"uploads":1')),
    );
    await site.restart();
    await site.assertWritableSoon();
    const outcome = await collector.ended;
    assert.equal(outcome.result, 'Succeeded', outcome.message);
    assert.equal(site.garbage(), 0);
    await site.ledger.verify(site.registry);
  });
});

async function prepare(t: TestContext): Promise<Site> {
  const random = testRandom(t);
  const folder = mkdtempSync(join(tmpdir(), 'kill-collector-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const site = new Site(t, folder, random, await startServe(t, { folder }));
  for (const tag of ['one', 'two', 'three']) await site.push(tag);
  site.writeGarbage();
  return site;
}

/** A server on a folder with content and garbage in it. */
class Site {
  readonly ledger = new Acknowledged();
  readonly #t: TestContext;
  readonly #folder: string;
  readonly #random: SeededRandom;
  readonly #garbage: string[] = [];
  server: ServeProcess;
  registry: HttpRegistry;

  constructor(t: TestContext, folder: string, random: SeededRandom, server: ServeProcess) {
    this.#t = t;
    this.#folder = folder;
    this.#random = random;
    this.server = server;
    this.registry = new HttpRegistry(server.url);
  }

  get #root(): string {
    return join(this.#folder, 'storage/docker/registry');
  }

  /** Pushes an image, which the ledger knows then: until its manifest is there its blobs are garbage of no age. */
  async push(tag: string): Promise<void> {
    const { blobs, manifest } = randomImage(this.#random);
    const digests = [];
    for (const blob of blobs) {
      digests.push(await this.registry.pushBlob('kept/app', blob, randomWay(this.#random)));
    }
    this.ledger.tagged('kept/app', tag, await this.registry.pushManifest('kept/app', tag, manifest));
    for (const digest of digests) this.ledger.blob('kept/app', digest);
  }

  /** Blobs that nothing refers to, in distribution's layout. */
  writeGarbage(): void {
    for (let index = 0; index < GARBAGE; index++) {
      const bytes = Buffer.from(`garbage ${index}`);
      const hex = digestHex(digestOf(bytes));
      const folder = join(this.#root, 'v2/blobs/sha256', hex.slice(0, 2), hex);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'data'), bytes);
      this.#garbage.push(join(folder, 'data'));
    }
  }

  /** How many blobs of the garbage are in their place. */
  garbage(): number {
    return this.#garbage.filter((file) => existsSync(file)).length;
  }

  /** What the servers say of themselves to collectors. */
  announcements(): readonly string[] {
    const folder = join(this.#root, 'stevedore/servers');
    return readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
  }

  /** An upload with a request in progress. @returns what finishes it. */
  async openUpload(): Promise<() => Promise<void>> {
    const bytes = this.#random.bytes(200_000);
    const location = await this.registry.startUpload('kept/app');
    const end = Promise.withResolvers<void>();
    const body = new ReadableStream({
      start: async (controller) => {
        controller.enqueue(bytes);
        await end.promise;
        controller.close();
      },
    });
    const url = new URL(location, this.registry.url);
    const patched = fetch(url, { method: 'PATCH', body, duplex: 'half' });
    // It breaks when the server is killed.
    patched.catch(() => undefined);
    return async () => {
      end.resolve();
      assert.equal((await patched).status, 202);
      await this.registry.finish(location, digestOf(bytes));
    };
  }

  /** A tag that whoever reads it waits for. @returns what takes it away. */
  blockMarks(): () => void {
    const repository = join(this.#root, 'v2/repositories/blocked');
    const tag = join(repository, '_manifests/tags/latest/current');
    mkdirSync(tag, { recursive: true });
    execFileSync('mkfifo', [join(tag, 'link')]);
    return () => rmSync(repository, { recursive: true });
  }

  /** Waits for a time below `limit` milliseconds. */
  randomMoment(limit: number): Promise<void> {
    return delay(this.#random.integer(limit));
  }

  /** Whether a sweep has moved a blob. */
  hasTrash(): boolean {
    const trash = join(this.#root, 'stevedore/trash');
    if (!existsSync(trash)) return false;
    return readdirSync(trash).some((run) => existsSync(join(trash, run, 'docker/registry/v2/blobs')));
  }

  /** Kills the server and starts another one in its place. */
  async restart(): Promise<void> {
    await killProcess(this.server.process);
    this.server = await startServe(this.#t, { folder: this.#folder });
    this.registry = new HttpRegistry(this.server.url);
  }

  collect(): CollectorProcess {
    return startCollector(this.#t, join(this.#folder, 'config.yml'));
  }

  /** After the death of a collector, which was just now. */
  async assertRecovers(): Promise<void> {
    await this.ledger.verify(this.registry);
    await this.assertWritableSoon();
    await this.ledger.verify(this.registry);
    const outcome = await this.collect().ended;
    assert.equal(outcome.result, 'Succeeded', outcome.message);
    assert.equal(this.garbage(), 0, 'the next run finishes the work');
    await this.push('after');
    await this.ledger.verify(this.registry);
  }

  /** A client that does not give up gets its image in, within a minute from now. */
  async assertWritableSoon(): Promise<void> {
    const start = performance.now();
    let refused = 0;
    await waitFor(
      'a push that is accepted',
      async () => {
        try {
          await this.push(`try-${refused}`);
          return true;
        } catch (error) {
          assert.ok(!isBrokenConnection(error));
          refused++;
          throw error;
        }
      },
      { timeout: 2 * WRITABLE_WITHIN_MS },
    );
    const milliseconds = performance.now() - start;
    this.#t.diagnostic(
      `writes worked again after ${(milliseconds / 1000).toFixed(1)} s; ${refused} pushes were refused`,
    );
    assert.ok(milliseconds < WRITABLE_WITHIN_MS);
  }
}
