import type { SwiftOptions } from '../../../contract/config/swift-section.ts';
import type { SwiftConnection, SwiftRequest } from './connection.ts';
import { text } from './json.ts';
import { fileName } from './layout.ts';
import { tempUrl, type TempUrlDigest, type TempUrlKey } from './temp-url.ts';
import type { StoreAnswer } from '../object-store/store-client.ts';

export interface TempUrlSetup {
  readonly connection: SwiftConnection;
  readonly options: SwiftOptions;
  /** Whose key is looked at, in this order. */
  readonly holders: readonly ('account' | 'container')[];
  readonly digest: TempUrlDigest;
  /** What is set where no key is; undefined to set none. */
  readonly newKey: string | undefined;
}

/**
 * The key that temporary URLs are signed with: `secretkey`, which is set where another is, or the one that is there. Each
 * is tried, because a store may keep a key that it does not use. @returns undefined when the store takes none.
 */
export async function findTempUrlKey(setup: TempUrlSetup): Promise<TempUrlKey | undefined> {
  const { options, digest } = setup;
  const signer =
    options.accesskey === undefined ? undefined : `${options.tenantid ?? ''}:${options.accesskey}`;
  for (const holder of setup.holders) {
    const secret = await keyOf(setup, holder);
    const key =
      secret === undefined ? undefined : { secret, digest, ...(signer !== undefined && { signer }) };
    if (key && (await isHonoured(setup, key))) return key;
  }
  return undefined;
}

/** The key of an account or container, after it was set when it has to be. */
async function keyOf(
  { connection, options, newKey }: TempUrlSetup,
  holder: 'account' | 'container',
): Promise<string | undefined> {
  const header = `x-${holder}-meta-temp-url-key`;
  // A user may read and write a container and have no right to look at the account.
  const ask = (request: SwiftRequest): Promise<StoreAnswer> =>
    holder === 'account'
      ? connection.fetchAccount(request, [401, 403])
      : connection.fetch(request, [401, 403]);
  const look = async (): Promise<string | undefined> => text((await ask({ method: 'HEAD' })).headers[header]);
  const found = await look();
  const wanted = options.secretkey ?? found ?? newKey;
  if (wanted === undefined || wanted === found) return found;
  await ask({ method: 'POST', headers: { [header]: wanted } });
  // Another replica may have set one at the same time: the last counts.
  return look();
}

/** Whether the store lets somebody in by a URL that the key has signed; the object need not exist. */
async function isHonoured({ connection, options }: TempUrlSetup, key: TempUrlKey): Promise<boolean> {
  const object = await connection.objectUrl(fileName(options.prefix, 'docker'));
  const url = tempUrl(object, 'GET', Math.floor(connection.storeTime() / 1000) + 60, key);
  const { status } = await connection.fetchWithoutToken({ method: 'HEAD', url });
  return status === 200 || status === 404;
}
