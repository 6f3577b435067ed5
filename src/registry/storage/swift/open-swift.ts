import { randomBytes } from 'node:crypto';
import type { SwiftOptions } from '../../../contract/config/swift-section.ts';
import type { Logger } from '../../../process/logger.ts';
import { RegistryError } from '../../errors.ts';
import type { StorageDriver } from '../driver.ts';
import { createObjectDriver } from '../object-store/object-driver.ts';
import { jitteredDelay } from '../object-store/store-client.ts';
import type { StorageDependencies } from '../open-storage.ts';
import { SwiftConnection } from './connection.ts';
import { SwiftContainer } from './container.ts';
import { child, items, parseJson, text } from './json.ts';
import { SwiftStore } from './swift-store.ts';
import { findTempUrlKey } from './temp-url-key.ts';
import type { TempUrlDigest, TempUrlKey } from './temp-url.ts';

/**
 * Logs in, makes the container when it is missing and finds out what the store can do.
 * @throws Error that says what is wrong with the options, the login or the container.
 */
export async function openSwift(
  options: SwiftOptions,
  { clock, log, environment }: StorageDependencies,
): Promise<StorageDriver> {
  const connection = new SwiftConnection({
    swift: options,
    clock,
    environment,
    retryDelay: jitteredDelay(Math.random),
  });
  try {
    await makeContainer(connection, options);
    const abilities = await findAbilities(connection, options);
    const tempUrls = await openTempUrls(connection, options, abilities, log);
    const container = new SwiftContainer({
      connection,
      container: options.container,
      deletesAtOnce: abilities.deletesAtOnce,
    });
    const { prefix, chunksize: chunkBytes } = options;
    const store = new SwiftStore({
      connection,
      container,
      clock,
      randomBytes,
      prefix,
      chunkBytes,
      ...tempUrls,
    });
    return createObjectDriver(store, { rootDirectory: '' });
  } catch (error) {
    // Whoever starts the server needs the reason, which clients are not told.
    if (error instanceof RegistryError && error.cause instanceof Error) {
      throw new Error(`${error.message}: ${error.cause.message}`, { cause: error });
    }
    throw error;
  }
}

async function makeContainer(connection: SwiftConnection, { container }: SwiftOptions): Promise<void> {
  const found = await connection.fetch({ method: 'HEAD' }, [403, 404]);
  if (found.status === 403) {
    throw new Error(
      `the user may not look at the container ${container}; it needs the right to read and write it`,
    );
  }
  if (found.status !== 404) return;
  const { status } = await connection.fetch({ method: 'PUT' }, [400, 401, 403]);
  if (status < 300) return;
  throw new Error(
    `the container ${container} does not exist, and making it was answered with ${status}; make it, or give the user the right to`,
  );
}

/** What the store says about itself, and what the options say in its place. */
interface Abilities {
  /** Of temporary URLs that clients may be sent to. */
  readonly redirectMethods: readonly unknown[];
  /** Of all temporary URLs. */
  readonly tempUrlMethods: readonly unknown[];
  readonly digest: TempUrlDigest;
  readonly keyHolders: readonly ('account' | 'container')[];
  readonly deletesAtOnce: number | undefined;
}

/** Most that a Ceph gateway deletes at once; it does not tell. */
const DELETES_AT_ONCE = 1000;

/**
 * Clients are sent to the store only when distribution 2.8 would: by the document in its place, or by the option where
 * there is none. A Ceph gateway has it in another place, and often one that clients cannot reach.
 */
async function findAbilities(connection: SwiftConnection, options: SwiftOptions): Promise<Abilities> {
  const storageUrl = await connection.storageUrl();
  const fetchInfo = async (path: string): Promise<unknown> => {
    const url = new URL(path, `${storageUrl}/`);
    const { status, body } = await connection.fetchWithoutToken({ method: 'GET', url });
    return status === 200 ? parseJson(body) : undefined;
  };
  const openStack = await fetchInfo('../../info');
  const info = openStack ?? (await fetchInfo('../info'));
  const configured = { methods: options.tempurlmethods, containerKey: options.tempurlcontainerkey };
  const methods = (document: unknown): readonly unknown[] =>
    document === undefined ? configured.methods : items(child(document, 'tempurl', 'methods'));
  const containerKeys =
    openStack === undefined
      ? configured.containerKey
      : hasContainerKeys(text(child(openStack, 'swift', 'version')));
  const allowed = items(child(info, 'tempurl', 'allowed_digests'));
  const most = Number(child(info, 'bulk_delete', 'max_deletes_per_request') ?? DELETES_AT_ONCE);
  return {
    redirectMethods: methods(openStack),
    tempUrlMethods: methods(info),
    digest: (['sha256', 'sha512'] as const).find((digest) => allowed.includes(digest)) ?? 'sha1',
    keyHolders: containerKeys ? ['container', 'account'] : ['account'],
    deletesAtOnce:
      child(info, 'bulk_delete') === undefined || !(most > 1) ? undefined : Math.min(most, DELETES_AT_ONCE),
  };
}

/** Since 2.3.0 a container may have a key of its own, which opens nothing else. */
function hasContainerKeys(version = ''): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 2 || (major === 2 && minor >= 3);
}

async function openTempUrls(
  connection: SwiftConnection,
  options: SwiftOptions,
  abilities: Abilities,
  log: Logger,
): Promise<{ readonly deleteKey: TempUrlKey | undefined; readonly redirectKey: TempUrlKey | undefined }> {
  const redirects = abilities.redirectMethods.includes('GET');
  const deletes = abilities.tempUrlMethods.includes('DELETE');
  if (!redirects && !deletes) return { deleteKey: undefined, redirectKey: undefined };
  const key = await findTempUrlKey({
    connection,
    options,
    holders: abilities.keyHolders,
    digest: abilities.digest,
    newKey: redirects ? randomBytes(32).toString('hex') : undefined,
  });
  if (key === undefined && (redirects || options.secretkey !== undefined)) {
    log.warn(
      {},
      'the storage honours no temporary URLs of this user; set secretkey to the key of the account or container',
    );
  }
  return { deleteKey: deletes ? key : undefined, redirectKey: redirects ? key : undefined };
}
