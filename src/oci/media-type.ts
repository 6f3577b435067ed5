/** The media types of manifests. Configs and layers are opaque to a registry and may have any. */
export const mediaTypes = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerManifestList: 'application/vnd.docker.distribution.manifest.list.v2+json',
} as const;

export type ManifestMediaType = (typeof mediaTypes)[keyof typeof mediaTypes];

const known: ReadonlySet<string> = new Set(Object.values(mediaTypes));
const indexes: ReadonlySet<string> = new Set([mediaTypes.ociIndex, mediaTypes.dockerManifestList]);

/** Drops parameters and case: `Application/JSON; charset=utf-8` is `application/json`. RFC 9110 §8.3.1. */
export function bareMediaType(value: string): string {
  return (value.split(';', 1)[0] ?? '').trim().toLowerCase();
}

export function isManifestMediaType(value: string): value is ManifestMediaType {
  return known.has(value);
}

/** True for the types that list other manifests. */
export function isIndexMediaType(value: ManifestMediaType): boolean {
  return indexes.has(value);
}
