import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { dockerCredentials, parseCredentials } from '../../../src/oci-client/credentials.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const basic = (text: string): string => Buffer.from(text).toString('base64');

/** Looks hosts up with a config.json; `helper` is the text of a program that helpers `test` run. */
async function lookUp(config: unknown, hosts: readonly string[], helper = ''): Promise<unknown[]> {
  return withTemporaryFolder(async (folder) => {
    writeFileSync(join(folder, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
    const program = join(folder, 'docker-credential-test');
    writeFileSync(program, `#!/bin/sh\n${helper}\n`);
    chmodSync(program, 0o755);
    const environment = { DOCKER_CONFIG: folder, PATH: `${folder}:/usr/bin:/bin` };
    return Promise.all(hosts.map((host) => dockerCredentials(host, environment)));
  });
}

test('entries of config.json are found by host, and those of Docker by their old name', async () => {
  const auths = {
    'registry.example.com:5000': { auth: basic('alice:pass:word') },
    'https://with-scheme': { auth: basic('bob:x') },
    'https://index.docker.io/v1/': { auth: basic('carol:y') },
    token: { auth: basic('00000000:'), identitytoken: 'refresh' },
    plain: { username: 'dave', password: 'z' },
    empty: {},
  };
  const hosts = [
    'registry.example.com:5000',
    'with-scheme',
    'docker.io',
    'token',
    'plain',
    'empty',
    'registry.example.com',
  ];
  assert.deepEqual(await lookUp({ auths }, hosts), [
    { username: 'alice', password: 'pass:word' },
    { username: 'bob', password: 'x' },
    { username: 'carol', password: 'y' },
    { identityToken: 'refresh' },
    { username: 'dave', password: 'z' },
    undefined,
    undefined,
  ]);
});

test('a helper is asked for its host, and the store for all others', async () => {
  const helper = `
read name
case $name in
  mine) echo '{"Username":"from","Secret":"helper"}' ;;
  other) echo '{"Username":"<token>","Secret":"identity"}' ;;
  broken) exit 2 ;;
  *) echo 'credentials not found in native keychain'; exit 1 ;;
esac`;
  const known = await lookUp({ credHelpers: { mine: 'test' } }, ['mine', 'other'], helper);
  assert.deepEqual(known, [{ username: 'from', password: 'helper' }, undefined]);
  const stored = await lookUp({ credsStore: 'test' }, ['other', 'unknown'], helper);
  assert.deepEqual(stored, [{ identityToken: 'identity' }, undefined]);
  await assert.rejects(
    lookUp({ credsStore: 'test' }, ['broken'], helper),
    /docker-credential-test failed for broken/,
  );
  await assert.rejects(lookUp({ credsStore: 'none-such' }, ['x'], helper), /cannot be run/);
});

test('no config.json is no error, a damaged one is', async () => {
  await withTemporaryFolder(async (folder) => {
    mkdirSync(join(folder, '.docker'));
    assert.equal(await dockerCredentials('host', { HOME: folder }), undefined);
  });
  await assert.rejects(lookUp('{', ['host']), /is not JSON/);
});

test('credentials on the command line have a colon', () => {
  assert.deepEqual(parseCredentials('a:b:c'), { username: 'a', password: 'b:c' });
  assert.equal(parseCredentials('a'), undefined);
  assert.equal(parseCredentials(':b'), undefined);
});
