import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig, type ParsedConfig } from '../../../../src/contract/config/config.ts';

function parseOss(options: Readonly<Record<string, unknown>>): ParsedConfig {
  return parseConfig(JSON.stringify({ version: '0.1', http: { addr: ':5000' }, storage: { oss: options } }));
}

const needed = { accesskeyid: 'id', accesskeysecret: 'secret', region: 'oss-cn-hangzhou', bucket: 'images' };

test('keys, region and bucket are needed', () => {
  assert.deepEqual(
    parseOss({}).errors.map(({ path, message }) => `${path} ${message}`),
    Object.keys(needed).map((name) => `storage.oss.${name} is required`),
  );
});

test('what is left out has the values of docker distribution', () => {
  const { config, errors } = parseOss(needed);
  assert.deepEqual(errors, []);
  assert.deepEqual(config?.storage.oss, {
    ...needed,
    endpoint: undefined,
    internal: false,
    encrypt: false,
    secure: true,
    chunksize: 10 * 1024 * 1024,
    rootdirectory: '',
  });
});

test('a part has 5 MiB at least', () => {
  assert.match(parseOss({ ...needed, chunksize: 1_000_000 }).errors[0]?.message ?? '', /5242880 or more/);
});
