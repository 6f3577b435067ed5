import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { digestOf, type Digest } from '../../../src/oci/digest.ts';
import { mediaTypes } from '../../../src/oci/media-type.ts';
import { startServe } from '../../support/serve-process.ts';
import { imageIndex, imageManifest } from '../../support/store-fixture.ts';
import { Acknowledged } from '../acknowledged.ts';
import { startCollector } from '../collector-process.ts';
import { HttpRegistry, UnexpectedAnswer, type HttpAnswer } from '../http-registry.ts';
import { testRandom, type SeededRandom } from '../seeded-random.ts';

const SECONDS = 60;
const CLIENTS = 6;
const TAGS = 5;
const REST_BETWEEN_COLLECTIONS_MS = 1_000;

test(
  `two servers on one folder, ${CLIENTS} clients and one collection after the other, for ${SECONDS} s`,
  { timeout: 300_000 },
  async (t) => {
    const random = testRandom(t);
    const folder = mkdtempSync(join(tmpdir(), 'soak-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const servers = [await startServe(t, { folder }), await startServe(t, { folder })];
    const registries = servers.map(({ url }) => new PatientRegistry(url));
    // All push the same layers, delete them and push them again.
    const layers = Array.from({ length: 12 }, () => random.bytes(random.integer(300_000)));
    const clients = Array.from(
      { length: CLIENTS },
      (_, index) => new Client(`soak/client-${index}`, registries, layers, random.fork(`client-${index}`)),
    );
    const end = performance.now() + SECONDS * 1000;
    const config = join(folder, 'config.yml');
    const collectUntil = async (): Promise<number> => {
      let runs = 0;
      for (; performance.now() < end; runs++) {
        const options = [
          ...(runs % 2 === 0 ? [] : ['--trash-grace=3s']),
          ...(runs % 4 < 2 ? [] : ['--delete-untagged']),
        ];
        const { result, message } = await startCollector(t, config, options).ended;
        assert.equal(result, 'Succeeded', message);
        await delay(REST_BETWEEN_COLLECTIONS_MS);
      }
      return runs;
    };
    const [runs] = await Promise.all([collectUntil(), ...clients.map((client) => client.workUntil(end))]);

    const everything = new Acknowledged();
    for (const client of clients) client.tell(everything);
    for (const registry of registries) await everything.verify(registry);
    const last = await startCollector(t, config, ['--delete-untagged']).ended;
    assert.equal(last.result, 'Succeeded', last.message);
    for (const registry of registries) await everything.verify(registry);
    const expected = new Set(clients.flatMap((client) => [...client.digests()]));
    assert.deepEqual(blobsOn(folder), [...expected].toSorted(), 'no more and no less is left on the disk');

    const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
    const pushed = sum(clients.map(({ pushed }) => pushed));
    t.diagnostic(
      `${runs + 1} collections, ${pushed} pushes, ${sum(clients.map(({ deleted }) => deleted))} deletes, ` +
        `${sum(clients.map(({ lookedAt }) => lookedAt))} pulls; ` +
        `${sum(registries.map(({ refused }) => refused))} requests were refused with 503 and made again, ` +
        `${sum(clients.map(({ overtaken }) => overtaken))} pushes began anew because a collection took a layer of no age`,
    );
    assert.ok(runs >= 4 && pushed > 100, 'there was something to see');
  },
);

/** Asks again when it is told to, as clients do, and minds that it is told properly. */
class PatientRegistry extends HttpRegistry {
  refused = 0;

  override async send(
    method: string,
    path: string,
    options: Parameters<HttpRegistry['send']>[2] = {},
  ): Promise<HttpAnswer> {
    const { expect, ...request } = options;
    for (;;) {
      const answer = await super.send(method, path, request);
      if (answer.status < 500) {
        if (expect !== undefined && answer.status !== expect)
          throw new UnexpectedAnswer(`${method} ${path}`, answer);
        return answer;
      }
      const retryAfter = Number(answer.headers.get('retry-after'));
      if (answer.status !== 503 || !(retryAfter > 0)) throw new UnexpectedAnswer(`${method} ${path}`, answer);
      this.refused++;
      // The bytes may have been taken and their commit refused, so an upload begins anew.
      if (method === 'PUT' && path.includes('/blobs/uploads/')) {
        await this.send('DELETE', path.replace(/\?.*/, ''));
        throw new UploadRefused();
      }
      await delay(100);
    }
  }
}

class UploadRefused extends Error {}

interface PushedImage {
  readonly digest: Digest;
  /** Of all that it needs, itself included. */
  readonly blobs: readonly Digest[];
  /** Those of an index. */
  readonly manifests: readonly Digest[];
}

/** Pushes, deletes and pulls in a repository that is its own, at one server or the other. */
class Client {
  readonly repository: string;
  readonly #registries: readonly PatientRegistry[];
  readonly #layers: readonly Buffer[];
  readonly #random: SeededRandom;
  readonly #images = new Map<string, PushedImage>();
  pushed = 0;
  deleted = 0;
  lookedAt = 0;
  overtaken = 0;

  constructor(
    repository: string,
    registries: readonly PatientRegistry[],
    layers: readonly Buffer[],
    random: SeededRandom,
  ) {
    this.repository = repository;
    this.#registries = registries;
    this.#layers = layers;
    this.#random = random;
  }

  async workUntil(end: number): Promise<void> {
    while (performance.now() < end) {
      const tag = `tag-${this.#random.integer(TAGS)}`;
      const image = this.#images.get(tag);
      const choice = this.#random.integer(10);
      if (image === undefined || choice < 6) await this.#push(tag);
      else if (choice < 8) await this.#delete(tag, image);
      else await this.#lookAt(tag, image);
    }
  }

  tell(everything: Acknowledged): void {
    for (const [tag, { digest, blobs, manifests }] of this.#images) {
      everything.tagged(this.repository, tag, digest);
      for (const manifest of manifests) everything.manifest(this.repository, manifest);
      for (const blob of blobs) everything.blob(this.repository, blob);
    }
  }

  *digests(): Iterable<Digest> {
    for (const { digest, blobs, manifests } of this.#images.values()) yield* [digest, ...blobs, ...manifests];
  }

  get #registry(): PatientRegistry {
    const registry = this.#registries[this.#random.integer(this.#registries.length)];
    assert.ok(registry);
    return registry;
  }

  async #push(tag: string): Promise<void> {
    for (;;) {
      try {
        const image = this.#random.integer(4) === 0 ? await this.#pushIndex(tag) : await this.#pushImage(tag);
        this.#images.set(tag, image);
        this.pushed++;
        return;
      } catch (error) {
        // What a push in progress brought has no age here, and so no protection but that its manifest is refused.
        const isUnknown =
          error instanceof UnexpectedAnswer &&
          error.answer.status === 400 &&
          error.answer.bytes.includes('"MANIFEST_BLOB_UNKNOWN"');
        if (!isUnknown) throw error;
        this.overtaken++;
      }
    }
  }

  /** @param reference undefined for its digest. */
  async #pushImage(reference?: string): Promise<PushedImage> {
    const config = Buffer.from(JSON.stringify({ id: this.#random.bytes(8).toString('hex') }));
    const layers = [this.#layers[this.#random.integer(12)], this.#layers[this.#random.integer(12)]].filter(
      (layer) => layer !== undefined,
    );
    const named = [config, ...layers].map((bytes) => ({ digest: digestOf(bytes), size: bytes.length }));
    for (const bytes of [config, ...layers]) await this.#pushBlob(bytes);
    const [first, ...others] = named;
    assert.ok(first);
    const manifest = imageManifest(first, others);
    await this.#registry.pushManifest(this.repository, reference ?? digestOf(manifest), manifest);
    return { digest: digestOf(manifest), blobs: named.map(({ digest }) => digest), manifests: [] };
  }

  async #pushIndex(tag: string): Promise<PushedImage> {
    const children = [await this.#pushImage(), await this.#pushImage()];
    const index = imageIndex(children);
    await this.#registry.pushManifest(this.repository, tag, index, mediaTypes.ociIndex);
    return {
      digest: digestOf(index),
      blobs: children.flatMap(({ blobs }) => blobs),
      manifests: children.map(({ digest }) => digest),
    };
  }

  /** As docker: what is there is not sent. */
  async #pushBlob(bytes: Buffer): Promise<void> {
    const registry = this.#registry;
    const path = `/v2/${this.repository}/blobs/${digestOf(bytes)}`;
    while ((await registry.send('HEAD', path)).status !== 200) {
      try {
        await registry.pushBlob(this.repository, bytes, 'put');
        return;
      } catch (error) {
        if (!(error instanceof UploadRefused)) throw error;
      }
    }
  }

  async #delete(tag: string, image: PushedImage): Promise<void> {
    const reference = this.#random.integer(2) === 0 ? tag : image.digest;
    await this.#registry.send('DELETE', `/v2/${this.repository}/manifests/${reference}`, { expect: 202 });
    this.#images.delete(tag);
    for (const registry of this.#registries) {
      await registry.send('GET', `/v2/${this.repository}/manifests/${tag}`, { expect: 404 });
    }
    this.deleted++;
  }

  async #lookAt(tag: string, { digest, blobs }: PushedImage): Promise<void> {
    for (const registry of this.#registries) {
      const { bytes } = await registry.send('GET', `/v2/${this.repository}/manifests/${tag}`, {
        expect: 200,
      });
      assert.equal(digestOf(bytes), digest);
      for (const blob of blobs) {
        const found = await registry.send('GET', `/v2/${this.repository}/blobs/${blob}`, { expect: 200 });
        assert.equal(digestOf(found.bytes), blob);
      }
    }
    this.lookedAt++;
  }
}

/** The digests of all blobs on the disk. */
function blobsOn(folder: string): readonly string[] {
  const root = join(folder, 'storage/docker/registry/v2/blobs');
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath }) => `sha256:${parentPath.split('/').at(-1)}`)
    .toSorted();
}
