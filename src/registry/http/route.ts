import { parseDigest, type Digest } from '../../oci/digest.ts';
import { parseRepositoryName, type RepositoryName } from '../../oci/repository-name.ts';
import { parseTag, type Tag } from '../../oci/tag.ts';
import { RegistryError } from '../errors.ts';

/** What a path of the API names. */
export type Route =
  | { readonly kind: 'base' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'tags'; readonly repository: RepositoryName }
  | { readonly kind: 'manifest'; readonly repository: RepositoryName; readonly reference: Digest | Tag }
  | { readonly kind: 'blob'; readonly repository: RepositoryName; readonly digest: Digest }
  | { readonly kind: 'referrers'; readonly repository: RepositoryName; readonly digest: Digest }
  | { readonly kind: 'uploads'; readonly repository: RepositoryName }
  | { readonly kind: 'upload'; readonly repository: RepositoryName; readonly id: string };

export type RouteOf<Kind extends Route['kind']> = Extract<Route, { readonly kind: Kind }>;

const UPLOAD_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Parses what follows `/v2/`. Names hold slashes, so the end of the path decides: `a/blobs/uploads/manifests/x` is the
 * manifest x of the repository `a/blobs/uploads`. OCI distribution-spec, "Endpoints".
 * @returns undefined for a path that is none of the API's.
 * @throws RegistryError NAME_INVALID, DIGEST_INVALID, TAG_INVALID, BLOB_UPLOAD_UNKNOWN
 */
export function parseRoute(encoded: string): Route | undefined {
  const path = decode(encoded);
  if (path === '') return { kind: 'base' };
  if (path === '_catalog') return { kind: 'catalog' };
  if (path.endsWith('/tags/list')) return { kind: 'tags', repository: repositoryOf(path.slice(0, -10)) };
  if (path.endsWith('/blobs/uploads/'))
    return { kind: 'uploads', repository: repositoryOf(path.slice(0, -15)) };
  const lastSlash = path.lastIndexOf('/');
  const last = path.slice(lastSlash + 1);
  const before = path.slice(0, lastSlash);
  const section = before.slice(before.lastIndexOf('/') + 1);
  const name = before.slice(0, -section.length - 1);
  switch (section) {
    case 'manifests':
      return { kind: 'manifest', repository: repositoryOf(name), reference: referenceOf(last) };
    case 'blobs':
      // POST …/blobs/uploads without the slash: redirecting would turn it into a GET.
      return last === 'uploads'
        ? { kind: 'uploads', repository: repositoryOf(name) }
        : { kind: 'blob', repository: repositoryOf(name), digest: digestOfPath(last) };
    case 'referrers':
      return { kind: 'referrers', repository: repositoryOf(name), digest: digestOfPath(last) };
    case 'uploads':
      if (!name.endsWith('/blobs')) return undefined;
      return { kind: 'upload', repository: repositoryOf(name.slice(0, -6)), id: uploadIdOf(last) };
    default:
      return undefined;
  }
}

function decode(encoded: string): string {
  if (!encoded.includes('%')) return encoded;
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw new RegistryError({ code: 'NAME_INVALID', message: 'the path is not valid percent-encoding' });
  }
}

function repositoryOf(name: string): RepositoryName {
  const repository = parseRepositoryName(name);
  if (repository === undefined) throw new RegistryError({ code: 'NAME_INVALID', detail: { name } });
  return repository;
}

function referenceOf(text: string): Digest | Tag {
  if (text.includes(':')) return digestOfPath(text);
  const tag = parseTag(text);
  if (tag === undefined)
    throw new RegistryError({ code: 'TAG_INVALID', message: 'invalid tag', detail: { tag: text } });
  return tag;
}

function digestOfPath(text: string): Digest {
  const digest = parseDigest(text);
  if (digest === undefined) throw invalidDigest(text);
  return digest;
}

/** A digest that is malformed or of an algorithm other than sha256 and sha512. */
export function invalidDigest(text: string | null): RegistryError {
  const message = text === null ? 'the digest parameter is missing' : 'not a sha256 or sha512 digest';
  return new RegistryError({ code: 'DIGEST_INVALID', message, detail: { digest: text ?? '' } });
}

function uploadIdOf(text: string): string {
  if (!UPLOAD_ID.test(text)) throw new RegistryError({ code: 'BLOB_UPLOAD_UNKNOWN' });
  return text;
}
