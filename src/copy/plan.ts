import { parseRepositoryName, type RepositoryName } from '../oci/repository-name.ts';
import type { RegistryClient } from '../oci-client/registry-client.ts';
import { ArchiveDestination, ArchiveSource } from './archive-side.ts';
import { ImageLayout } from './layout-side.ts';
import { formatPlace, type Place } from './place.ts';
import { KnownBlobs, registryDestination, registrySource } from './registry-side.ts';
import type { ImageDestination, ImageSource } from './sides.ts';

/** One image to copy. */
export interface Job {
  readonly source: ImageSource;
  /** A tag, a name or a digest. */
  readonly reference: string;
  readonly destination: ImageDestination;
  /** Undefined: by digest. */
  readonly tag: string | undefined;
}

/** `one` image, all `tags` of one repository, or `all` repositories. */
export type Extent = 'one' | 'tags' | 'all';

export interface Plan {
  readonly jobs: readonly Job[];
  /** Puts what was written in its place; `failed`: leaves nothing half made. */
  finish(failed: boolean): Promise<void>;
}

/** A copy cannot be done as it was asked for. */
export class PlanError extends Error {
  override readonly name = 'PlanError';
}

type RegistryPlace = Extract<Place, { readonly kind: 'registry' }>;

/** The client of a registry, for reading or for writing. */
export type Connect = (side: 'source' | 'destination', place: RegistryPlace) => Promise<RegistryClient>;

const DEFAULT_TAG = 'latest';
const ONE_IMAGE = 'names one image, which does not go with --all-tags and --all';

/** Finds out what there is to copy, and opens both sides. @throws PlanError; what the sides throw */
export async function makePlan(from: Place, to: Place, extent: Extent, connect: Connect): Promise<Plan> {
  const names = await sourceNames(from, extent, connect);
  const target = await openTarget(to, extent, connect);
  const jobs: Job[] = [];
  const taken = new Map<string, string>();
  for (const { source, repository, reference, tag } of names) {
    const placed = await target.place(repository, tag, reference);
    const here = `${source.title}:${reference}`;
    const there = `${placed.destination.title}:${placed.tag ?? reference}`;
    const other = taken.get(there);
    // A layout may list a name more than once.
    if (other === here) continue;
    if (other !== undefined) throw new PlanError(`${other} and ${here} would both be ${there}`);
    taken.set(there, here);
    jobs.push({ source, reference, ...placed });
  }
  return { jobs, finish: (failed) => target.finish(failed) };
}

/** Something to copy, under the name that it has. */
interface Named {
  readonly source: ImageSource;
  readonly reference: string;
  readonly repository: RepositoryName | undefined;
  readonly tag: string | undefined;
}

async function sourceNames(from: Place, extent: Extent, connect: Connect): Promise<readonly Named[]> {
  if (from.kind !== 'registry') return fileNames(from, extent);
  if (extent !== 'all' && from.repository === undefined)
    throw new PlanError(`${formatPlace(from)} names no repository; --all copies all`);
  if (extent !== 'one' && (from.tag !== undefined || from.digest !== undefined)) {
    throw new PlanError(`${formatPlace(from)} ${ONE_IMAGE}`);
  }
  const client = await connect('source', from);
  if (extent === 'one' && from.repository !== undefined) {
    const { repository, tag, digest } = from;
    const source = registrySource(client, from.host, repository);
    const named = digest === undefined ? (tag ?? DEFAULT_TAG) : tag;
    return [{ source, repository, reference: digest ?? named ?? DEFAULT_TAG, tag: named }];
  }
  const repositories = from.repository === undefined ? await client.repositories() : [from.repository];
  const names: Named[] = [];
  for (const name of repositories) {
    const repository = parseRepositoryName(name);
    if (repository === undefined) continue;
    const source = registrySource(client, from.host, repository);
    // A repository whose last tag was deleted is still listed.
    const tags = extent === 'all' ? ((await client.tags(repository)) ?? []) : await source.tags();
    names.push(...tags.map((tag) => ({ source, repository, reference: tag, tag })));
  }
  return names;
}

async function fileNames(from: Exclude<Place, RegistryPlace>, extent: Extent): Promise<readonly Named[]> {
  const source =
    from.kind === 'layout' ? await ImageLayout.open(from.folder) : await ArchiveSource.open(from.file);
  if (extent !== 'one') {
    if (from.name !== undefined) throw new PlanError(`${formatPlace(from)} ${ONE_IMAGE}`);
    return (await source.tags()).map((name) => ({ source, reference: name, ...splitName(name) }));
  }
  if (from.name !== undefined) return [{ source, reference: from.name, ...splitName(from.name) }];
  const names = await source.tags();
  const single = source instanceof ImageLayout ? source.single : '';
  if (names.length > 1 || single === undefined) {
    throw new PlanError(
      `${formatPlace(from)} holds several images: name one of ${names.join(', ')}, or use --all-tags`,
    );
  }
  const [name] = names;
  return [
    {
      source,
      reference: name ?? single,
      ...(name === undefined ? { repository: undefined, tag: undefined } : splitName(name)),
    },
  ];
}

/** `team/app:v1` in its parts; a name without a colon is a tag. A registry in front is left out. */
function splitName(name: string): { readonly repository: RepositoryName | undefined; readonly tag: string } {
  const colon = name.lastIndexOf(':');
  if (colon === -1) return { repository: undefined, tag: name };
  const path = name.slice(0, colon).replace(/^[^/]*[.:][^/]*\//, '');
  return { repository: parseRepositoryName(path), tag: name.slice(colon + 1) };
}

interface Target {
  place(
    repository: RepositoryName | undefined,
    tag: string | undefined,
    reference: string,
  ): Promise<Pick<Job, 'destination' | 'tag'>>;
  finish(failed: boolean): Promise<void>;
}

async function openTarget(to: Place, extent: Extent, connect: Connect): Promise<Target> {
  if (to.kind === 'registry') return registryTarget(to, extent, await connect('destination', to));
  if (to.kind === 'archive') return archiveTarget(to, extent);
  if (extent !== 'one' && to.name !== undefined) throw new PlanError(`${formatPlace(to)} ${ONE_IMAGE}`);
  const layout = await ImageLayout.create(to.folder);
  return {
    async place(repository, tag, reference) {
      const own = extent === 'all' && repository !== undefined ? `${repository}:${tag ?? DEFAULT_TAG}` : tag;
      return { destination: layout, tag: to.name ?? own ?? reference };
    },
    finish: () => Promise.resolve(),
  };
}

function registryTarget(to: RegistryPlace, extent: Extent, client: RegistryClient): Target {
  if (to.digest !== undefined)
    throw new PlanError(`${formatPlace(to)} names a digest, which nobody can choose`);
  if (extent !== 'one' && to.tag !== undefined) throw new PlanError(`${formatPlace(to)} ${ONE_IMAGE}`);
  if (extent !== 'all' && to.repository === undefined)
    throw new PlanError(`${formatPlace(to)} names no repository`);
  const known = new KnownBlobs();
  const destinations = new Map<RepositoryName, ImageDestination>();
  const open = (repository: RepositoryName): ImageDestination => {
    const opened = destinations.get(repository) ?? registryDestination(client, to.host, repository, known);
    destinations.set(repository, opened);
    return opened;
  };
  return {
    async place(repository, tag) {
      const path = [to.repository, ...(extent === 'all' ? [repository] : [])]
        .filter((part) => part !== undefined)
        .join('/');
      const name = parseRepositoryName(path);
      if (name === undefined) throw new PlanError(`'${path}' is no name of a repository`);
      return { destination: open(name), tag: to.tag ?? tag };
    },
    finish: () => Promise.resolve(),
  };
}

function archiveTarget(to: Extract<Place, { readonly kind: 'archive' }>, extent: Extent): Target {
  if (extent !== 'one')
    throw new PlanError('a docker archive holds one image: use an OCI layout for several');
  let archive: ArchiveDestination | undefined;
  return {
    async place(repository, tag) {
      const own = repository === undefined ? undefined : `${repository}:${tag ?? DEFAULT_TAG}`;
      archive = await ArchiveDestination.create(to.file, to.name ?? own);
      return { destination: archive, tag };
    },
    async finish(failed) {
      await (failed ? archive?.abandon() : archive?.finish());
    },
  };
}
