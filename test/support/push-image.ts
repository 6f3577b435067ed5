import assert from 'node:assert/strict';
import { digestOf, type Digest } from '../../src/oci/digest.ts';
import { mediaTypes } from '../../src/oci/media-type.ts';

/** An image as a registry has it. */
export interface TestImage {
  /** Of the manifest. */
  readonly digest: Digest;
  readonly manifest: Buffer;
  readonly config: Digest;
  readonly layers: readonly Digest[];
}

/** Pushes an image over HTTP. @param options.subject what it refers to */
export async function pushImage(
  url: string,
  repository: string,
  tag: string,
  layers: readonly (Buffer | string)[],
  options: { readonly subject?: TestImage; readonly artifactType?: string } = {},
): Promise<TestImage> {
  const contents = layers.map((layer) => Buffer.from(layer));
  // Layers that are tars make an image that a runtime can unpack.
  const rootfs = { type: 'layers', diff_ids: contents.map((content) => digestOf(content)) };
  const config = Buffer.from(
    JSON.stringify({ architecture: 'amd64', os: 'linux', config: {}, rootfs, repository, tag }),
  );
  for (const content of [config, ...contents]) await pushBlob(url, repository, content);
  const { subject, artifactType } = options;
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      ...(artifactType !== undefined && { artifactType }),
      config: descriptor('application/vnd.oci.image.config.v1+json', config),
      layers: contents.map((content) => descriptor('application/vnd.oci.image.layer.v1.tar', content)),
      ...(subject && { subject: descriptor(mediaTypes.ociManifest, subject.manifest) }),
    }),
  );
  const answer = await fetch(`${url}/v2/${repository}/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'content-type': mediaTypes.ociManifest },
    body: manifest,
  });
  assert.equal(answer.status, 201, await answer.text());
  return {
    digest: digestOf(manifest),
    manifest,
    config: digestOf(config),
    layers: contents.map((one) => digestOf(one)),
  };
}

function descriptor(mediaType: string, content: Buffer): object {
  return { mediaType, digest: digestOf(content), size: content.length };
}

async function pushBlob(url: string, repository: string, content: Buffer): Promise<void> {
  const begun = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
  const location = new URL(begun.headers.get('location') ?? assert.fail(await begun.text()), url);
  location.searchParams.set('digest', digestOf(content));
  const answer = await fetch(location, { method: 'PUT', body: content });
  assert.equal(answer.status, 201, await answer.text());
}
