import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  accountOf,
  credentialsType,
  type AzureOptions,
} from '../../../../src/contract/config/azure-section.ts';
import { parseConfig, type ParsedConfig } from '../../../../src/contract/config/config.ts';

function parseAzure(options: Readonly<Record<string, unknown>>, environment = {}): ParsedConfig {
  const storage = { azure: { container: 'registry', ...options } };
  return parseConfig(JSON.stringify({ version: '0.1', http: { addr: ':5000' }, storage }), environment);
}

function optionsOf(options: Readonly<Record<string, unknown>>): AzureOptions {
  const { config, errors } = parseAzure(options);
  assert.ok(config?.storage.azure, JSON.stringify(errors));
  return config.storage.azure;
}

function problemsOf(options: Readonly<Record<string, unknown>>): string[] {
  return parseAzure(options).errors.map(({ path, message }) => `${path} ${message}`);
}

const key = Buffer.from('key').toString('base64');
const application = { clientid: 'c', tenantid: 't', secret: 's' };

test('how to log in follows from what there is, unless it is said', () => {
  for (const [options, type] of [
    [{ accountkey: key }, 'shared_key'],
    [{ connectionstring: `AccountName=a;AccountKey=${key}` }, 'shared_key'],
    [{ credentials: application }, 'client_secret'],
    [{}, 'default_credentials'],
    [{ accountkey: key, credentials: { type: 'default_credentials' } }, 'default_credentials'],
  ] as const) {
    assert.equal(credentialsType(optionsOf({ accountname: 'a', ...options })), type);
  }
});

test('the address of the account is made of its name and its cloud, unless it is said', () => {
  const connection = (more: string): Readonly<Record<string, unknown>> => ({
    connectionstring: `DefaultEndpointsProtocol=http;AccountName=b;AccountKey=${key};${more}`,
  });
  for (const [options, url] of [
    [{ accountname: 'a' }, 'https://a.blob.core.windows.net'],
    [{ accountname: 'a', realm: 'core.chinacloudapi.cn' }, 'https://a.blob.core.chinacloudapi.cn'],
    [{ accountname: 'a', serviceurl: 'https://private.example.com' }, 'https://private.example.com'],
    [connection(''), 'http://b.blob.core.windows.net'],
    [connection('EndpointSuffix=core.usgovcloudapi.net'), 'http://b.blob.core.usgovcloudapi.net'],
    [connection('BlobEndpoint=http://127.0.0.1:10000/b'), 'http://127.0.0.1:10000/b'],
  ] as const) {
    assert.equal(accountOf(optionsOf(options)).serviceUrl, url);
  }
});

test('a connection string stands for what is not given', () => {
  const connectionstring = `AccountName=b;AccountKey=${key}`;
  const alone = accountOf(optionsOf({ connectionstring }));
  assert.deepEqual([alone.name, alone.key], ['b', key]);
  const other = Buffer.from('other').toString('base64');
  const both = accountOf(optionsOf({ accountname: 'a', accountkey: other, connectionstring }));
  assert.deepEqual([both.name, both.key], ['a', other]);
});

test('what lacks is told with its path', () => {
  assert.deepEqual(problemsOf({ container: undefined, accountname: 'a' }), [
    'storage.azure.container is required',
  ]);
  assert.deepEqual(problemsOf({}), ['storage.azure.accountname is required']);
  assert.deepEqual(problemsOf({ accountname: 'a', credentials: { type: 'shared_key' } }), [
    'storage.azure.accountkey is required with shared_key',
  ]);
  assert.deepEqual(
    problemsOf({ accountname: 'a', credentials: { type: 'client_secret' } }),
    ['clientid', 'tenantid', 'secret'].map(
      (name) => `storage.azure.credentials.${name} is required with client_secret`,
    ),
  );
});

test('a key that is no Base64, and a signature in place of a key, are errors that do not quote them', () => {
  for (const [options, path] of [
    [{ accountkey: 'not a key' }, 'accountkey'],
    [{ connectionstring: 'AccountKey=not a key' }, 'connectionstring'],
    [{ connectionstring: `SharedAccessSignature=sv=2021&sig=secret;AccountKey=${key}` }, 'connectionstring'],
  ] as const) {
    const [problem = ''] = problemsOf({ accountname: 'a', ...options });
    assert.ok(problem.startsWith(`storage.azure.${path} must`), problem);
    assert.ok(!/not a key|secret/.test(problem));
  }
});

test('retries are those of docker distribution unless said, and can be set by the environment', () => {
  const usual = optionsOf({ accountname: 'a' });
  assert.deepEqual([usual.max_retries, usual.retry_delay, usual.realm], [5, 100, 'core.windows.net']);
  const { config } = parseAzure(
    { accountname: 'a' },
    { REGISTRY_STORAGE_AZURE_MAX_RETRIES: '-1', REGISTRY_STORAGE_AZURE_RETRY_DELAY: '2s' },
  );
  assert.deepEqual([config?.storage.azure?.max_retries, config?.storage.azure?.retry_delay], [-1, 2000]);
});
