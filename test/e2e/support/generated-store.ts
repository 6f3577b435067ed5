import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf, type Digest } from '../../../src/oci/digest.ts';
import { mediaTypes } from '../../../src/oci/media-type.ts';
import { imageIndex, imageManifest, type Named } from '../../support/store-fixture.ts';
import type { HttpRegistry } from '../http-registry.ts';
import type { SeededRandom } from '../seeded-random.ts';

const REPOSITORIES = ['app', 'team/app', 'team/app/deep/er', 'other'];
const HOUR_MS = 3600_000;
/** Links and data that a push may still build upon. */
const YOUNG_ONE_IN = 12;

/** What a store may have in it, as clients leave it behind. */
export const CONTENTS = [
  'image',
  'untagged image',
  'docker image',
  'sha512 image',
  'multi-arch index',
  'untagged index',
  'nested index',
  'referrer',
  'referrer of a referrer',
  'referrer without its subject',
  'fallback tag',
  'moved tag',
  'deleted manifest',
  'deleted tag',
  'blob of no image',
  'mounted blob',
  'half upload',
] as const;
export type Content = (typeof CONTENTS)[number];

interface Pushed extends Named {
  readonly digest: Digest;
  readonly size: number;
  readonly mediaType: string;
}

/** Pushes something of everything at random, into several repositories that share layers. */
export class GeneratedStore {
  readonly #registry: HttpRegistry;
  readonly #random: SeededRandom;
  readonly #layers: readonly Buffer[];
  readonly #repositories: readonly string[];
  /** By repository. */
  readonly #manifests = new Map<string, Pushed[]>();
  #tags = 0;

  constructor(registry: HttpRegistry, random: SeededRandom) {
    this.#registry = registry;
    this.#random = random;
    this.#layers = Array.from({ length: 6 }, () => random.bytes(1 + random.integer(3000)));
    this.#repositories = REPOSITORIES.slice(0, 1 + random.integer(REPOSITORIES.length));
  }

  /** @returns what it has in it. */
  async fill(): Promise<ReadonlySet<Content>> {
    const contents = new Set<Content>();
    for (const repository of this.#repositories) {
      await this.#image(repository, this.#newTag());
      for (let count = 3 + this.#random.integer(8); count > 0; count--) {
        const content = this.#oneOf(CONTENTS);
        await this.#add(repository, content);
        contents.add(content);
      }
    }
    return contents;
  }

  async #add(repository: string, content: Content): Promise<void> {
    const there = this.#oneOf(this.#manifests.get(repository) ?? []);
    const path = `/v2/${repository}/manifests/`;
    switch (content) {
      case 'image':
        return void (await this.#image(repository, this.#newTag()));
      case 'untagged image':
        return void (await this.#image(repository));
      case 'docker image':
        return void (await this.#image(repository, this.#newTag(), { mediaType: mediaTypes.dockerManifest }));
      case 'sha512 image':
        return this.#sha512Image(repository);
      case 'multi-arch index':
        return void (await this.#index(repository, this.#newTag()));
      case 'untagged index':
        return void (await this.#index(repository));
      case 'nested index': {
        const inner = await this.#index(repository);
        return void (await this.#index(repository, this.#newTag(), [inner, inner]));
      }
      case 'referrer':
        return void (await this.#image(repository, undefined, { subject: there }));
      case 'referrer of a referrer': {
        const signature = await this.#image(repository, undefined, { subject: there });
        return void (await this.#image(repository, undefined, { subject: signature }));
      }
      case 'referrer without its subject': {
        const digest = digestOf(this.#random.bytes(8));
        return void (await this.#image(repository, undefined, { subject: { ...there, digest } }));
      }
      case 'fallback tag': {
        const signature = await this.#image(repository, undefined, { subject: there });
        return void (await this.#index(repository, there.digest.replace(':', '-').slice(0, 128), [
          signature,
        ]));
      }
      case 'moved tag': {
        const tag = this.#newTag();
        await this.#image(repository, tag);
        return void (await this.#image(repository, tag));
      }
      case 'deleted manifest':
        return void (await this.#registry.send('DELETE', path + there.digest));
      case 'deleted tag': {
        const tag = this.#newTag();
        await this.#image(repository, tag);
        return void (await this.#registry.send('DELETE', path + tag, { expect: 202 }));
      }
      case 'blob of no image':
        return void (await this.#registry.pushBlob(repository, this.#random.bytes(500)));
      case 'mounted blob': {
        const from = this.#oneOf(this.#repositories);
        const digest = await this.#registry.pushBlob(from, this.#oneOf(this.#layers));
        return void (await this.#registry.mount(repository, from, digest));
      }
      case 'half upload': {
        const location = await this.#registry.startUpload(repository);
        return void (await this.#registry.patch(location, this.#random.bytes(100_000), 0));
      }
    }
  }

  /** An image of a config of its own, and of layers that others have too; some are named by sha512. */
  async #image(repository: string, tag?: string, changes: object = {}): Promise<Pushed> {
    const bytes = await this.#imageBytes(repository, changes);
    return this.#manifest(repository, { mediaType: mediaTypes.ociManifest, ...changes }, bytes, tag);
  }

  async #imageBytes(repository: string, changes: object): Promise<Buffer> {
    const config = Buffer.from(JSON.stringify({ id: this.#random.bytes(8).toString('hex') }));
    const layers: Named[] = [];
    for (let count = this.#random.integer(4); count > 0; count--) {
      const bytes = this.#random.integer(4) === 0 ? this.#random.bytes(300) : this.#oneOf(this.#layers);
      layers.push(await this.#blob(repository, bytes));
    }
    return imageManifest(await this.#blob(repository, config), layers, changes);
  }

  async #blob(repository: string, bytes: Buffer): Promise<Named> {
    if (this.#random.integer(6) > 0) {
      return { digest: await this.#registry.pushBlob(repository, bytes), size: bytes.length };
    }
    const digest = digestOf(bytes, 'sha512');
    await this.#registry.finish(await this.#registry.startUpload(repository), digest, bytes);
    return { digest, size: bytes.length };
  }

  async #sha512Image(repository: string): Promise<void> {
    const bytes = await this.#imageBytes(repository, {});
    const digest = digestOf(bytes, 'sha512');
    const tag = this.#random.integer(2) === 0 ? `?tag=${this.#newTag()}` : '';
    await this.#registry.pushManifest(repository, digest + tag, bytes);
    this.#remember(repository, { digest, size: bytes.length, mediaType: mediaTypes.ociManifest });
  }

  async #index(repository: string, tag?: string, more: readonly Pushed[] = []): Promise<Pushed> {
    const children = [await this.#image(repository), await this.#image(repository), ...more];
    const mediaType = mediaTypes.ociIndex;
    return this.#manifest(repository, { mediaType }, imageIndex(children), tag);
  }

  async #manifest(
    repository: string,
    { mediaType }: { readonly mediaType: string },
    bytes: Buffer,
    tag: string | undefined,
  ): Promise<Pushed> {
    const reference = tag ?? digestOf(bytes);
    const digest = await this.#registry.pushManifest(repository, reference, bytes, mediaType);
    return this.#remember(repository, { digest, size: bytes.length, mediaType });
  }

  #remember(repository: string, pushed: Pushed): Pushed {
    this.#manifests.set(repository, [...(this.#manifests.get(repository) ?? []), pushed]);
    return pushed;
  }

  #newTag(): string {
    return `v${++this.#tags}`;
  }

  #oneOf<T>(list: readonly T[]): T {
    const item = list[this.#random.integer(list.length)];
    if (item === undefined) throw new Error('nothing to choose from');
    return item;
  }
}

/** Makes a store three days old, but for some links, data and uploads, and puts an upload of docker's registry into it. */
export function age(storage: string, random: SeededRandom): void {
  const uploads = join(storage, 'docker/registry/v2/repositories/app/_uploads');
  const theirs = join(uploads, '6ba7b810-9dad-41d1-80b4-00c04fd430c8');
  mkdirSync(theirs, { recursive: true });
  for (const name of ['data', 'startedat']) writeFileSync(join(theirs, name), '');
  const old = new Date(Date.now() - 72 * HOUR_MS);
  const young = new Date(Date.now() - 0.5 * HOUR_MS);
  for (const path of readdirSync(storage, { recursive: true, encoding: 'utf8' }).toSorted()) {
    const mayBeYoung = /\/(?:_layers|revisions|blobs)\/.*\/(?:link|data)$|\/startedat$/.test(path);
    const date = mayBeYoung && random.integer(YOUNG_ONE_IN) === 0 ? young : old;
    if (path.endsWith('/startedat')) writeFileSync(join(storage, path), date.toISOString());
    utimesSync(join(storage, path), date, date);
  }
}
