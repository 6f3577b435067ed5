import type { GcsOptions } from '../../../contract/config/gcs-section.ts';
import type { Clock } from '../../../process/clock.ts';
import type { Logger } from '../../../process/logger.ts';
import type { StorageDriver } from '../driver.ts';
import { createObjectDriver } from '../object-store/object-driver.ts';
import { jitteredDelay, StoreClient, storeRefusal } from '../object-store/store-client.ts';
import {
  defaultCredentials,
  fileCredentials,
  readCredentialFile,
  type CredentialDependencies,
  type GcsCredentials,
} from './credentials.ts';
import { GcsClient } from './gcs-client.ts';
import { GcsStore } from './gcs-store.ts';

/** As in docker distribution, whatever the configuration says. */
const LEAST_CONCURRENCY = 25;

export interface GcsDependencies {
  readonly clock: Clock;
  readonly log: Logger;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Opens the bucket that the options name.
 * @throws Error for credentials that cannot be used; RegistryError UNAVAILABLE when Google cannot be reached or refuses.
 */
export async function openGcs(options: GcsOptions, deps: GcsDependencies): Promise<StorageDriver> {
  const { clock, environment, log } = deps;
  const retryDelay = jitteredDelay(Math.random);
  const emulator = environment['STORAGE_EMULATOR_HOST'];
  const credentials = await findCredentials(options, {
    clock,
    environment,
    client: new StoreClient({ clock, environment, retryDelay }),
    local: new StoreClient({ clock, environment: {}, retryDelay }),
    iam: new URL('https://iamcredentials.googleapis.com'),
  });
  const client = new GcsClient({
    bucket: options.bucket,
    endpoint: emulator ? emulatorUrl(emulator) : new URL('https://storage.googleapis.com'),
    token: emulator ? undefined : credentials?.token,
    signer: credentials?.signer,
    concurrency: Math.max(LEAST_CONCURRENCY, options.maxconcurrency),
    userAgent: options.useragent,
    clock,
    environment,
    retryDelay,
  });
  // A bucket that cannot be used is to be found out at start.
  const request = { method: 'GET', query: { maxResults: '1', fields: 'nextPageToken' } } as const;
  if ((await client.fetch(client.objectsPath, request)) === undefined) {
    throw storeRefusal({ method: 'GET', url: client.url(client.objectsPath) }, 404, 'notFound');
  }
  const store = new GcsStore({ client, log, chunkSize: options.chunksize });
  return createObjectDriver(store, { rootDirectory: options.rootdirectory });
}

/** @returns undefined for an emulator, unless the configuration has credentials: they sign URLs then. */
async function findCredentials(
  options: GcsOptions,
  deps: CredentialDependencies,
): Promise<GcsCredentials | undefined> {
  if (options.keyfile !== undefined) return fileCredentials(await readCredentialFile(options.keyfile), deps);
  if (options.credentials !== undefined) return fileCredentials(options.credentials, deps);
  return deps.environment['STORAGE_EMULATOR_HOST'] ? undefined : defaultCredentials(deps);
}

/** `host:port`, or a URL: as Google's own libraries read it. */
function emulatorUrl(host: string): URL {
  return new URL(host.includes('://') ? host : `http://${host}`);
}
