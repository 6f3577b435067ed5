import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig, type ParsedConfig } from '../../../../src/contract/config/config.ts';

function parseSwift(options: Readonly<Record<string, unknown>>): ParsedConfig {
  const given = { username: 'demo:swift', password: 'secret', container: 'registry', ...options };
  return parseConfig(JSON.stringify({ version: '0.1', http: { addr: ':5000' }, storage: { swift: given } }));
}

const authurl = 'http://ceph:7480/auth/v1';

test('Swift needs a user, a password, a container and where to log in', () => {
  const { errors } = parseConfig('{version: 0.1, storage: swift, http: {addr: ":5000"}}');
  assert.deepEqual(
    errors.map(({ path, message }) => `${path} ${message}`),
    ['authurl', 'username', 'password', 'container'].map((name) => `storage.swift.${name} is required`),
  );
});

test('what is left out has the values of docker distribution', () => {
  const { config } = parseSwift({ authurl });
  const { chunksize, endpointtype, prefix, authversion } = config?.storage.swift ?? {};
  assert.deepEqual([chunksize, endpointtype, prefix, authversion], [20 * 1024 * 1024, 'public', '', 0]);
});

test('the version of the login is asked for where the URL does not tell it', () => {
  const keystone = 'https://keystone.example/identity/';
  assert.deepEqual(parseSwift({ authurl: keystone }).errors, [
    { path: 'storage.swift.authversion', message: 'is required, since authurl holds none of v1, v2 and v3' },
  ]);
  assert.deepEqual(parseSwift({ authurl: keystone, authversion: 3 }).errors, []);
});

test('a segment has a MiB at least', () => {
  assert.match(parseSwift({ authurl, chunksize: 1_000_000 }).errors[0]?.message ?? '', /1048576 or more/);
});

test('rootdirectory is without effect, as in docker distribution, and prefix is named', () => {
  const { config, notices } = parseSwift({ authurl, rootdirectory: '/images' });
  assert.equal(config?.storage.swift?.prefix, '');
  assert.match(notices[0]?.message ?? '', /^has no effect: docker distribution reads `prefix` in its place/);
});
