import assert from 'node:assert/strict';
import { digestOf, type Digest } from '../../src/oci/digest.ts';
import type { HttpRegistry } from './http-registry.ts';

const ABSENT = 'absent';
const AT_ONCE = 8;

/**
 * What a registry has acknowledged, and so must serve from then on, byte by byte. A tag or manifest is written by one
 * client at a time; a write that was begun and not acknowledged may be there or not.
 */
export class Acknowledged {
  /** By path. */
  readonly #content = new Map<string, Digest>();
  readonly #gone = new Set<string>();
  /** By path: what a tag may say. */
  readonly #tags = new Map<string, ReadonlySet<string>>();

  get size(): number {
    return this.#content.size + this.#tags.size + this.#gone.size;
  }

  blob(repository: string, digest: Digest): void {
    this.#content.set(`/v2/${repository}/blobs/${digest}`, digest);
  }

  manifest(repository: string, digest: Digest): void {
    this.#content.set(manifestPath(repository, digest), digest);
  }

  willTag(repository: string, tag: string, digest: Digest): void {
    this.#maySay(manifestPath(repository, tag), digest);
  }

  tagged(repository: string, tag: string, digest: Digest): void {
    this.#tags.set(manifestPath(repository, tag), new Set([digest]));
    this.manifest(repository, digest);
  }

  /** @param tag the only one that leads to it. */
  willDelete(repository: string, digest: Digest, tag: string): void {
    this.#content.delete(manifestPath(repository, digest));
    this.#maySay(manifestPath(repository, tag), ABSENT);
  }

  deleted(repository: string, digest: Digest, tag: string): void {
    this.#gone.add(manifestPath(repository, digest));
    this.#tags.set(manifestPath(repository, tag), new Set([ABSENT]));
  }

  /** Pulls all of it. Throws with the first that is not what it should be. */
  async verify(registry: HttpRegistry): Promise<void> {
    const looks = [
      ...[...this.#content].map(
        ([path, digest]) =>
          () =>
            assertContent(registry, path, digest),
      ),
      ...[...this.#tags].map(
        ([path, digests]) =>
          () =>
            assertTag(registry, path, digests),
      ),
      ...[...this.#gone].map((path) => () => registry.send('GET', path, { expect: 404 })),
    ].values();
    // All take from the same iterator.
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (const look of looks) await look();
      }),
    );
  }

  #maySay(path: string, digest: string): void {
    this.#tags.set(path, new Set([...(this.#tags.get(path) ?? [ABSENT]), digest]));
  }
}

function manifestPath(repository: string, reference: string): string {
  return `/v2/${repository}/manifests/${reference}`;
}

async function assertContent(registry: HttpRegistry, path: string, digest: Digest): Promise<void> {
  const { bytes, headers } = await registry.send('GET', path, { expect: 200 });
  assert.equal(digestOf(bytes), digest, `the bytes of ${path}`);
  assert.equal(headers.get('docker-content-digest'), digest, path);
}

async function assertTag(registry: HttpRegistry, path: string, digests: ReadonlySet<string>): Promise<void> {
  const { status, bytes } = await registry.send('GET', path);
  const said = status === 404 ? ABSENT : digestOf(bytes);
  assert.ok(digests.has(said), `${path} says ${status} ${said}, and not one of ${[...digests].join(' ')}`);
}
