import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig, type ParsedConfig } from '../../../../src/contract/config/config.ts';

function parseGcs(options: Readonly<Record<string, unknown>>, environment = {}): ParsedConfig {
  const storage = { gcs: { bucket: 'registry', ...options } };
  return parseConfig(JSON.stringify({ version: '0.1', http: { addr: ':5000' }, storage }), environment);
}

function problemsOf(options: Readonly<Record<string, unknown>>): string[] {
  return parseGcs(options).errors.map(({ path, message }) => `${path} ${message}`);
}

test('a bucket is all that is needed', () => {
  const { config, errors } = parseGcs({});
  assert.deepEqual(errors, []);
  const { chunksize, maxconcurrency, rootdirectory, credentials } = config?.storage.gcs ?? {};
  assert.deepEqual(
    [chunksize, maxconcurrency, rootdirectory, credentials],
    [5 * 1024 * 1024, 50, '', undefined],
  );
  assert.deepEqual(problemsOf({ bucket: undefined, rootdirectory: '/' }), ['storage.gcs.bucket is required']);
});

test('a piece of an upload is a multiple of 256 KiB', () => {
  assert.deepEqual(problemsOf({ chunksize: 262_144 }), []);
  assert.deepEqual(problemsOf({ chunksize: 300_000 }), [
    'storage.gcs.chunksize must be a multiple of 262144, not 300000',
  ]);
  assert.match(problemsOf({ chunksize: 1000 })[0] ?? '', /262144 or more/);
});

test('a key file must be readable, and a whole one may stand in the configuration', () => {
  assert.deepEqual(parseGcs({ keyfile: '/etc/gcs/key.json' }).files, [
    { path: 'storage.gcs.keyfile', file: '/etc/gcs/key.json' },
  ]);
  const credentials = {
    type: 'service_account',
    project_id: 'p',
    private_key_id: 'i',
    private_key: 'pem',
    client_email: 'a@b',
    client_id: '1',
    auth_uri: 'https://accounts.google.com/o/oauth2/auth',
    token_uri: 'https://oauth2.googleapis.com/token',
    auth_provider_x509_cert_url: 'https://www.googleapis.com/oauth2/v1/certs',
    client_x509_cert_url: 'https://www.googleapis.com/robot/v1/metadata/x509/a%40b',
    universe_domain: 'googleapis.com',
  };
  const { config, warnings, errors } = parseGcs({ credentials });
  assert.deepEqual([warnings, errors], [[], []]);
  assert.equal(config?.storage.gcs?.credentials?.client_email, 'a@b');
  assert.deepEqual(problemsOf({ credentials: { ...credentials, private_key: undefined } }), [
    'storage.gcs.credentials.private_key is required',
  ]);
  const other = problemsOf({ credentials: { ...credentials, type: 'external_account' } });
  assert.match(other[0] ?? '', /^storage\.gcs\.credentials\.type must be service_account/);
});

test('a key can come by the environment', () => {
  const { config } = parseGcs(
    { credentials: { client_email: 'a@b' } },
    { REGISTRY_STORAGE_GCS_CREDENTIALS_PRIVATE_KEY: 'pem' },
  );
  assert.equal(config?.storage.gcs?.credentials?.private_key, 'pem');
});
