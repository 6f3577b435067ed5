import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import type { Finding } from '../scrub/finding.ts';
import { Pace } from '../scrub/pace.ts';
import { scrubBlobs, type ScrubDependencies } from '../scrub/scrub-blobs.ts';
import { scrubRepositories } from '../scrub/scrub-repositories.ts';
import type { StorageDriver } from '../storage/driver.ts';
import type { ManifestRules } from '../storage/manifest-rules.ts';
import type { Mark } from './mark.ts';
import type { Progress } from './progress.ts';

export interface VerifyOptions {
  /** How much is read, all together. */
  readonly bytesPerSecond: number;
  readonly rules: Pick<ManifestRules, 'mustExist'>;
}

/** Something that is needed is damaged or not there. */
class VerificationError extends Error {
  override readonly name = 'VerificationError';
}

/** Findings that a message names; the log has all. */
const NAMED = 4;

/** Reads that are under way at once. */
const AT_ONCE = 4;

/**
 * Reads everything that a mark found to be needed.
 * @throws VerificationError that names what is damaged or missing
 */
export async function verifyNeeded(
  { needed }: Mark,
  options: VerifyOptions,
  deps: {
    readonly driver: StorageDriver;
    readonly clock: Clock;
    readonly log: Logger;
    readonly signal: AbortSignal;
    readonly progress: Progress;
  },
): Promise<void> {
  const named: Finding[] = [];
  let wrong = 0;
  const scrub: ScrubDependencies = {
    driver: deps.driver,
    signal: deps.signal,
    pace: new Pace(deps.clock, options.bytesPerSecond),
    atOnce: AT_ONCE,
    found(finding) {
      if (!needed.has(finding.path) && !(finding.neededBy && needed.has(finding.neededBy))) return;
      deps.log.error({ ...finding }, 'something that is needed is damaged or missing');
      wrong++;
      if (named.length < NAMED) named.push(finding);
    },
    progress: (blobs, share) => deps.progress.set(blobs, blobs / share),
  };
  await scrubRepositories({ ...scrub, rules: options.rules });
  await scrubBlobs(scrub, (path) => needed.has(path));
  if (wrong === 0) return;
  const more = wrong > named.length ? `; and ${wrong - named.length} more, see the log` : '';
  throw new VerificationError(
    `nothing was deleted: ${named.map(({ problem }) => problem).join('; ')}${more}. Push these images again or delete them`,
  );
}
