import { createHash } from 'node:crypto';
import { parseDigest, type Digest } from '../../oci/digest.ts';
import { forEachAtOnce } from '../../process/at-once.ts';
import { PathNotFoundError, type StorageDriver } from '../storage/driver.ts';
import { listIfThere } from '../storage/if-there.ts';
import { BLOBS_ROOT, blobDataPath } from '../storage/paths.ts';
import type { Finding } from './finding.ts';
import type { Pace } from './pace.ts';

export interface ScrubDependencies {
  readonly driver: StorageDriver;
  readonly signal: AbortSignal;
  readonly pace: Pace;
  /** Blobs that are read, or repositories that are looked at, at once. */
  readonly atOnce: number;
  readonly found: (finding: Finding) => void;
  /** Told how many blobs were read now and then, and what share of all that is, above 0. */
  readonly progress?: (blobs: number, share: number) => void;
}

export interface ScrubbedBlobs {
  readonly blobs: number;
  readonly bytes: number;
}

/**
 * Reads the data of blobs and compares it with its digest.
 * @param isWanted which paths of data to read
 * @throws what the store throws when it cannot list
 */
export async function scrubBlobs(
  deps: ScrubDependencies,
  isWanted: (path: string) => boolean = () => true,
): Promise<ScrubbedBlobs> {
  const root = `${BLOBS_ROOT}/sha256`;
  const prefixes = await listIfThere(deps.driver, root);
  let blobs = 0;
  let bytes = 0;
  for (const [index, prefix] of prefixes.entries()) {
    const names = await listIfThere(deps.driver, `${root}/${prefix}`);
    await forEachAtOnce(names, deps.atOnce, async (hex) => {
      deps.signal.throwIfAborted();
      const digest = parseDigest(`sha256:${hex}`);
      if (digest === undefined || !isWanted(blobDataPath(digest))) return;
      bytes += await scrubBlob(deps, digest);
      blobs++;
    });
    deps.progress?.(blobs, (index + 1) / prefixes.length);
  }
  return { blobs, bytes };
}

/** @returns the bytes that were read */
async function scrubBlob(deps: ScrubDependencies, digest: Digest): Promise<number> {
  const { driver, pace, signal, found } = deps;
  const path = blobDataPath(digest);
  const hash = createHash('sha256');
  let size = 0;
  try {
    for await (const chunk of await driver.read(path)) {
      hash.update(chunk);
      size += chunk.length;
      await pace.take(chunk.length, signal);
    }
  } catch (error) {
    // A collector took it, or there is a folder alone.
    if (error instanceof PathNotFoundError) return size;
    if (signal.aborted) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    found({ kind: 'unreadable', path, problem: `the data of ${digest} cannot be read: ${reason}` });
    return size;
  }
  const actual = `sha256:${hash.digest('hex')}`;
  if (actual !== digest)
    found({ kind: 'corrupt', path, problem: `the data of ${digest} is that of ${actual}, ${size} bytes` });
  return size;
}
