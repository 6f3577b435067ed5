import { forEachAtOnce } from '../../process/at-once.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { listIfThere, readIfThere, statIfThere } from '../storage/if-there.ts';
import { RUNS_ROOT } from '../storage/paths.ts';
import { putControlFile } from '../storage/reserve.ts';
import { leaseParameters } from './parameters.ts';
import type { RunObserver } from './run-observer.ts';
import { decodeRunRecord, encodeRunRecord, type RunRecord } from './run-record.ts';

export function runPath(run: string): string {
  return `${RUNS_ROOT}/${run}`;
}

/** Records and announcements of a day may be hundreds, and a write waits for who reads them first. */
export const READS_AT_ONCE = 8;

export async function writeRun(driver: StorageDriver, record: RunRecord): Promise<void> {
  await putControlFile(driver, runPath(record.run), encodeRunRecord(record));
}

/**
 * Lists the runs and reads each, but those the observer knows to be done. The directory is read anew and files are opened,
 * never stat-ed for absence: NFS remembers "no such file" for a minute.
 */
export async function readRuns(driver: StorageDriver, observer: RunObserver): Promise<readonly RunRecord[]> {
  const records: RunRecord[] = [];
  await forEachAtOnce(await listNames(driver, RUNS_ROOT), READS_AT_ONCE, async (run) => {
    const finished = observer.finished(run);
    const bytes = finished ? undefined : await readIfThere(driver, runPath(run));
    if (finished) records.push(finished);
    else if (bytes) records.push(decodeRunRecord(run, bytes, leaseParameters.duration));
  });
  return records;
}

/** How long ago each run's file changed by the store's clock, less the margin; `storeNow` is that clock. */
export async function runAges(
  driver: StorageDriver,
  runs: readonly string[],
  storeNow: number,
  margin: number,
): Promise<ReadonlyMap<string, number>> {
  const ages = new Map<string, number>();
  for (const run of runs) {
    const modifiedAt = await modifiedAtIfThere(driver, runPath(run));
    if (modifiedAt !== undefined) ages.set(run, storeNow - modifiedAt - margin);
  }
  return ages;
}

/** Names in a folder, without the temporary files of writes in progress; none when there is no folder. */
export async function listNames(driver: StorageDriver, folder: string): Promise<readonly string[]> {
  return (await listIfThere(driver, folder)).filter((name) => !name.endsWith('.tmp'));
}

export async function modifiedAtIfThere(driver: StorageDriver, path: string): Promise<number | undefined> {
  return (await statIfThere(driver, path))?.modifiedAt;
}
