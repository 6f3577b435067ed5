/** A descriptor with its fields in the order in which Go writes them. */
export interface Reference {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly urls?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly data?: string;
  readonly platform?: object;
  readonly artifactType?: string;
}

type Json = Readonly<Record<string, unknown>>;

/**
 * What a manifest that was checked refers to: an image's config and layers, an index's manifests. Not from the parsed
 * manifest, which keeps only what a registry acts on.
 */
export function references(manifest: Buffer): readonly Reference[] {
  const document = JSON.parse(manifest.toString()) as Json; // a manifest is an object
  const items = Array.isArray(document['manifests'])
    ? document['manifests']
    : [document['config'], ...(Array.isArray(document['layers']) ? document['layers'] : [])];
  return items.filter(isObject).map(reference);
}

function reference(item: Json): Reference {
  const { urls, annotations, data, platform, artifactType } = item;
  return {
    mediaType: text(item['mediaType']),
    digest: text(item['digest']),
    size: Number(item['size'] ?? 0),
    ...(Array.isArray(urls) && urls.length > 0 && { urls: urls.map(text) }),
    ...(isObject(annotations) && Object.keys(annotations).length > 0 && { annotations: sorted(annotations) }),
    ...(text(data) && { data: text(data) }),
    ...(isObject(platform) && { platform: platformOf(platform) }),
    ...(text(artifactType) && { artifactType: text(artifactType) }),
  };
}

function platformOf(platform: Json): object {
  const { variant, 'os.version': version, 'os.features': features } = platform;
  return {
    architecture: text(platform['architecture']),
    os: text(platform['os']),
    ...(text(version) && { 'os.version': text(version) }),
    ...(Array.isArray(features) && features.length > 0 && { 'os.features': features.map(text) }),
    ...(text(variant) && { variant: text(variant) }),
  };
}

/** Go sorts the keys of maps. */
function sorted(map: Json): Record<string, string> {
  const entries = Object.entries(map).map(([key, value]) => [key, text(value)] as const);
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
