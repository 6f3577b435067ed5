import { createHash, hash, randomFillSync } from 'node:crypto';

const MIB = 1024 * 1024;

export interface Blob {
  readonly digest: string;
  readonly size: number;
  /** The bytes, in the pieces in which they are sent. */
  readonly parts: readonly Uint8Array[];
}

export interface Image {
  readonly tag: string;
  readonly blobs: readonly Blob[];
  readonly manifest: Buffer;
  readonly manifestDigest: string;
}

export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

/** `count` blobs of `size` bytes that do not compress. They differ in their first bytes and share the rest. */
export function largeBlobs(count: number, size: number): Blob[] {
  const shared = randomFillSync(Buffer.allocUnsafeSlow(size));
  return Array.from({ length: count }, () => {
    const parts: Buffer[] = [randomFillSync(Buffer.alloc(Math.min(size, MIB)))];
    for (let at = MIB; at < size; at += MIB) parts.push(shared.subarray(at, at + MIB));
    const sum = createHash('sha256');
    for (const part of parts) sum.update(part);
    return { digest: `sha256:${sum.digest('hex')}`, size, parts };
  });
}

/** Images of a config (1 KiB) and two layers (4 KiB), none of which another image has. */
export function smallImages(count: number): Image[] {
  return Array.from({ length: count }, (_, index) => {
    const [config, ...layers] = [1024, 4096, 4096].map(smallBlob);
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MANIFEST_TYPE,
        config: descriptor('application/vnd.oci.image.config.v1+json', config),
        layers: layers.map((layer) => descriptor('application/vnd.oci.image.layer.v1.tar', layer)),
      }),
    );
    const blobs = [config, ...layers].filter((blob) => blob !== undefined);
    return { tag: `v${index + 1}`, blobs, manifest, manifestDigest: digestOf(manifest) };
  });
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${hash('sha256', bytes, 'hex')}`;
}

function smallBlob(size: number): Blob {
  const bytes = randomFillSync(Buffer.alloc(size));
  return { digest: digestOf(bytes), size, parts: [bytes] };
}

function descriptor(mediaType: string, blob: Blob | undefined): object {
  return { mediaType, digest: blob?.digest, size: blob?.size };
}
