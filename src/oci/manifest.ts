import { parseDigest, type Digest } from './digest.ts';
import { isIndexMediaType, isManifestMediaType, mediaTypes, type ManifestMediaType } from './media-type.ts';

/** What a manifest says of a piece of content. `size` is in bytes. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly urls?: readonly string[];
  readonly data?: string;
  readonly platform?: Platform;
}

/** What an image runs on, as an index says it. */
export interface Platform {
  readonly architecture: string;
  readonly os: string;
}

/** The parts of a manifest that a registry acts on. The bytes themselves are kept as they came. */
export interface Manifest {
  readonly mediaType: ManifestMediaType;
  /** For an image: its config, then its layers. Empty for an index. */
  readonly blobs: readonly Descriptor[];
  /** For an index: its children, which are manifests of the same repository. Empty for an image. */
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor;
  /** As the referrers API reports it: the manifest's own, else an image's config media type. */
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Why bytes are no manifest, in words for the client. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
}

/** A body of at most this many bytes is accepted. Spec: at least 4 MiB SHOULD be expected to work. */
export const LARGEST_MANIFEST_BYTES = 4 * 1024 * 1024;

/**
 * Parses the bytes of a manifest. `contentType` (bare) decides the type when the document names none, as distribution
 * and the older Docker formats need; when both are there they must agree.
 * @throws ManifestError
 */
export function parseManifest(bytes: Uint8Array, contentType: string | undefined): Manifest {
  const document = parseObject(bytes);
  const mediaType = decideMediaType(document, contentType);
  if (document['schemaVersion'] !== 2) throw new ManifestError('schemaVersion must be 2');
  const subject =
    document['subject'] === undefined ? undefined : parseDescriptor(document['subject'], 'subject');
  const annotations = parseAnnotations(document['annotations'], 'annotations');
  const artifactType = optionalString(document['artifactType'], 'artifactType');
  const rest = { ...(subject && { subject }), ...(annotations && { annotations }) };
  if (isIndexMediaType(mediaType)) {
    const manifests = parseDescriptors(document['manifests'], 'manifests');
    return { mediaType, blobs: [], manifests, ...rest, ...(artifactType && { artifactType }) };
  }
  const config = parseDescriptor(document['config'], 'config');
  const blobs = [config, ...parseDescriptors(document['layers'], 'layers')];
  return { mediaType, blobs, manifests: [], ...rest, artifactType: artifactType || config.mediaType };
}

function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new ManifestError('not a JSON document in UTF-8');
  }
  if (!isObject(document)) throw new ManifestError('not a JSON object');
  return document;
}

function decideMediaType(
  document: Readonly<Record<string, unknown>>,
  contentType: string | undefined,
): ManifestMediaType {
  const own = optionalString(document['mediaType'], 'mediaType');
  if (own && contentType && own !== contentType) {
    throw new ManifestError(`mediaType is ${own} but Content-Type is ${contentType}`);
  }
  const mediaType = own || contentType || guessMediaType(document);
  if (!isManifestMediaType(mediaType)) throw new ManifestError(`${mediaType} is not a manifest type`);
  return mediaType;
}

/** OCI made `mediaType` optional, so stored bytes without one are told apart by their fields. */
function guessMediaType(document: Readonly<Record<string, unknown>>): string {
  // `null` is nothing: taken for an empty index, it would hide what else the document holds.
  const { manifests } = document;
  return manifests === undefined || manifests === null ? mediaTypes.ociManifest : mediaTypes.ociIndex;
}

function parseDescriptors(value: unknown, path: string): Descriptor[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new ManifestError(`${path} must be a list`);
  return value.map((item: unknown, index) => parseDescriptor(item, `${path}[${index}]`));
}

function parseDescriptor(value: unknown, path: string): Descriptor {
  if (!isObject(value)) throw new ManifestError(`${path} must be a descriptor`);
  const digest = typeof value['digest'] === 'string' ? parseDigest(value['digest']) : undefined;
  if (digest === undefined) throw new ManifestError(`${path}.digest must be a sha256 or sha512 digest`);
  const size = value['size'];
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw new ManifestError(`${path}.size must be a number of bytes`);
  }
  const artifactType = optionalString(value['artifactType'], `${path}.artifactType`);
  const annotations = parseAnnotations(value['annotations'], `${path}.annotations`);
  const data = optionalString(value['data'], `${path}.data`);
  const platform = parsePlatform(value['platform']);
  return {
    mediaType: optionalString(value['mediaType'], `${path}.mediaType`) ?? '',
    digest,
    size,
    ...(artifactType && { artifactType }),
    ...(annotations && { annotations }),
    ...(Array.isArray(value['urls']) && { urls: value['urls'].filter((url) => typeof url === 'string') }),
    ...(data !== undefined && { data }),
    ...(platform && { platform }),
  };
}

/** What does not say both is left out: a registry has no use for it, and clients see the bytes as they came. */
function parsePlatform(value: unknown): Platform | undefined {
  if (!isObject(value)) return undefined;
  const { architecture, os } = value;
  return typeof architecture === 'string' && typeof os === 'string' ? { architecture, os } : undefined;
}

function parseAnnotations(value: unknown, path: string): Readonly<Record<string, string>> | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw new ManifestError(`${path} must be a map of strings`);
  for (const [key, item] of Object.entries(value)) {
    if (typeof item !== 'string') throw new ManifestError(`${path}.${key} must be a string`);
  }
  return value as Readonly<Record<string, string>>;
}

function optionalString(value: unknown, path: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw new ManifestError(`${path} must be a string`);
  return value;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
