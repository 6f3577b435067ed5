import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { parseConfig } from '../../../../../src/contract/config/config.ts';
import { accountOf, type AzureOptions } from '../../../../../src/contract/config/azure-section.ts';
import type { StorageDriver } from '../../../../../src/registry/storage/driver.ts';
import { openAzure } from '../../../../../src/registry/storage/azure/open-azure.ts';
import { logSink } from '../../../../support/log-sink.ts';
import { sleeplessClock, standInService } from '../../../../support/stand-in-service.ts';
import { createTestAuthority } from '../../../../support/test-authority.ts';

const empty = '<EnumerationResults><Blobs/></EnumerationResults>';
const account = { accountname: 'me', accountkey: 'a2V5', container: 'c' };

/** Options of `storage.azure` as a configuration gives them. */
function optionsOf(azure: object): AzureOptions {
  const { config, errors } = parseConfig(
    JSON.stringify({ version: 0.1, http: { addr: ':0' }, storage: { azure } }),
  );
  assert.deepEqual(errors, []);
  assert.ok(config?.storage.azure);
  return config.storage.azure;
}

function open(azure: object, environment: Readonly<Record<string, string>> = {}): Promise<StorageDriver> {
  return openAzure(optionsOf(azure), { clock: sleeplessClock(), log: logSink().log, environment });
}

test('the account stands in the name of the host, in the realm that is configured', () => {
  const urlOf = (azure: object): string => accountOf(optionsOf(azure)).serviceUrl;
  assert.equal(urlOf(account), 'https://me.blob.core.windows.net');
  assert.equal(urlOf({ ...account, realm: 'core.example' }), 'https://me.blob.core.example');
});

test('a connection string has account, key and place', async (t) => {
  const azure = await standInService(t, () => ({ body: empty }));
  const connectionstring = `AccountName=you;AccountKey=a2V5;BlobEndpoint=${azure.url}/you`;
  await open({ container: 'c', connectionstring });
  assert.match(azure.received[0]?.path ?? '', /^\/you\/c\?/);
  assert.match(azure.received[0]?.headers.authorization ?? '', /^SharedKey you:/);
});

test('the names of all blobs begin with the root directory', async (t) => {
  const azure = await standInService(t, ({ method }) =>
    method === 'PUT' ? { status: 201 } : { body: empty },
  );
  const driver = await open({ ...account, serviceurl: azure.url, rootdirectory: '/images/' });
  await driver.putContent('/a', Buffer.from('x'));
  assert.equal(azure.received.at(-1)?.path.split('?')[0], '/c/images/a');
});

test('an application logs in with its secret, where that is configured', async (t) => {
  const azure = await standInService(t, ({ path }) =>
    path.includes('oauth2') ? { body: { access_token: 'token', expires_in: 3600 } } : { body: empty },
  );
  const credentials = { type: 'client_secret', clientid: 'app', tenantid: 'tenant', secret: 'hunter2' };
  const { accountkey: _key, ...keyless } = account;
  for (const given of [
    { ...keyless, credentials },
    { ...account, credentials },
  ]) {
    azure.received.length = 0;
    await open({ ...given, serviceurl: azure.url }, { AZURE_AUTHORITY_HOST: azure.url });
    const [login, list] = azure.received;
    assert.equal(login?.path, '/tenant/oauth2/v2.0/token');
    const form = new URLSearchParams(login.body);
    assert.deepEqual([form.get('client_id'), form.get('client_secret')], ['app', 'hunter2']);
    assert.equal(list?.headers.authorization, 'Bearer token');
  }
});

test('a certificate that nobody vouches for is taken with skipverify alone', async (t) => {
  const { certificate, key } = await (await createTestAuthority()).issue();
  const server = createServer({ cert: certificate, key }, (_request, response) => response.end(empty));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const serviceurl = `https://127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on TCP
  await open({ ...account, serviceurl, skipverify: true });
  await assert.rejects(open({ ...account, serviceurl }));
});
