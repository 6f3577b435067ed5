import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { StatusDocument } from '../../../src/contract/status-document.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { faultyProxy, type FaultyProxy } from '../../support/faulty-proxy.ts';
import { pushImage, type TestImage } from '../../support/push-image.ts';
import { startServe, type ServeProcess } from '../../support/serve-process.ts';
import { killProcess } from '../collector-process.ts';
import { isBrokenConnection } from '../http-registry.ts';
import { testRandom, type SeededRandom } from '../seeded-random.ts';

const MIB = 1024 * 1024;
const CLIENTS = 16;
const CACHE = 8 * MIB;
const HIGH_WATERMARK = 90;
/** Of an image, beside one that it shares with others. */
const OWN_LAYERS = 3;
/** Half of it on average, so that all have ten times the size of the cache. */
const LARGEST_LAYER = MIB / 2;
const IMAGES = 110;
const KILL_EVERY_MS = 12_000;
const BREAK_EVERY_MS = 500;
/** How long a client that met a kill tries again. */
const PATIENCE_MS = 60_000;

interface Image extends TestImage {
  readonly name: string;
}

/**
 * Clients pull images of ten times the size of the cache, while the mirror is killed and connections to its upstream break.
 * No pull is wrong, none fails but by a kill, and the cache is never larger than it may be.
 */
export function testMirrorTorture(
  seconds: number,
  atLeast: { readonly pulls: number; readonly kills: number },
): void {
  test(
    `a mirror is neither wrong nor full while it is killed for ${seconds} s`,
    { timeout: (seconds + 300) * 1000 },
    async (t) => {
      const random = testRandom(t);
      // Nothing of it must outlive the test, so nothing waits for a disk.
      const { url } = await startServe(t, { storage: { filesystem: undefined, inmemory: {} } });
      const images = await pushImages(url, random);
      t.diagnostic(`${images.length} images were pushed`);
      const site = new Site(t, await faultyProxy(t, url));
      await site.start();
      const end = performance.now() + seconds * 1000;
      const over = AbortSignal.timeout(seconds * 1000);
      const clients = Array.from({ length: CLIENTS }, (_, index) =>
        pullAll(site, images, random.fork(`client-${index}`), end),
      );
      const [pulls] = await Promise.all([
        Promise.all(clients),
        site.harm(random.fork('harm'), over),
        site.watchSize(over),
      ]);
      const total = pulls.reduce((sum, count) => sum + count, 0);
      t.diagnostic(
        `${total} pulls, ${site.kills} kills, at most ${(site.largest / MIB).toFixed(1)} MiB kept`,
      );
      assert.ok(total >= atLeast.pulls && site.kills >= atLeast.kills, `${total} pulls, ${site.kills} kills`);
      assert.ok(site.largest > CACHE / 2, `it kept ${site.largest} bytes`);
      await site.compareWithScan();
    },
  );
}

async function pushImages(url: string, random: SeededRandom): Promise<readonly Image[]> {
  const shared = Array.from({ length: IMAGES / 10 }, () => random.bytes(random.integer(LARGEST_LAYER) + 1));
  const images: Image[] = [];
  for (let index = 0; index < IMAGES; index++) {
    const own = Array.from({ length: OWN_LAYERS }, () => random.bytes(random.integer(LARGEST_LAYER) + 1));
    const repository = `torture/app-${index % 20}`;
    const layers = [...own, shared[random.integer(shared.length)] ?? ''];
    const image = await pushImage(url, repository, `v${index}`, layers);
    images.push({ ...image, name: `${repository}:v${index}` });
  }
  return images;
}

/** One image after the other until the time is over. @returns how many */
async function pullAll(
  site: Site,
  images: readonly Image[],
  random: SeededRandom,
  end: number,
): Promise<number> {
  let pulls = 0;
  while (performance.now() < end) {
    // Some images are pulled more often than others.
    const most = random.integer(2) === 0 ? images.length : images.length / 10;
    await site.pull(images[random.integer(most)] ?? assert.fail());
    pulls++;
  }
  return pulls;
}

/** A mirror that is started again each time it is killed, and its upstream. */
class Site {
  readonly #t: TestContext;
  readonly #upstream: FaultyProxy;
  readonly #folder = mkdtempSync(join(tmpdir(), 'mirror-torture-'));
  #mirror: Promise<ServeProcess>;
  #isDown = false;
  kills = 0;
  /** Bytes on the disk. */
  largest = 0;

  constructor(t: TestContext, upstream: FaultyProxy) {
    this.#t = t;
    this.#upstream = upstream;
    this.#mirror = Promise.reject(new Error('not started'));
    this.#mirror.catch(() => undefined);
    t.after(() => rmSync(this.#folder, { recursive: true, force: true }));
  }

  async start(): Promise<void> {
    const mirror = {
      upstreams: [{ host: 'upstream.test', url: this.#upstream.url, tagfreshness: '1s' }],
      defaultupstream: 'upstream.test',
      cache: { size: CACHE, highwatermark: HIGH_WATERMARK },
    };
    this.#mirror = startServe(this.#t, {
      folder: this.#folder,
      environment: { REGISTRY_STEVEDORE_MIRROR: JSON.stringify(mirror) },
    });
    await this.#mirror;
  }

  /** Again and again while it is the fault of a kill. */
  async pull(image: Image): Promise<void> {
    const patience = performance.now() + PATIENCE_MS;
    for (;;) {
      const steadySince = this.#isDown ? undefined : this.kills;
      const { url } = await this.#mirror;
      try {
        await pullOnce(url, image);
        return;
      } catch (error) {
        if (!isBrokenConnection(error) || steadySince === this.kills || performance.now() > patience)
          throw error;
      }
    }
  }

  async harm(random: SeededRandom, over: AbortSignal): Promise<void> {
    let killAt = performance.now() + KILL_EVERY_MS;
    while (await pause(BREAK_EVERY_MS, over)) {
      this.#upstream.rule({ path: /blobs/ }, { cutAfter: random.integer(LARGEST_LAYER) }, { times: 1 });
      if (performance.now() < killAt) continue;
      killAt = performance.now() + KILL_EVERY_MS;
      const { process } = await this.#mirror;
      this.#isDown = true;
      this.kills++;
      await killProcess(process);
      await this.start();
      this.#isDown = false;
    }
  }

  /** Beyond the watermark there is what comes in that moment. */
  async watchSize(over: AbortSignal): Promise<void> {
    const most = (CACHE * HIGH_WATERMARK) / 100 + CLIENTS * LARGEST_LAYER;
    while (await pause(200, over)) {
      const size = sizeOf(join(this.#folder, 'storage'));
      this.largest = Math.max(this.largest, size);
      assert.ok(size <= most, `${size} bytes are kept, and ${most} may be`);
    }
  }

  /** What the mirror counts, is what a new process finds. */
  async compareWithScan(): Promise<void> {
    const before = await this.#countedBytes();
    const { process } = await this.#mirror;
    this.kills++;
    await killProcess(process);
    await this.start();
    const after = await this.#countedBytes();
    assert.equal(after, before);
    assert.ok(after <= (CACHE * HIGH_WATERMARK) / 100, `${after} bytes`);
    const data = sizeOf(join(this.#folder, 'storage/docker/registry/v2/blobs'));
    assert.equal(data, after);
  }

  /** Once nothing is fetched any more. */
  async #countedBytes(): Promise<number> {
    const { statusUrl } = await this.#mirror;
    for (;;) {
      const metrics = await (await fetch(`${statusUrl}/metrics`)).text();
      if (/^stevedore_mirror_fetches 0$/m.test(metrics)) break;
      await delay(50);
    }
    const status = (await (await fetch(`${statusUrl}/status`)).json()) as StatusDocument; // our own server's
    return status.mirror?.cache.bytes ?? assert.fail('no mirror');
  }
}

async function pullOnce(url: string, image: Image): Promise<void> {
  const [repository = '', tag = ''] = image.name.split(':');
  const get = async (path: string, digest: string): Promise<void> => {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const answer = await fetch(`${url}/v2/${repository}/${path}`, { signal });
    const bytes = Buffer.from(await answer.arrayBuffer());
    assert.equal(answer.status, 200, `${image.name} ${path}: ${bytes.subarray(0, 500).toString()}`);
    assert.equal(digestOf(bytes), digest, `${image.name} ${path}`);
  };
  await get(`manifests/${tag}`, image.digest);
  for (const digest of [image.config, ...image.layers]) await get(`blobs/${digest}`, digest);
}

/** @returns false when the time is over. */
async function pause(milliseconds: number, over: AbortSignal): Promise<boolean> {
  if (!over.aborted) await delay(milliseconds, undefined, { signal: over }).catch(() => undefined);
  return !over.aborted;
}

/** Of a file, or of all files below a folder. They may go while they are counted. */
function sizeOf(path: string): number {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 0;
  if (!found.isDirectory()) return found.size;
  return namesIn(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
