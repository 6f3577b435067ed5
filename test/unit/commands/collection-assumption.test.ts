import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collectionAssumption } from '../../../src/commands/collection-assumption.ts';
import { parseConfig } from '../../../src/contract/config/config.ts';

const cases: readonly (readonly [storage: string, expected: RegExp])[] = [
  ['filesystem', /^Deletes are renames into a trash/],
  ['inmemory', /^Content is in the memory of the server/],
  ['{s3: {bucket: b, region: r}}', /^Deletes are presigned requests that expire/],
  ['{oss: {accesskeyid: a, accesskeysecret: b, region: r, bucket: b}}', /^Deletes are presigned requests/],
  ['{azure: {accountname: a, accountkey: aGk=, container: c}}', /^Deletes are .* a shared access signature/],
  ['{gcs: {bucket: b, keyfile: /k}}', /^Deletes are signed URLs/],
  ['{gcs: {bucket: b}}', /^Where the platform's service account may sign/],
  [
    '{swift: {authurl: "http://a/auth/v1", username: u, password: p, container: c}}',
    /^Deletes do not expire here.*Set storage\.swift\.secretkey\..*one collector at a time/,
  ],
  [
    '{swift: {authurl: "http://a/auth/v1", username: u, password: p, container: c, secretkey: s}}',
    /^Deletes are temporary URLs that expire.*one collector at a time/,
  ],
];

test('a mirror is not collected', () => {
  const { config } = parseConfig(
    '{version: 0.1, storage: filesystem, http: {addr: ":0"}, proxy: {remoteurl: https://quay.io}}',
  );
  assert.match(config ? collectionAssumption(config) : '', /^None: a mirror/);
});

for (const [storage, expected] of cases) {
  test(`what a collection assumes is told for ${storage}`, () => {
    const { config, errors } = parseConfig(`{version: 0.1, storage: ${storage}, http: {addr: ":0"}}`);
    assert.deepEqual(errors, []);
    assert.ok(config);
    const line = collectionAssumption(config);
    assert.match(line, expected);
    assert.doesNotMatch(line, /\n/);
  });
}
