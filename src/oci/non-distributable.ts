import type { Descriptor } from './manifest.ts';

const FOREIGN = [
  'application/vnd.docker.image.rootfs.foreign.diff.tar',
  'application/vnd.oci.image.layer.nondistributable.',
];

/** Layers that clients may leave out of a push and fetch from their `urls`. OCI image-spec, layer.md. */
export function isNonDistributable(descriptor: Descriptor): boolean {
  return (
    FOREIGN.some((prefix) => descriptor.mediaType.startsWith(prefix)) && (descriptor.urls?.length ?? 0) > 0
  );
}
