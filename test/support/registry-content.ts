import { digestOf, type Digest } from '../../src/oci/digest.ts';
import { mediaTypes } from '../../src/oci/media-type.ts';
import { parseRepositoryName, type RepositoryName } from '../../src/oci/repository-name.ts';
import { parseTag, type Tag } from '../../src/oci/tag.ts';
import type { StorageDriver } from '../../src/registry/storage/driver.ts';
import {
  blobDataPath,
  layerLinkPath,
  revisionLinkPath,
  tagCurrentLinkPath,
  tagIndexLinkPath,
} from '../../src/registry/storage/paths.ts';

export function repositoryName(text: string): RepositoryName {
  return parseRepositoryName(text) ?? fail(text);
}

export function tagName(text: string): Tag {
  return parseTag(text) ?? fail(text);
}

function fail(text: string): never {
  throw new Error(`'${text}' is no valid name`);
}

/**
 * Writes registry content straight into a store, in distribution's layout, as if it had been pushed: for tests of what
 * reads it. Each method returns the digest of what it wrote.
 */
export class RegistryContent {
  readonly #driver: StorageDriver;
  readonly #repository: RepositoryName;

  constructor(driver: StorageDriver, repository = 'library/app') {
    this.#driver = driver;
    this.#repository = repositoryName(repository);
  }

  async data(bytes: Uint8Array | string): Promise<Digest> {
    const content = Buffer.from(bytes);
    const digest = digestOf(content);
    await this.#driver.putContent(blobDataPath(digest), content);
    return digest;
  }

  /** A config or layer. */
  async blob(bytes: Uint8Array | string): Promise<Digest> {
    const digest = await this.data(bytes);
    await this.#driver.putContent(layerLinkPath(this.#repository, digest), Buffer.from(digest));
    return digest;
  }

  /** An image of the given layers, whose config is a blob too. */
  async image(
    layers: readonly Digest[],
    options: { subject?: Digest; config?: string } = {},
  ): Promise<Digest> {
    const config = await this.blob(options.config ?? '{}');
    const descriptor = (digest: Digest, mediaType: string): object => ({ mediaType, digest, size: 1 });
    return this.manifest({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: descriptor(config, 'application/vnd.oci.image.config.v1+json'),
      layers: layers.map((layer) => descriptor(layer, 'application/vnd.oci.image.layer.v1.tar')),
      ...(options.subject && { subject: descriptor(options.subject, mediaTypes.ociManifest) }),
    });
  }

  async index(manifests: readonly Digest[]): Promise<Digest> {
    return this.manifest({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: manifests.map((digest) => ({ mediaType: mediaTypes.ociManifest, digest, size: 1 })),
    });
  }

  /** Any document, linked as a manifest. */
  async manifest(document: object): Promise<Digest> {
    const digest = await this.data(JSON.stringify(document));
    await this.#driver.putContent(revisionLinkPath(this.#repository, digest), Buffer.from(digest));
    return digest;
  }

  async tag(name: string, digest: Digest): Promise<void> {
    const tag = tagName(name);
    await this.#driver.putContent(tagIndexLinkPath(this.#repository, tag, digest), Buffer.from(digest));
    await this.#driver.putContent(tagCurrentLinkPath(this.#repository, tag), Buffer.from(digest));
  }
}
