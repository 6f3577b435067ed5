import assert from 'node:assert/strict';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StatusDocument } from '../../src/contract/status-document.ts';
import { startServe } from '../support/serve-process.ts';
import { succeed } from './command.ts';
import { HttpRegistry } from './http-registry.ts';

/** A line as Apache's program writes it. */
async function line(user: string, password: string, ...options: readonly string[]): Promise<string> {
  return `${(await succeed('htpasswd', [...options, '-bn', user, password])).trim()}\n`;
}

test('lines of htpasswd -B are users; another one is named in the log and the status, and the others work', async (t) => {
  const server = await startServe(t, { users: {} });
  const registry = new HttpRegistry(server.url);
  const file = join(server.folder, 'htpasswd');
  const damaged = (await line('carol', 'secret', '-B')).replace(/.{9}\n$/, '\n');
  writeFileSync(
    file,
    [await line('alice', 'secret', '-B'), await line('dave', 'secret', '-m'), damaged].join(''),
  );
  const login = async (user: string) => {
    const authorization = `Basic ${Buffer.from(`${user}:secret`).toString('base64')}`;
    return (await registry.send('GET', '/v2/', { headers: { authorization } })).status;
  };
  assert.equal(await login('alice'), 200);
  assert.deepEqual([await login('dave'), await login('carol'), await login('bob')], [401, 401, 401]);
  appendFileSync(file, await line('bob', 'secret', '-B'));
  assert.deepEqual([await login('bob'), await login('alice')], [200, 200], 'without a restart');

  const errors = [
    {
      line: 2,
      reason: 'the hash is not bcrypt ($2a$, $2b$, $2y$); make one with stevedore htpasswd or htpasswd -B',
    },
    { line: 3, reason: 'the bcrypt hash is incomplete or damaged' },
  ];
  const { bytes } = await registry.send('GET', `${server.statusUrl}/status`, { expect: 200 });
  const { users } = JSON.parse(bytes.toString()) as StatusDocument; // what the status port serves
  assert.equal(users?.count, 2);
  assert.deepEqual(users.errors, errors);
  const warning = server.records.findLast(
    ({ message }) => message === 'left out entries of the htpasswd file',
  );
  assert.equal(warning?.['path'], file);
  assert.deepEqual(warning['errors'], errors);
  assert.doesNotMatch(JSON.stringify(server.records), /secret|\$2y\$\d/, 'the log tells no password');
});
