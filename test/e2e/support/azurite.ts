import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { azureSection, type AzureOptions } from '../../../src/contract/config/azure-section.ts';
import { decodeObject, type Raw } from '../../../src/contract/config/decode.ts';
import { systemClock } from '../../../src/process/clock.ts';
import { StoreClient, type StoreAnswer } from '../../../src/registry/storage/object-store/store-client.ts';
import { signWithSharedKey } from '../../../src/registry/storage/azure/shared-key.ts';
import { script } from '../cluster.ts';

/** The account of the emulator, which Microsoft's documentation gives. */
const EMULATED_ACCOUNT = {
  account: 'devstoreaccount1',
  key: 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==',
};

/** Microsoft's emulator of Azure Blob Storage, in memory. */
export interface Azurite extends AsyncDisposable {
  /** Of the account. */
  readonly url: string;
  /** What goes below `storage.azure` in a configuration, with a container of its own. */
  newContainer(): Promise<Readonly<Record<string, string>>>;
  /** Asks the emulator past the driver. `path` begins with the container. */
  ask(method: 'GET' | 'HEAD' | 'PUT', path: string, headers?: Headers, body?: string): Promise<StoreAnswer>;
}

type Headers = Readonly<Record<string, string>>;

/** @param tls makes it speak TLS, with files of these names, and take tokens of identities. */
export async function startAzurite(tls?: {
  readonly certificate: string;
  readonly key: string;
}): Promise<Azurite> {
  const program = (await script('azurite', [])).trim();
  const more = tls ? ['--cert', tls.certificate, '--key', tls.key, '--oauth', 'basic'] : [];
  const child = spawn(
    process.execPath,
    [
      program,
      '--blobPort',
      '0',
      '--inMemoryPersistence',
      '--disableTelemetry',
      '--skipApiVersionCheck',
      ...more,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const address = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = /listens on (https?:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`azurite ended with ${code}`)));
  });
  const url = `${address}/${EMULATED_ACCOUNT.account}`;
  const http = new StoreClient({
    clock: systemClock,
    environment: {},
    retryDelay: () => undefined,
    skipVerify: true,
    authorize: (request) => signWithSharedKey(request, EMULATED_ACCOUNT),
  });
  const ask: Azurite['ask'] = (method, path, headers = {}, body = '') => {
    const dated = { ...headers, 'x-ms-date': new Date().toUTCString(), 'x-ms-version': '2021-12-02' };
    return http.fetch({ method, url: new URL(`${url}/${path}`), headers: dated, body });
  };
  return {
    url,
    ask,
    async newContainer() {
      const container = `container-${randomUUID()}`;
      const { status, body } = await ask('PUT', `${container}?restype=container`);
      if (status !== 201) throw new Error(`azurite makes no container: ${status} ${body.toString()}`);
      const { account: accountname, key: accountkey } = EMULATED_ACCOUNT;
      return { accountname, accountkey, container, serviceurl: url };
    },
    async [Symbol.asyncDispose]() {
      await http.close();
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Options as a configuration would give them. */
export function azureOptions(raw: Readonly<Record<string, Raw>>): AzureOptions {
  const found = { errors: [], warnings: [], notices: [], files: [] };
  // The decoder follows the schema, which is what the type is inferred from.
  const options = decodeObject(azureSection, raw, 'storage.azure', found) as AzureOptions;
  if (found.errors.length > 0) throw new Error(JSON.stringify(found.errors));
  return options;
}
