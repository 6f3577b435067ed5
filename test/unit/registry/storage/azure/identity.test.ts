import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  clientSecretToken,
  defaultToken,
  type IdentityOptions,
} from '../../../../../src/registry/storage/azure/identity.ts';
import { StoreClient } from '../../../../../src/registry/storage/object-store/store-client.ts';
import { sleeplessClock, standInService } from '../../../../support/stand-in-service.ts';
import { withTemporaryFolder } from '../../../../support/temporary-folder.ts';

function options(t: TestContext, environment: Record<string, string>, own: Partial<IdentityOptions> = {}) {
  const clock = sleeplessClock();
  const client = new StoreClient({ clock, environment: {}, retryDelay: () => undefined });
  t.after(() => client.close());
  return { clientId: undefined, tenantId: undefined, environment, client, local: client, ...own };
}

const entra = { body: { token_type: 'Bearer', expires_in: 3599, access_token: 'token' } };

test('an application proves itself with its secret', async (t) => {
  const service = await standInService(t, () => entra);
  const identity = options(t, { AZURE_AUTHORITY_HOST: service.url });
  const token = await clientSecretToken(
    { ...identity, clientId: 'client', tenantId: 'tenant' },
    'the secret',
  );
  assert.deepEqual(token, { value: 'token', lifetime: 3599 });
  assert.equal(service.received[0]?.path, '/tenant/oauth2/v2.0/token');
  assert.deepEqual(Object.fromEntries(new URLSearchParams(service.received[0].body)), {
    grant_type: 'client_credentials',
    client_id: 'client',
    client_secret: 'the secret',
    scope: 'https://storage.azure.com/.default',
  });
});

test('a secret in the environment comes before the token of a service account', async (t) => {
  const service = await standInService(t, () => entra);
  const environment = {
    AZURE_AUTHORITY_HOST: `${service.url}/`,
    AZURE_CLIENT_ID: 'client',
    AZURE_TENANT_ID: 'tenant',
    AZURE_CLIENT_SECRET: 'from the environment',
    AZURE_FEDERATED_TOKEN_FILE: '/nowhere',
  };
  await defaultToken(options(t, environment));
  const form = new URLSearchParams(service.received[0]?.body);
  assert.equal(form.get('client_secret'), 'from the environment');
});

test('a pod proves itself with the token of its service account, which is read each time', async (t) => {
  const service = await standInService(t, () => entra);
  await withTemporaryFolder(async (folder) => {
    const file = join(folder, 'token');
    const environment = {
      AZURE_AUTHORITY_HOST: service.url,
      AZURE_CLIENT_ID: 'client',
      AZURE_TENANT_ID: 'tenant',
      AZURE_FEDERATED_TOKEN_FILE: file,
    };
    for (const assertion of ['first', 'second']) {
      await writeFile(file, `${assertion}\n`);
      await defaultToken(options(t, environment));
      const form = new URLSearchParams(service.received.at(-1)?.body);
      assert.equal(form.get('client_assertion'), assertion);
      assert.equal(
        form.get('client_assertion_type'),
        'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      );
    }
    const gone = defaultToken(
      options(t, { ...environment, AZURE_FEDERATED_TOKEN_FILE: join(folder, 'gone') }),
    );
    await assert.rejects(gone, { code: 'UNAVAILABLE' });
  });
});

test('a machine has a managed identity, its own or the one that is named', async (t) => {
  const machine = await standInService(t, () => ({ body: { access_token: 'token', expires_in: '86400' } }));
  const environment = { AZURE_POD_IDENTITY_AUTHORITY_HOST: machine.url };
  assert.deepEqual(await defaultToken(options(t, environment)), { value: 'token', lifetime: 86_400 });
  await defaultToken(options(t, environment, { clientId: 'user-assigned' }));
  const path =
    '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com%2F';
  assert.deepEqual(
    machine.received.map(({ path, headers }) => [path, headers['metadata']]),
    [
      [path, 'true'],
      [`${path}&client_id=user-assigned`, 'true'],
    ],
  );
});

test('a service without a clock of its own is taken to have ours', async (t) => {
  const now = sleeplessClock().now() / 1000;
  const app = await standInService(t, () => ({
    headers: { date: 'unknown' },
    body: { access_token: 'token', expires_on: now + 600 },
  }));
  const environment = { IDENTITY_ENDPOINT: app.url, IDENTITY_HEADER: 'proof' };
  assert.deepEqual(await defaultToken(options(t, environment)), { value: 'token', lifetime: 600 });
});

test('an app has a managed identity, whose service tells when a token ends', async (t) => {
  const now = 1_700_000_000;
  const app = await standInService(t, () => ({
    headers: { date: new Date(now * 1000).toUTCString() },
    body: { access_token: 'token', expires_on: String(now + 600) },
  }));
  const environment = { IDENTITY_ENDPOINT: `${app.url}/msi/token`, IDENTITY_HEADER: 'proof' };
  assert.deepEqual(await defaultToken(options(t, environment)), { value: 'token', lifetime: 600 });
  const [asked] = app.received;
  assert.match(asked?.path ?? '', /^\/msi\/token\?api-version=2019-08-01&resource=/);
  assert.equal(asked?.headers['x-identity-header'], 'proof');
});

test('a refusal is UNAVAILABLE; its reason is for the log, and the secret for nobody', async (t) => {
  const service = await standInService(t, () => ({
    status: 401,
    body: { error: 'invalid_client', error_description: 'AADSTS7000215: Invalid client secret provided.' },
  }));
  const identity = options(t, { AZURE_AUTHORITY_HOST: service.url });
  const asked = clientSecretToken({ ...identity, clientId: 'client', tenantId: 'tenant' }, 'hidden');
  await assert.rejects(asked, (error: Error) => {
    assert.equal(error.message, 'the registry was refused an access token for its storage');
    assert.match(String(error.cause), /401 invalid_client AADSTS7000215/);
    assert.ok(!String(error.cause).includes('hidden'));
    return true;
  });
});
