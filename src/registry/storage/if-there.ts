import { PathNotFoundError, type FileStat, type StorageDriver } from './driver.ts';

/*
 * The operations of a driver for paths that others may remove at any time: what is not there is an answer, and everything
 * else that goes wrong is thrown.
 */

export function statIfThere(driver: StorageDriver, path: string): Promise<FileStat | undefined> {
  return orElse(driver.stat(path), undefined);
}

export function readIfThere(driver: StorageDriver, path: string): Promise<Buffer | undefined> {
  return orElse(driver.getContent(path), undefined);
}

/** No names when there is no folder. */
export function listIfThere(driver: StorageDriver, folder: string): Promise<readonly string[]> {
  return orElse(driver.list(folder), []);
}

/** @returns whether it was there. */
export function moveIfThere(driver: StorageDriver, from: string, to: string): Promise<boolean> {
  return orElse(
    driver.move(from, to).then(() => true),
    false,
  );
}

/** As `moveWithFolder`, where moves are atomic. @returns whether it was there. */
export function moveWithFolderIfThere(driver: StorageDriver, from: string, to: string): Promise<boolean> {
  return orElse(
    (driver.moveWithFolder?.(from, to) ?? driver.move(from, to)).then(() => true),
    false,
  );
}

/** As `removeWithFolder`, where moves are atomic. @returns whether it was there. */
export function removeWithFolderIfThere(driver: StorageDriver, path: string): Promise<boolean> {
  return orElse(
    (driver.removeWithFolder?.(path) ?? driver.delete(path)).then(() => true),
    false,
  );
}

/** @returns false when `from` is gone, or something is at `to`. */
export function moveIfAbsent(driver: StorageDriver, from: string, to: string): Promise<boolean> {
  return orElse(driver.moveIfAbsent?.(from, to) ?? Promise.resolve(false), false);
}

/** @returns whether it was there. */
export function deleteIfThere(
  driver: StorageDriver,
  path: string,
  options: { readonly durable: boolean } = { durable: true },
): Promise<boolean> {
  return orElse(
    driver.delete(path, options).then(() => true),
    false,
  );
}

async function orElse<T, E>(work: Promise<T>, absent: E): Promise<T | E> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof PathNotFoundError) return absent;
    throw error;
  }
}
