import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../../../src/contract/config/config.ts';
import { effectiveConfig } from '../../../../src/contract/config/effective.ts';
import type { Field } from '../../../../src/contract/config/fields.ts';
import { configSchema } from '../../../../src/contract/config/schema.ts';

/** Names that speak of something secret. */
const SECRET = /password|secret|(?:account|private|access)_?key$|connectionstring|headers$/i;

/** Public halves, and what is no more than a name. */
const PUBLIC: readonly string[] = ['storage.s3.accesskey', 'storage.swift.accesskey', 'http.headers'];

function* options(field: Field, path: string): Generator<readonly [path: string, field: Field]> {
  yield [path, field];
  if (field.type === 'list') yield* options(field.of, `${path}[]`);
  if (field.type !== 'object') return;
  for (const [key, child] of Object.entries(field.fields)) {
    yield* options(child, path === '' ? key : `${path}.${key}`);
  }
}

test('every option whose name speaks of a secret is hidden where a configuration is shown', () => {
  const open = [...options(configSchema, '')].filter(([path, field]) => {
    if ((field.type !== 'string' && field.type !== 'map') || !SECRET.test(path)) return false;
    return !field.secret && !(field.type === 'string' && field.format === 'file');
  });
  assert.deepEqual(
    open.map(([path]) => path).filter((path) => !PUBLIC.includes(path)),
    [],
  );
});

test('secrets are hidden in lists, in maps and in URLs', () => {
  const { config, errors } = parseConfig(`
version: 0.1
storage: {swift: {authurl: "http://ann:hunter2@swift/auth/v1", username: u, password: hunter2, container: c}}
http: {addr: ":0", host: "https://ann:hunter2@registry.example.com/"}
health: {http: [{uri: "https://ann:hunter2@a/b", headers: {Authorization: [Bearer hunter2]}}]}
notifications: {endpoints: [{name: one, url: "https://hunter2@a/b?c", headers: {Authorization: hunter2}}]}
stevedore: {notifications: {secrets: {one: hunter2hunter2hunter2hunter2}}}
`);
  assert.deepEqual(errors, []);
  assert.ok(config);
  const shown = JSON.stringify(effectiveConfig(config));
  assert.doesNotMatch(shown, /hunter2/);
  assert.match(shown, /"https:\/\/\(hidden\)@a\/b\?c"/);
});
