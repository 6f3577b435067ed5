import type { Config } from '../../contract/config/config.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { RegistryError } from '../errors.ts';
import type { StorageDriver } from './driver.ts';

export interface StorageDependencies {
  readonly clock: Clock;
  readonly log: Logger;
  /** The process's environment: where the SDKs of clouds look for credentials. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Other processes of the same server write to the storage as well. */
  readonly hasPeers?: boolean;
}

/** Which storage driver a configuration names. */
export type StorageKind = 'azure' | 'filesystem' | 'gcs' | 'inmemory' | 'oss' | 's3' | 'swift';

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
export async function openStorage(config: Config, deps: StorageDependencies): Promise<StorageDriver> {
  try {
    return await openers[storageKind(config)](config.storage, deps);
  } catch (error) {
    // Whoever starts a server needs the reason that clients are not told.
    if (error instanceof RegistryError && error.cause instanceof Error) {
      throw new Error(`${error.message}: ${error.cause.message}`, { cause: error });
    }
    throw error;
  }
}

type Open = (storage: Config['storage'], deps: StorageDependencies) => Promise<StorageDriver>;

const openers: { readonly [K in StorageKind]: Open } = {
  async azure({ azure }, deps) {
    const { openAzure } = await import('./azure/open-azure.ts');
    return openAzure(required(azure), deps);
  },
  async filesystem({ filesystem }, { log, clock, hasPeers }) {
    const { createFilesystemDriver } = await import('./filesystem/filesystem-driver.ts');
    const root = required(filesystem).rootdirectory;
    return createFilesystemDriver({ root, log, ...(hasPeers && { others: clock }) });
  },
  async gcs({ gcs }, deps) {
    const { openGcs } = await import('./gcs/open-gcs.ts');
    return openGcs(required(gcs), deps);
  },
  async inmemory(_, { clock, log }) {
    const { InMemoryStore } = await import('./object-store/in-memory-store.ts');
    const { createObjectDriver } = await import('./object-store/object-driver.ts');
    log.warn({}, 'the storage is in memory: everything is lost when the server stops');
    return createObjectDriver(new InMemoryStore(() => clock.now()), { rootDirectory: '' });
  },
  async oss({ oss }, deps) {
    const { openOss } = await import('./oss/open-oss.ts');
    return openOss(required(oss), deps);
  },
  async s3({ s3 }, deps) {
    const { openS3 } = await import('./s3/open-s3.ts');
    return openS3(required(s3), deps);
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
