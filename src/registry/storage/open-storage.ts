import type { Config } from '../../contract/config/config.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import type { StorageDriver } from './driver.ts';

export interface StorageDependencies {
  readonly clock: Clock;
  readonly log: Logger;
  /** The process's environment: where the SDKs of clouds look for credentials. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Which storage driver a configuration names. */
export type StorageKind = 'filesystem' | 'swift';

/** The one driver that is configured: parseConfig has seen to it that there is one. */
export function storageKind(config: Config): StorageKind {
  const kind = kinds.find((name) => config.storage[name] !== undefined);
  if (kind === undefined) throw new Error('the configuration has no storage driver');
  return kind;
}

/**
 * Opens the storage that a configuration names. What a driver needs is loaded only here.
 * @throws Error that says what is wrong with the driver's options, the credentials or the store.
 */
export function openStorage(config: Config, deps: StorageDependencies): Promise<StorageDriver> {
  return openers[storageKind(config)](config.storage, deps);
}

type Open = (storage: Config['storage'], deps: StorageDependencies) => Promise<StorageDriver>;

const openers: { readonly [K in StorageKind]: Open } = {
  async filesystem({ filesystem }, { log }) {
    const { createFilesystemDriver } = await import('./filesystem/filesystem-driver.ts');
    return createFilesystemDriver({ root: required(filesystem).rootdirectory, log });
  },
  async swift({ swift }, deps) {
    const { openSwift } = await import('./swift/open-swift.ts');
    return openSwift(required(swift), deps);
  },
};

const kinds = Object.keys(openers) as StorageKind[]; // a record's own keys

function required<T>(options: T | undefined): T {
  if (options === undefined) throw new Error('the options of the driver are missing');
  return options;
}
