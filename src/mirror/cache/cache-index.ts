import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import type { Tag } from '../../oci/tag.ts';

/** A manifest of a repository, and what it needs there. Times are milliseconds since the epoch. */
export interface ManifestEntry {
  readonly digest: Digest;
  /** The sha256 digest under which the bytes lie. */
  readonly canonical: Digest;
  readonly size: number;
  readonly blobs: readonly NeededBlob[];
  /** What an index lists, whether it is here or not. */
  readonly children: readonly Digest[];
  readonly usedAt: number;
}

interface NeededBlob {
  readonly digest: Digest;
  /** Bytes, undefined where the manifest does not say. */
  readonly size: number | undefined;
}

/** A blob of a repository. */
export interface LayerEntry {
  readonly digest: Digest;
  readonly canonical: Digest;
  readonly size: number;
  readonly usedAt: number;
}

export interface TagEntry {
  readonly digest: Digest;
  readonly checkedAt: number;
}

/** What leaves the disk with an image: first the tags, last the data that nothing links to any more. */
export interface Removal {
  readonly repository: RepositoryName;
  readonly tags: readonly Tag[];
  readonly manifests: readonly Digest[];
  readonly layers: readonly Digest[];
  /** By sha256 digest. */
  readonly data: readonly Digest[];
  readonly bytes: number;
}

/** The answer to who asked for room. */
export interface Room {
  /** Whether there is room now, which is set aside. */
  readonly fits: boolean;
  /** What has to leave the disk, and counts as gone from now on. */
  readonly removals: readonly Removal[];
}

/** Bytes that content may take; both are infinite where nothing is bounded. */
export interface Watermarks {
  readonly high: number;
  readonly low: number;
}

interface Repository {
  readonly manifests: Map<Digest, Manifest>;
  readonly layers: Map<Digest, Layer>;
  readonly tags: Map<Tag, TagEntry>;
  /** By the blobs that manifests here need, whether they are here or not. */
  readonly needs: Map<Digest, { size: number | undefined; readonly by: Set<Manifest> }>;
  /** By the children that indexes here list, whether they are here or not. */
  readonly listed: Map<Digest, Set<Manifest>>;
}

interface Manifest extends Omit<ManifestEntry, 'usedAt'> {
  usedAt: number;
  readonly tags: Set<Tag>;
}

interface Layer extends Omit<LayerEntry, 'usedAt' | 'size'> {
  usedAt: number;
}

/** What goes or stays as one: an image, which is a manifest that no index here lists, or a blob that no manifest here needs. */
interface Unit {
  readonly repository: RepositoryName;
  readonly usedAt: number;
  readonly root: { readonly manifest: Manifest } | { readonly layer: Layer };
}

/**
 * What a mirror has on its disk, who needs it, and when it was used last; decides what has to go. Knows no disk: whoever
 * changes that says it here, and removes what it is told to.
 *
 * Data is counted once, by the links that lead to it: of manifests and of layers, in all repositories. It goes with the
 * last of them. `bytes + reserved` is never above the high watermark because of something that was reserved here.
 */
export class CacheIndex {
  readonly #watermarks: Watermarks;
  readonly #repositories = new Map<RepositoryName, Repository>();
  readonly #data = new Map<Digest, { readonly size: number; links: number }>();
  /** How often what has this digest is being read or fetched. */
  readonly #pins = new Map<Digest, number>();
  #bytes = 0;
  #reserved = 0;
  #manifests = 0;
  #blobs = 0;

  constructor(watermarks: Watermarks) {
    this.#watermarks = watermarks;
  }

  /** Of data that is here. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Promised to what is on its way. */
  get reserved(): number {
    return this.#reserved;
  }

  /** Of all repositories; what two have counts twice. */
  get counts(): { readonly manifests: number; readonly blobs: number } {
    return { manifests: this.#manifests, blobs: this.#blobs };
  }

  manifest(repository: RepositoryName, digest: Digest): ManifestEntry | undefined {
    return this.#repositories.get(repository)?.manifests.get(digest);
  }

  layer(repository: RepositoryName, digest: Digest): LayerEntry | undefined {
    const layer = this.#repositories.get(repository)?.layers.get(digest);
    return layer && { ...layer, size: this.#sizeOf(layer.canonical) };
  }

  tag(repository: RepositoryName, tag: Tag): TagEntry | undefined {
    return this.#repositories.get(repository)?.tags.get(tag);
  }

  tags(repository: RepositoryName): readonly Tag[] {
    return [...(this.#repositories.get(repository)?.tags.keys() ?? [])].sort((a, b) => (a < b ? -1 : 1));
  }

  /** As a manifest of the repository describes it. */
  describedSize(repository: RepositoryName, blob: Digest): number | undefined {
    return this.#repositories.get(repository)?.needs.get(blob)?.size;
  }

  /** Bytes of data, whoever links to it. */
  dataSize(canonical: Digest): number | undefined {
    return this.#data.get(canonical)?.size;
  }

  /** When what was used last, for those who write it down. */
  *uses(): Iterable<{
    readonly repository: RepositoryName;
    readonly manifests: Iterable<ManifestEntry>;
    readonly layers: Iterable<Pick<LayerEntry, 'digest' | 'usedAt'>>;
    readonly tags: Iterable<readonly [Tag, TagEntry]>;
  }> {
    for (const [repository, { manifests, layers, tags, needs }] of this.#repositories) {
      const loose = [...layers.values()].filter(({ digest }) => !needs.has(digest));
      yield { repository, manifests: manifests.values(), layers: loose, tags };
    }
  }

  addManifest(name: RepositoryName, entry: ManifestEntry): void {
    const repository = this.#repository(name);
    if (repository.manifests.has(entry.digest)) return;
    const manifest: Manifest = { ...entry, tags: new Set() };
    repository.manifests.set(entry.digest, manifest);
    for (const { digest, size } of entry.blobs) {
      const need = repository.needs.get(digest) ?? { size, by: new Set() };
      need.by.add(manifest);
      need.size ??= size;
      repository.needs.set(digest, need);
    }
    for (const child of entry.children) {
      const by = repository.listed.get(child) ?? new Set();
      repository.listed.set(child, by.add(manifest));
    }
    this.#manifests++;
    this.#link(entry.canonical, entry.size);
  }

  addLayer(name: RepositoryName, entry: LayerEntry): void {
    const { layers } = this.#repository(name);
    if (layers.has(entry.digest)) return;
    const { digest, canonical, usedAt } = entry;
    layers.set(digest, { digest, canonical, usedAt });
    this.#blobs++;
    this.#link(canonical, entry.size);
  }

  /** @returns false when the manifest is not here. */
  setTag(name: RepositoryName, tag: Tag, entry: TagEntry): boolean {
    const repository = this.#repositories.get(name);
    const manifest = repository?.manifests.get(entry.digest);
    if (repository === undefined || manifest === undefined) return false;
    this.removeTag(name, tag);
    repository.tags.set(tag, entry);
    manifest.tags.add(tag);
    return true;
  }

  /** @returns whether it was there. */
  removeTag(name: RepositoryName, tag: Tag): boolean {
    const repository = this.#repositories.get(name);
    const entry = repository?.tags.get(tag);
    if (repository === undefined || entry === undefined) return false;
    repository.manifests.get(entry.digest)?.tags.delete(tag);
    return repository.tags.delete(tag);
  }

  /**
   * A manifest was pulled. That of an index counts for the index too: of several that list it, for the one that was used
   * last, since that is the one being pulled.
   */
  useManifest(name: RepositoryName, digest: Digest, now: number): void {
    const repository = this.#repositories.get(name);
    for (let used = repository?.manifests.get(digest); used !== undefined;) {
      used.usedAt = Math.max(used.usedAt, now);
      used = lastUsed(repository?.listed.get(used.digest));
    }
  }

  /** A blob was pulled. Counts for the image of the repository that needs it and was used last. */
  useLayer(name: RepositoryName, digest: Digest, now: number): void {
    const repository = this.#repositories.get(name);
    const layer = repository?.layers.get(digest);
    if (layer) layer.usedAt = Math.max(layer.usedAt, now);
    const needing = lastUsed(repository?.needs.get(digest)?.by);
    if (needing) this.useManifest(name, needing.digest, now);
  }

  /** What is read or fetched stays: data that has the digest, and images that need it while it is not here yet. */
  pin(digest: Digest): void {
    this.#pins.set(digest, (this.#pins.get(digest) ?? 0) + 1);
  }

  unpin(digest: Digest): void {
    const left = (this.#pins.get(digest) ?? 0) - 1;
    if (left > 0) this.#pins.set(digest, left);
    else this.#pins.delete(digest);
  }

  /** Asks for room for something new, which is `release`d when it is here or will not come. */
  reserve(size: number): Room {
    const { high, low } = this.#watermarks;
    const most = high - this.#reserved - size;
    // Down to the low watermark, or as far as this needs.
    const removals = this.#bytes <= most ? [] : this.#shrink(Math.min(low, most), most);
    const fits = this.#bytes <= most;
    if (fits) this.#reserved += size;
    return { fits, removals };
  }

  /** What was reserved is here now, or will not come. */
  release(size: number): void {
    this.#reserved -= size;
  }

  /** Makes room where the disk has less of it than was thought. */
  shrinkBy(bytes: number): readonly Removal[] {
    return this.#shrink(this.#bytes - bytes);
  }

  /** For a cache that was larger when it was last open. */
  shrinkToWatermark(): readonly Removal[] {
    const { high, low } = this.#watermarks;
    return this.#bytes > high ? this.#shrink(low) : [];
  }

  /** What nobody has used since `before`. */
  expire(before: number): readonly Removal[] {
    const removals: Removal[] = [];
    for (const unit of this.#units()) {
      if (unit.usedAt >= before) break;
      const removal = this.#removalOf(unit);
      if (removal) removals.push(this.#apply(removal));
    }
    return removals;
  }

  /** Somebody else has removed data. */
  forget(canonical: Digest): void {
    for (const [name, repository] of this.#repositories) {
      const ofData = (entry: { readonly canonical: Digest }): boolean => entry.canonical === canonical;
      const manifests = [...repository.manifests.values()].filter(ofData);
      const layers = [...repository.layers.values()].filter(ofData);
      const tags = manifests.flatMap((manifest) => [...manifest.tags]);
      this.#apply({
        repository: name,
        tags,
        manifests: manifests.map(({ digest }) => digest),
        layers: layers.map(({ digest }) => digest),
        data: [],
        bytes: 0,
      });
    }
  }

  /**
   * Evicts the least recently used until no more than `goal` bytes are left, as far as they may go.
   * @param atMost nothing is evicted when it is clear that this cannot be reached.
   */
  #shrink(goal: number, atMost = Number.POSITIVE_INFINITY): Removal[] {
    let pinned = 0;
    for (const digest of this.#pins.keys()) pinned += this.dataSize(digest) ?? 0;
    if (pinned > atMost) return [];
    const removals: Removal[] = [];
    for (const unit of this.#bytes > goal ? this.#units() : []) {
      const removal = this.#removalOf(unit);
      if (removal) removals.push(this.#apply(removal));
      if (this.#bytes <= goal) break;
    }
    return removals;
  }

  /** Those that were used longest ago first. */
  #units(): Unit[] {
    const units: Unit[] = [];
    for (const [repository, { manifests, layers, needs, listed }] of this.#repositories) {
      for (const manifest of manifests.values()) {
        if (!listed.has(manifest.digest))
          units.push({ repository, usedAt: manifest.usedAt, root: { manifest } });
      }
      for (const layer of layers.values()) {
        if (!needs.has(layer.digest)) units.push({ repository, usedAt: layer.usedAt, root: { layer } });
      }
    }
    return units.sort((a, b) => a.usedAt - b.usedAt);
  }

  /** @returns undefined when the unit may not go now. */
  #removalOf({ repository: name, root }: Unit): Removal | undefined {
    const repository = this.#repository(name);
    const manifests = 'manifest' in root ? imageOf(repository, root.manifest) : new Set<Manifest>();
    const layers = 'layer' in root ? new Set([root.layer]) : layersOf(repository, manifests);
    const links = new Map<Digest, number>();
    for (const { canonical } of [...manifests, ...layers])
      links.set(canonical, (links.get(canonical) ?? 0) + 1);
    const data = [...links].filter(([digest, count]) => this.#data.get(digest)?.links === count);
    if (data.some(([digest]) => this.#pins.has(digest))) return undefined;
    for (const { blobs } of manifests)
      if (blobs.some(({ digest }) => this.#isComing(digest))) return undefined;
    return {
      repository: name,
      tags: [...manifests].flatMap(({ tags }) => [...tags]),
      manifests: [...manifests].map(({ digest }) => digest),
      layers: [...layers].map(({ digest }) => digest),
      data: data.map(([digest]) => digest),
      bytes: data.reduce((sum, [digest]) => sum + this.#sizeOf(digest), 0),
    };
  }

  #isComing(digest: Digest): boolean {
    return this.#pins.has(digest) && !this.#data.has(digest);
  }

  #apply(removal: Removal): Removal {
    const name = removal.repository;
    const repository = this.#repository(name);
    for (const tag of removal.tags) this.removeTag(name, tag);
    for (const digest of removal.manifests) {
      const manifest = repository.manifests.get(digest);
      if (manifest === undefined) continue;
      repository.manifests.delete(digest);
      this.#manifests--;
      for (const blob of manifest.blobs) dropFrom(repository.needs, blob.digest, manifest);
      for (const child of manifest.children) dropFrom(repository.listed, child, manifest);
      this.#unlink(manifest.canonical);
    }
    for (const digest of removal.layers) {
      const layer = repository.layers.get(digest);
      if (layer === undefined) continue;
      repository.layers.delete(digest);
      this.#blobs--;
      this.#unlink(layer.canonical);
    }
    if (repository.manifests.size === 0 && repository.layers.size === 0) this.#repositories.delete(name);
    return removal;
  }

  #link(canonical: Digest, size: number): void {
    const data = this.#data.get(canonical);
    if (data) {
      data.links++;
      return;
    }
    this.#data.set(canonical, { size, links: 1 });
    this.#bytes += size;
  }

  #unlink(canonical: Digest): void {
    const data = this.#data.get(canonical);
    if (data === undefined || --data.links > 0) return;
    this.#data.delete(canonical);
    this.#bytes -= data.size;
  }

  #sizeOf(canonical: Digest): number {
    return this.#data.get(canonical)?.size ?? 0;
  }

  #repository(name: RepositoryName): Repository {
    const found = this.#repositories.get(name);
    if (found) return found;
    const made: Repository = {
      manifests: new Map(),
      layers: new Map(),
      tags: new Map(),
      needs: new Map(),
      listed: new Map(),
    };
    this.#repositories.set(name, made);
    return made;
  }
}

/** An image, with what it lists that is here and that no other manifest lists. */
function imageOf(repository: Repository, root: Manifest): Set<Manifest> {
  // A set that grows is gone through to its end; a child is looked at once for each manifest that lists it.
  const image = new Set([root]);
  for (const manifest of image) {
    for (const digest of manifest.children) {
      const child = repository.manifests.get(digest);
      const listedBy = repository.listed.get(digest);
      if (child && listedBy?.isSubsetOf(image)) image.add(child);
    }
  }
  return image;
}

/** The blobs that only these manifests need. */
function layersOf(repository: Repository, manifests: ReadonlySet<Manifest>): Set<Layer> {
  const layers = new Set<Layer>();
  for (const { blobs } of manifests) {
    for (const { digest } of blobs) {
      const layer = repository.layers.get(digest);
      if (layer && repository.needs.get(digest)?.by.isSubsetOf(manifests)) layers.add(layer);
    }
  }
  return layers;
}

function lastUsed(manifests: Iterable<Manifest> | undefined): Manifest | undefined {
  let last: Manifest | undefined;
  for (const manifest of manifests ?? [])
    if (last === undefined || manifest.usedAt > last.usedAt) last = manifest;
  return last;
}

function dropFrom<Entry extends Set<Manifest> | { readonly by: Set<Manifest> }>(
  map: Map<Digest, Entry>,
  key: Digest,
  manifest: Manifest,
): void {
  const entry = map.get(key);
  if (entry === undefined) return;
  const by = entry instanceof Set ? entry : entry.by;
  by.delete(manifest);
  if (by.size === 0) map.delete(key);
}
