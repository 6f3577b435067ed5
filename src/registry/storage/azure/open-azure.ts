import { accountOf, credentialsType, type AzureOptions } from '../../../contract/config/azure-section.ts';
import type { Clock } from '../../../process/clock.ts';
import type { Logger } from '../../../process/logger.ts';
import type { StorageDriver } from '../driver.ts';
import { TokenKeeper } from '../object-store/access-token.ts';
import { createObjectDriver } from '../object-store/object-driver.ts';
import { StoreClient } from '../object-store/store-client.ts';
import { AzureClient, type AzureCredentials } from './azure-client.ts';
import { AzureStore } from './azure-store.ts';
import { clientSecretToken, defaultToken } from './identity.ts';

export interface AzureDependencies {
  readonly clock: Clock;
  readonly log: Logger;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Opens the container that the options name.
 * @throws RegistryError UNAVAILABLE when Azure cannot be reached or refuses.
 */
export async function openAzure(options: AzureOptions, deps: AzureDependencies): Promise<StorageDriver> {
  const { clock, environment } = deps;
  const retryDelay = linearDelay(options.max_retries, options.retry_delay);
  const account = accountOf(options);
  const client = new AzureClient({
    account: account.name ?? '',
    container: options.container,
    serviceUrl: new URL(account.serviceUrl),
    credentials: credentials(options, deps),
    clock,
    environment,
    retryDelay,
    skipVerify: options.skipverify,
  });
  const keyPrefix = await findKeyPrefix(options.rootdirectory, client, deps);
  const store = new AzureStore({ client, clock, log: deps.log, copyDelay: retryDelay, keyPrefix });
  return createObjectDriver(store, { rootDirectory: options.rootdirectory });
}

/** As docker distribution has it: the delay times the number of the retry. */
function linearDelay(retries: number, delay: number): (retry: number) => number | undefined {
  return (retry) => (retry <= retries ? delay * retry : undefined);
}

function credentials(options: AzureOptions, { clock, environment }: AzureDependencies): AzureCredentials {
  const { clientid: clientId, tenantid: tenantId, secret } = options.credentials;
  const type = credentialsType(options);
  if (type === 'shared_key') {
    const { name = '', key = '' } = accountOf(options);
    return { key: { account: name, key } };
  }
  const retryDelay = linearDelay(options.max_retries, options.retry_delay);
  const client = new StoreClient({ clock, environment, retryDelay });
  const local = new StoreClient({ clock, environment: {}, retryDelay });
  const identity = { clientId, tenantId, environment, client, local };
  return {
    token: new TokenKeeper(
      () =>
        type === 'client_secret' && clientId !== undefined && tenantId !== undefined
          ? clientSecretToken({ ...identity, clientId, tenantId }, secret ?? '')
          : defaultToken(identity),
      clock,
    ),
  };
}

/**
 * docker distribution 2 begins the names of blobs with a slash and knows no root directory; version 3 does neither. A
 * container that version 2 has filled is used on with its names.
 */
async function findKeyPrefix(
  rootDirectory: string,
  client: AzureClient,
  { log }: AzureDependencies,
): Promise<'' | '/'> {
  const has = async (prefix: string): Promise<boolean> => {
    const page = await client.fetchContainer({ comp: 'list', prefix, maxresults: '1' });
    return page.body.includes('<Name>');
  };
  // Asked in any case: a container that cannot be used is to be found out at start.
  const filledByVersion2 = await has('/docker/registry/v2/');
  if (!filledByVersion2 || rootDirectory.replaceAll('/', '') !== '') return '';
  if (!(await has('docker/registry/v2/'))) return '/';
  log.warn(
    { ignored: '/docker/registry/v2', used: 'docker/registry/v2' },
    'the container has the content of docker distribution 2 beside that of version 3',
  );
  return '';
}
