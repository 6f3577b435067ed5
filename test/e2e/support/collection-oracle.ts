import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const HOUR_MS = 3600_000;
const MINIMUM_AGE_MS = 2 * HOUR_MS;
const ROOT = 'docker/registry/v2';

/** What docs/guides/garbage-collection.md says of a store, worked out from the files alone. */
export interface Expectation {
  /** Paths below the storage: data, and links of blobs, manifests and tags. */
  readonly deleted: ReadonlySet<string>;
  readonly manifests: number;
  readonly links: number;
  readonly blobs: number;
  /** Of the blobs. */
  readonly bytes: number;
  /** Repositories in which nothing is left. */
  readonly emptied: number;
  /** Uploads that nobody touched for so long as the configuration says. */
  readonly uploads: number;
  readonly left: readonly LeftRepository[];
}

/** By digests; what they say is what a client gets. */
interface LeftRepository {
  readonly name: string;
  readonly tags: ReadonlyMap<string, string>;
  readonly manifests: readonly string[];
  readonly blobs: readonly string[];
}

interface Descriptor {
  readonly mediaType?: string;
  readonly digest: string;
}

/** An image manifest or an index, as the specification shapes them. */
interface Manifest {
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
  readonly manifests?: readonly Descriptor[];
  readonly subject?: Descriptor;
}

/** A file `…/link` with the digest that its path says, and the one that it holds. */
interface Link {
  readonly path: string;
  readonly digest: string;
  readonly content: string;
  readonly young: boolean;
}

/** @param uploadAge milliseconds; undefined where servers remove uploads themselves. */
export function expectCollection(
  storage: string,
  options: { readonly deleteUntagged: boolean; readonly uploadAge: number | undefined },
): Expectation {
  const now = Date.now();
  const paths = readdirSync(join(storage, ROOT), { recursive: true, encoding: 'utf8' }).toSorted();
  const isYoung = (path: string): boolean => now - statSync(join(storage, path)).mtimeMs < MINIMUM_AGE_MS;
  const deleted = new Set<string>();
  const neededData = new Set<string>();
  const left: LeftRepository[] = [];
  let [manifests, links, emptied, uploads] = [0, 0, 0, 0];

  const names = paths.flatMap(
    (path) => /^repositories\/(.+)\/(?:_layers|_manifests|_uploads)$/.exec(path)?.[1] ?? [],
  );
  for (const name of new Set(names)) {
    const folder = `${ROOT}/repositories/${name}`;
    const linksBelow = (below: string): readonly Link[] =>
      paths.flatMap((path) => {
        const start = `repositories/${name}/${below}/`;
        if (!path.startsWith(start) || !path.endsWith('/link')) return [];
        const [algorithm, hex] = path.slice(start.length).split('/');
        const whole = `${ROOT}/${path}`;
        const content = readFileSync(join(storage, whole), 'utf8');
        return [{ path: whole, digest: `${algorithm}:${hex}`, content, young: isYoung(whole) }];
      });
    const tags = new Map<string, string>();
    const tagsFolder = join(storage, folder, '_manifests/tags');
    for (const tag of existsSync(tagsFolder) ? readdirSync(tagsFolder) : []) {
      const link = join(tagsFolder, tag, 'current/link');
      if (existsSync(link)) tags.set(tag, readFileSync(link, 'utf8'));
    }
    const revisions = linksBelow('_manifests/revisions');
    const contents = new Map(revisions.map(({ content }) => [content, readManifest(storage, content)]));
    const keep = manifestsThatStay(revisions, contents, tags, options);

    const neededBlobs = new Set<string>();
    for (const { path, digest, content } of revisions) {
      if (!keep.has(digest)) {
        deleted.add(path);
        manifests++;
        continue;
      }
      neededData.add(content);
      for (const blob of blobsOf(contents.get(content))) neededBlobs.add(blob);
    }
    const layers = linksBelow('_layers');
    const stays = ({ digest, young }: Link): boolean => young || neededBlobs.has(digest);
    const readThrough = new Set(layers.filter(stays).map(({ content }) => content));
    for (const link of layers) {
      const { path, digest, content } = link;
      if (stays(link) || readThrough.has(digest)) {
        neededData.add(content);
        continue;
      }
      deleted.add(path);
      links++;
    }
    for (const digest of neededBlobs) neededData.add(digest);

    const isLeft = ({ path }: Link): boolean => !deleted.has(path);
    const [leftManifests, leftBlobs] = [revisions.filter(isLeft), layers.filter(isLeft)];
    if (leftManifests.length + leftBlobs.length + tags.size > 0) {
      const digests = (list: readonly Link[]): readonly string[] => list.map(({ digest }) => digest);
      left.push({ name, tags, manifests: digests(leftManifests), blobs: digests(leftBlobs) });
    } else if (
      existsSync(join(storage, folder, '_layers')) ||
      existsSync(join(storage, folder, '_manifests'))
    ) {
      emptied++;
    }
    uploads += oldUploads(join(storage, folder, '_uploads'), now, options.uploadAge);
  }

  let [blobs, bytes] = [0, 0];
  for (const path of paths) {
    const hex = /^blobs\/sha256\/..\/([0-9a-f]{64})\/data$/.exec(path)?.[1];
    const whole = `${ROOT}/${path}`;
    if (hex === undefined || neededData.has(`sha256:${hex}`) || isYoung(whole)) continue;
    deleted.add(whole);
    blobs++;
    bytes += statSync(join(storage, whole)).size;
  }
  return { deleted, manifests, links, blobs, bytes, emptied, uploads, left };
}

/** Whatever a tag, an index that stays or a subject that stays leads to, and what is young. */
function manifestsThatStay(
  revisions: readonly Link[],
  contents: ReadonlyMap<string, Manifest>,
  tags: ReadonlyMap<string, string>,
  { deleteUntagged }: { readonly deleteUntagged: boolean },
): ReadonlySet<string> {
  const keep = new Set<string>();
  const tagged = new Set(tags.values());
  for (let before = -1; before < keep.size;) {
    before = keep.size;
    const kept = revisions.filter(({ digest }) => keep.has(digest));
    const children = kept.flatMap(({ content }) => contents.get(content)?.manifests ?? []);
    for (const { digest, content, young } of revisions) {
      const subject = contents.get(content)?.subject?.digest;
      const stays =
        !deleteUntagged ||
        young ||
        tagged.has(digest) ||
        (subject !== undefined && keep.has(subject)) ||
        children.some((child) => child.digest === digest) ||
        kept.some((other) => other.content === content);
      if (stays) keep.add(digest);
    }
  }
  return keep;
}

function readManifest(storage: string, digest: string): Manifest {
  const hex = digest.slice('sha256:'.length);
  const bytes = readFileSync(join(storage, ROOT, 'blobs/sha256', hex.slice(0, 2), hex, 'data'), 'utf8');
  return JSON.parse(bytes) as Manifest; // what the generator pushed
}

function blobsOf(manifest: Manifest | undefined): readonly string[] {
  const { config, layers = [] } = manifest ?? {};
  return [...(config ? [config] : []), ...layers].map(({ digest }) => digest);
}

function oldUploads(folder: string, now: number, uploadAge: number | undefined): number {
  if (uploadAge === undefined || !existsSync(folder)) return 0;
  const startOf = (id: string): number => Date.parse(readFileSync(join(folder, id, 'startedat'), 'utf8'));
  return readdirSync(folder).filter((id) => now - startOf(id) >= uploadAge).length;
}
