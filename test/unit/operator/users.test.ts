import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verify } from '@node-rs/bcrypt';
import { createBcryptHasher } from '../../../src/operator/bcrypt-hasher.ts';
import { htpasswdFits, writeHtpasswd } from '../../../src/operator/htpasswd-file.ts';
import { passwordOf } from '../../../src/operator/password.ts';
import { passwordSecret, registry, user } from './resource-builders.ts';

const passwords = (entries: Readonly<Record<string, string>>) =>
  new Map(Object.entries(entries).map(([name, password]) => [name, Buffer.from(password)]));

test('hashes are bcrypt of cost 10, sorted by name, and kept while they fit', async () => {
  const hasher = createBcryptHasher();
  const first = await writeHtpasswd(passwords({ bob: 'two', alice: 'one' }), '', hasher);
  assert.match(first, /^alice:\$2[aby]\$10\$[^\n]+\nbob:\$2[aby]\$10\$[^\n]+\n$/);
  const [, hash = ''] = /^alice:(.*)$/m.exec(first) ?? [];
  assert.ok(await verify('one', hash));
  assert.ok(await htpasswdFits(passwords({ bob: 'two', alice: 'one' }), first, hasher));

  const another = createBcryptHasher();
  assert.equal(await writeHtpasswd(passwords({ alice: 'one', bob: 'two' }), first, another), first);
  const changed = await writeHtpasswd(passwords({ alice: 'one', bob: 'three' }), first, another);
  assert.equal(changed.split('\n')[0], first.split('\n')[0]);
  assert.notEqual(changed.split('\n')[1], first.split('\n')[1]);
  assert.ok(!(await htpasswdFits(passwords({ alice: 'one' }), first, another)));
});

test('a file that somebody broke is written anew', async () => {
  const text = await writeHtpasswd(
    passwords({ alice: 'one' }),
    'alice:not a hash\nrubbish\n',
    createBcryptHasher(),
  );
  assert.match(text, /^alice:\$2/);
});

const cases: readonly (readonly [name: string, content: string | undefined, found: string])[] = [
  ['a password', 'secret', 'secret'],
  ['a line break at the end', 'secret\n', 'secret'],
  ['a line break of Windows', 'secret\r\n', 'secret'],
  ['two line breaks', 'secret\n\n', 'secret\n'],
  ['72 bytes', 'x'.repeat(72), 'x'.repeat(72)],
  ['73 bytes', 'x'.repeat(73), 'PasswordUnusable'],
  ['nothing', '', 'PasswordUnusable'],
  ['a line break alone', '\n', 'PasswordUnusable'],
  ['a null byte', 'a\0b', 'PasswordUnusable'],
  ['no such key', undefined, 'KeyNotFound'],
];

for (const [name, content, expected] of cases) {
  test(`a Secret with ${name} is ${/^[A-Z]/.test(expected) ? expected : 'read'}`, () => {
    const [first] =
      registry({ spec: { auth: { htpasswd: { users: [user('alice')] } } } }).spec.auth?.htpasswd.users ?? [];
    assert.ok(first);
    const secret = passwordSecret('alice', content === undefined ? {} : { password: content });
    const found = passwordOf(first, secret);
    assert.equal('problem' in found ? found.problem.reason : found.password.toString(), expected);
    if ('problem' in found && content !== undefined && content.trim().length > 1) {
      assert.ok(!found.problem.message.includes(content), 'the message does not hold the password');
    }
  });
}

test('a Secret with bytes that are no UTF-8 is PasswordUnusable: no client can send them', () => {
  const [first] =
    registry({ spec: { auth: { htpasswd: { users: [user('alice')] } } } }).spec.auth?.htpasswd.users ?? [];
  assert.ok(first);
  const secret = passwordSecret('alice', {});
  const found = passwordOf(first, {
    ...secret,
    data: { password: Buffer.from([0xe4, 0x62]).toString('base64') },
  });
  assert.equal('problem' in found && found.problem.reason, 'PasswordUnusable');
});
