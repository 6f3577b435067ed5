import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { UpstreamCredentials } from '../../../../src/contract/config/mirror-settings.ts';
import { credentialSource } from '../../../../src/mirror/upstream/credential-source.ts';
import { TestClock } from '../../../support/test-clock.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

const source = (
  settings: UpstreamCredentials,
  hosts: readonly string[] = ['docker.io'],
  clock = new TestClock(),
) => credentialSource(settings, hosts, { clock, environment: { PATH: '/usr/bin:/bin' } });

test('a folder is read anew each time', () =>
  withTemporaryFolder(async (folder) => {
    const read = source({ folder });
    await assert.rejects(read.current(), /ENOENT/);
    writeFileSync(join(folder, 'username'), 'alice\n');
    writeFileSync(join(folder, 'password'), ' se cret\r\n');
    assert.deepEqual(await read.current(), { username: 'alice', password: ' se cret' });
    writeFileSync(join(folder, 'password'), 'next');
    assert.deepEqual(await read.current(), { username: 'alice', password: 'next' });
  }));

test('a .dockerconfigjson is searched for each name of the upstream, and runs no program', () =>
  withTemporaryFolder(async (folder) => {
    const write = (config: object): void =>
      writeFileSync(join(folder, '.dockerconfigjson'), JSON.stringify(config));
    const auth = btoa('alice:secret');
    const alice = { username: 'alice', password: 'secret' };
    for (const name of [
      'https://index.docker.io/v1/',
      'docker.io',
      'https://registry-1.docker.io',
      'index.docker.io',
    ]) {
      write({ auths: { 'other.io': { auth: btoa('x:y') }, [name]: { auth } } });
      assert.deepEqual(await source({ folder }).current(), alice, name);
    }
    write({ auths: { 'mirror.internal:5000': { auth } } });
    assert.deepEqual(await source({ folder }, ['mirror.internal:5000', 'quay.io']).current(), alice);
    write({ auths: { 'https://quay.io/v2/': { identitytoken: 'refresh' } } });
    assert.deepEqual(await source({ folder }, ['mirror.internal:5000', 'quay.io']).current(), {
      identityToken: 'refresh',
    });
    write({ auths: {}, credsStore: 'does-not-exist', credHelpers: { 'docker.io': 'does-not-exist' } });
    await assert.rejects(source({ folder }).current(), /knows nothing of docker.io/);
    writeFileSync(join(folder, '.dockerconfigjson'), 'no json');
    await assert.rejects(source({ folder }).current());
  }));

test('a helper is run once, or as often as its lifetime says, and once for all that wait', () =>
  withTemporaryFolder(async (folder) => {
    const command = join(folder, 'helper');
    const runs = (): number => readFileSync(join(folder, 'asked'), 'utf8').split('\n').length - 1;
    for (const [lifetime, expected] of [
      [undefined, 1],
      [0, 4],
      [60_000, 2],
    ] as const) {
      writeFileSync(join(folder, 'asked'), '');
      writeFileSync(
        command,
        `#!/bin/sh\n[ "$1" = get ] && { cat; echo; } >> ${folder}/asked\necho '{"ServerURL":"x","Username":"alice","Secret":"s"}'\n`,
      );
      chmodSync(command, 0o755);
      const clock = new TestClock();
      const helper = source({ command, lifetime }, ['registry.example.com'], clock);
      const read = (): Promise<unknown> => helper.current();
      assert.deepEqual(await Promise.all([read(), read()]), [
        { username: 'alice', password: 's' },
        { username: 'alice', password: 's' },
      ]);
      await read();
      await clock.advance(60_000);
      await read();
      await read();
      assert.equal(runs(), expected, String(lifetime));
      helper.wasRefused();
      await read();
      const fresh = lifetime === 60_000;
      assert.equal(runs(), fresh ? expected : expected + 1, `${lifetime}, after a refusal`);
    }
    assert.match(readFileSync(join(folder, 'asked'), 'utf8'), /^registry\.example\.com\n/);
  }));

test('a helper that fails, or knows nothing, is an error', () =>
  withTemporaryFolder(async (folder) => {
    const command = join(folder, 'helper');
    await assert.rejects(source({ command, lifetime: undefined }).current(), /cannot be run/);
    for (const [answer, message] of [
      ['echo secret; exit 1', /failed for docker.io/],
      ["echo 'credentials not found in native keychain'; exit 1", /knows nothing of docker.io/],
    ] as const) {
      writeFileSync(command, `#!/bin/sh\n${answer}\n`);
      chmodSync(command, 0o755);
      await assert.rejects(source({ command, lifetime: undefined }).current(), message);
    }
  }));
