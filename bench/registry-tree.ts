import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mediaTypes } from '../src/oci/media-type.ts';

export interface TreeOptions {
  readonly repositories: number;
  /** In each repository; no two have a blob in common. */
  readonly images: number;
  /** So many of these have a tag, the others have none. */
  readonly tagged: number;
}

/** Files below `docker/registry/v2`, by path. */
export interface TreeFile {
  readonly path: string;
  readonly content: Buffer;
}

/** Images of a config and one layer, as docker distribution lays them out: three blobs each. */
export function* registryTree({ repositories, images, tagged }: TreeOptions): Generator<TreeFile> {
  for (let number = 0; number < repositories; number++) {
    const repository = `repositories/team-${number}/app`;
    for (let image = 0; image < images; image++) {
      const config = Buffer.from(JSON.stringify({ id: `${number}/${image}` }));
      const layer = Buffer.alloc(1000, `layer ${number}/${image}.`);
      const manifest = manifestOf(config, layer);
      for (const content of [config, layer, manifest]) {
        const hex = sha256(content);
        yield { path: `blobs/sha256/${hex.slice(0, 2)}/${hex}/data`, content };
        const links = content === manifest ? '_manifests/revisions' : '_layers';
        yield { path: `${repository}/${links}/sha256/${hex}/link`, content: Buffer.from(`sha256:${hex}`) };
      }
      if (image >= tagged) continue;
      const hex = sha256(manifest);
      const tag = `${repository}/_manifests/tags/v${image}`;
      for (const place of [`index/sha256/${hex}`, 'current']) {
        yield { path: `${tag}/${place}/link`, content: Buffer.from(`sha256:${hex}`) };
      }
    }
  }
}

/** Writes it below a storage's root directory. */
export function writeRegistryTree(root: string, options: TreeOptions): void {
  for (const { path, content } of registryTree(options)) {
    const file = join(root, 'docker/registry/v2', path);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, content);
  }
}

function manifestOf(config: Buffer, layer: Buffer): Buffer {
  const descriptor = (content: Buffer, mediaType: string): object => ({
    mediaType,
    digest: `sha256:${sha256(content)}`,
    size: content.length,
  });
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: descriptor(config, 'application/vnd.oci.image.config.v1+json'),
      layers: [descriptor(layer, 'application/vnd.oci.image.layer.v1.tar')],
    }),
  );
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
