import { parseDigest, type Digest } from '../oci/digest.ts';
import { parseRepositoryName, type RepositoryName } from '../oci/repository-name.ts';
import { parseTag, type Tag } from '../oci/tag.ts';

/** Where images come from or go to. */
export type Place =
  | {
      readonly kind: 'registry';
      readonly host: string;
      /** When the place says so. */
      readonly scheme?: 'http' | 'https';
      /** Undefined: the whole registry. */
      readonly repository: RepositoryName | undefined;
      readonly tag: Tag | undefined;
      readonly digest: Digest | undefined;
    }
  /** An OCI image layout. `name` is one of its references, as in `v1` or `team/app:v1`. */
  | { readonly kind: 'layout'; readonly folder: string; readonly name: string | undefined }
  /** What `docker save` writes. `name` as in `team/app:v1`. */
  | { readonly kind: 'archive'; readonly file: string; readonly name: string | undefined };

/**
 * Parses `registry/repository[:tag][@digest]`, with or without `docker://` or `http(s)://`, `oci:DIR[:NAME]` and
 * `docker-archive:FILE[:NAME]`. Names without a registry are Docker's, as for docker.
 * @returns undefined for anything else.
 */
export function parsePlace(text: string): Place | undefined {
  const layout = /^oci:([^:]+)(?::(.+))?$/.exec(text);
  if (layout) return { kind: 'layout', folder: layout[1] ?? '', name: layout[2] };
  const archive = /^docker-archive:([^:]+)(?::(.+))?$/.exec(text);
  if (archive) return { kind: 'archive', file: archive[1] ?? '', name: archive[2] };
  const [, scheme, rest = ''] = /^(?:(docker|https?):\/\/)?(.*)$/.exec(text) ?? [];
  const place = parseReference(rest.replace(/\/$/, ''), scheme !== undefined);
  if (place === undefined || (scheme !== 'http' && scheme !== 'https')) return place;
  return { ...place, scheme };
}

/** The place as its user would write it. */
export function formatPlace(place: Place): string {
  if (place.kind === 'registry') {
    const { host, repository, tag, digest } = place;
    const path = repository === undefined ? '' : `/${repository}`;
    return `${host}${path}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
  }
  const file = place.kind === 'layout' ? `oci:${place.folder}` : `docker-archive:${place.file}`;
  return place.name === undefined ? file : `${file}:${place.name}`;
}

type RegistryPlace = Extract<Place, { readonly kind: 'registry' }>;

/** @param named by a scheme: then the first part is a host whatever it looks like. */
function parseReference(text: string, named: boolean): RegistryPlace | undefined {
  const [name = '', digestText] = text.split('@', 2);
  const digest = digestText === undefined ? undefined : parseDigest(digestText);
  if (digestText !== undefined && digest === undefined) return undefined;
  const slash = name.indexOf('/');
  const first = slash === -1 ? name : name.slice(0, slash);
  const whole = slash === -1 && (named || isHost(first)) && digest === undefined;
  if (whole) return hostOnly(first);
  const hasHost = slash !== -1 && (named || isHost(first));
  const host = hasHost ? first : 'docker.io';
  const path = hasHost ? name.slice(slash + 1) : name;
  const [, repositoryText = '', tagText] = /^(.*?)(?::([^:/]*))?$/.exec(path) ?? [];
  const official = host === 'docker.io' && !repositoryText.includes('/');
  const repository = parseRepositoryName(official ? `library/${repositoryText}` : repositoryText);
  const tag = tagText === undefined ? undefined : parseTag(tagText);
  if (repository === undefined || (tagText !== undefined && tag === undefined) || !isAuthority(host))
    return undefined;
  return { kind: 'registry', host, repository, tag, digest };
}

function hostOnly(host: string): RegistryPlace | undefined {
  if (!isAuthority(host)) return undefined;
  return { kind: 'registry', host, repository: undefined, tag: undefined, digest: undefined };
}

/** As docker tells a registry from a part of a name. `localhost:5000` alone is a host, `alpine:3` is not. */
function isHost(text: string): boolean {
  return text === 'localhost' || text.includes('.') || /^[^:]+:\d{2,5}$/.test(text) || text.startsWith('[');
}

function isAuthority(host: string): boolean {
  return /^(?!.*\.\.)(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?$/.test(
    host,
  );
}
