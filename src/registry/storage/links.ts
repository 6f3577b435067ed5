import { digestAlgorithm, parseDigest, type Digest } from '../../oci/digest.ts';
import type { FileStat, StorageDriver } from './driver.ts';
import { readIfThere, statIfThere } from './if-there.ts';
import { restoreFromTrash, restoreNewerTag } from './trash.ts';

/** Reads a link file. One that is empty or malformed is absent: old servers left such files after a crash. */
export async function readLink(driver: StorageDriver, path: string): Promise<Digest | undefined> {
  const content = await readIfThere(driver, path);
  return content && parseDigest(content.toString('latin1').trim());
}

/** What a tag says. Puts back a link that a collector took away after it had been written anew. */
export async function readTagLink(driver: StorageDriver, path: string): Promise<Digest | undefined> {
  const digest = await readLink(driver, path);
  if (digest !== undefined || !driver.movesAtomically || !(await restoreNewerTag(driver, path)))
    return digest;
  return readLink(driver, path);
}

/** The content of a link file: the digest and nothing else, as distribution writes it. */
export function linkContent(digest: Digest): Buffer {
  return Buffer.from(digest, 'latin1');
}

export interface FoundLink {
  /** The sha256 digest under which the bytes lie. */
  readonly canonical: Digest;
  /** When the link was last written, by the store's clock; milliseconds. */
  readonly linkedAt: number;
}

/** Looks at the link of a blob or manifest, and puts back one that a collector took away. */
export async function findLink(
  driver: StorageDriver,
  path: string,
  digest: Digest,
): Promise<FoundLink | undefined> {
  const found = await lookAtLink(driver, path, digest);
  if (found !== undefined || !(await restoreFromTrash(driver, path))) return found;
  return lookAtLink(driver, path, digest);
}

/** As `findLink`, and puts nothing back. @param stat of the link, where it is known. */
export async function lookAtLink(
  driver: StorageDriver,
  path: string,
  digest: Digest,
  stat?: FileStat,
): Promise<FoundLink | undefined> {
  const link = stat ?? (await statIfThere(driver, path));
  if (link === undefined || link.isDirectory) return undefined;
  // The path of a sha256 link says what is in it, so one that is whole need not be read.
  const known = digestAlgorithm(digest) === 'sha256' && link.size === digest.length;
  const canonical = known ? digest : await readLink(driver, path);
  if (canonical === undefined || digestAlgorithm(canonical) !== 'sha256') return undefined;
  return { canonical, linkedAt: link.modifiedAt };
}
