import { digestAlgorithm, digestHex, type Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import type { Tag } from '../../oci/tag.ts';

/*
 * The tree, as docker distribution 2.x and 3.x lay it out, and what is ours in it:
 *
 *   /docker/registry/
 *     v2/
 *       blobs/sha256/<hex[0:2]>/<hex>/data            bytes of a layer, config or manifest
 *       repositories/<name>/
 *         _layers/<algorithm>/<hex>/link              a blob of this repository: `sha256:<hex>` of its data
 *         _manifests/revisions/<algorithm>/<hex>/link a manifest of this repository, likewise
 *         _manifests/tags/<tag>/current/link          the digest of the tag
 *         _manifests/tags/<tag>/index/<algorithm>/<hex>/link   each digest that the tag ever had
 *         _uploads/<uuid>/{data,startedat}            an upload in progress
 *     stevedore/                                      ours; distribution does not look here
 *       runs/<run>                                    one file per collector run
 *       servers/<server>                              one announcement per server
 *       trash/<run>/<original path>                   what a collector took away
 *       pulls/<server>.<number>                       when what was pulled last
 *       mirror/mark                                   of a mirror: this store is its own
 *       mirror/uses                                   of a mirror: when what was used last
 *       mirror/fills/<uuid>                           of a mirror: a blob that is being fetched
 *       reserve                                       room that a collection has when the volume is full
 *
 * A blob is stored once, under its sha256; a link under another algorithm holds the sha256 digest.
 */
export const REGISTRY_ROOT = '/docker/registry';
export const BLOBS_ROOT = `${REGISTRY_ROOT}/v2/blobs`;
export const REPOSITORIES_ROOT = `${REGISTRY_ROOT}/v2/repositories`;
export const RUNS_ROOT = `${REGISTRY_ROOT}/stevedore/runs`;
export const SERVERS_ROOT = `${REGISTRY_ROOT}/stevedore/servers`;
export const RESERVE_PATH = `${REGISTRY_ROOT}/stevedore/reserve`;
export const PULLS_ROOT = `${REGISTRY_ROOT}/stevedore/pulls`;
export const MIRROR_MARK_PATH = `${REGISTRY_ROOT}/stevedore/mirror/mark`;
export const MIRROR_USES_PATH = `${REGISTRY_ROOT}/stevedore/mirror/uses`;
export const MIRROR_FILLS_ROOT = `${REGISTRY_ROOT}/stevedore/mirror/fills`;
export const TRASH_ROOT = `${REGISTRY_ROOT}/stevedore/trash`;

const split = (digest: Digest): string => `${digestAlgorithm(digest)}/${digestHex(digest)}`;

/** `sha256` digests only: bytes are kept under their canonical digest. */
function blobFolder(digest: Digest): string {
  const hex = digestHex(digest);
  return `${BLOBS_ROOT}/${digestAlgorithm(digest)}/${hex.slice(0, 2)}/${hex}`;
}

export function blobDataPath(digest: Digest): string {
  return `${blobFolder(digest)}/data`;
}

export function repositoryFolder(repository: RepositoryName): string {
  return `${REPOSITORIES_ROOT}/${repository}`;
}

export function layersFolder(repository: RepositoryName): string {
  return `${repositoryFolder(repository)}/_layers`;
}

export function layerLinkPath(repository: RepositoryName, digest: Digest): string {
  return `${layersFolder(repository)}/${split(digest)}/link`;
}

export function revisionsFolder(repository: RepositoryName): string {
  return `${repositoryFolder(repository)}/_manifests/revisions`;
}

export function revisionLinkPath(repository: RepositoryName, digest: Digest): string {
  return `${revisionsFolder(repository)}/${split(digest)}/link`;
}

export function tagsFolder(repository: RepositoryName): string {
  return `${repositoryFolder(repository)}/_manifests/tags`;
}

export function tagFolder(repository: RepositoryName, tag: Tag): string {
  return `${tagsFolder(repository)}/${tag}`;
}

export function tagCurrentLinkPath(repository: RepositoryName, tag: Tag): string {
  return `${tagFolder(repository, tag)}/current/link`;
}

export function tagIndexLinkPath(repository: RepositoryName, tag: Tag, digest: Digest): string {
  return `${tagFolder(repository, tag)}/index/${split(digest)}/link`;
}

export function uploadsFolder(repository: RepositoryName): string {
  return `${repositoryFolder(repository)}/_uploads`;
}

export function uploadFolder(repository: RepositoryName, id: string): string {
  return `${uploadsFolder(repository)}/${id}`;
}

/** Where a collector's run keeps what lay at `path`. */
export function trashPath(path: string, run: string): string {
  return `${TRASH_ROOT}/${run}${path}`;
}
